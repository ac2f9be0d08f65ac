import pytest

from shared.core.cards import Toast, card_format
from shared.core.json_text import JsonText


@pytest.mark.parametrize("kind", ["info", "success", "warning", "error"])
def test_a_toast_is_made_by_the_name_of_its_kind(kind: str) -> None:
    """What a toast looks like is said by its constructor, translations by language."""
    made = getattr(Toast, kind)("好", en_us="ok")
    assert (kind, "好", {"en_us": "ok"}) == (made.type, made.content, made.i18n)


def test_a_toast_in_an_unknown_language_fails_where_it_is_written() -> None:
    """A typo shows at start, not in somebody's client."""
    with pytest.raises(TypeError, match="Toast has no language 'en_uk': expected some of zh_cn, en_us, "):
        Toast.info("ok", en_uk="ok")


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ('{"schema":"2.0","body":{}}', "2.0"),
        ('{"elements":[]}', "1.0"),
        ('{"schema":2.0}', "1.0"),
        ('{"type":"template","data":{}}', "1.0"),
        ("[]", "1.0"),
        ("not json", "1.0"),
        ("[" * 100_000, "1.0"),
        (None, "1.0"),
    ],
)
def test_only_schema_2_0_marks_the_newer_format(card: str | None, expected: str) -> None:
    """What is not known to be of the newer format is judged by the older one's longer times."""
    assert expected == card_format(None if card is None else JsonText(card))
