import pytest

from shared.core.json_text import JsonText
from shared.feishu.cards import everybodys, is_exclusive


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ('{"elements":[]}', '{"elements":[],"config":{"update_multi":true}}'),
        ('{"config":{"wide":1},"a":1e400}', '{"config":{"wide":1,"update_multi":true},"a":1e400}'),
        ('{"config":null}', '{"config":{"update_multi":true}}'),
        ('{"config":"\\ud800"}', '{"config":{"update_multi":true}}'),
        ("{}", '{"config":{"update_multi":true}}'),
    ],
)
def test_a_card_that_does_not_say_is_everybodys(card: str, expected: str) -> None:
    """Only a shared card can be updated by its message; the rest of it stays as it was written."""
    assert expected == everybodys(JsonText(card))


@pytest.mark.parametrize(
    "card",
    [
        '{"config":{"update_multi":false},"elements":[]}',
        '{"config":{"update_multi": true}}',
        '{"schema":"2.0","body":{}}',
        '{"type":"template","data":{"template_id":"AAq1"}}',
        '{"type":"card","data":{"card_id":"1"}}',
        "[]",
        "not json",
        "",
        "\ud800",
    ],
)
def test_a_card_that_says_or_need_not_say_is_left_alone(card: str) -> None:
    """An explicit false is a wish; what is no card is the platform's to refuse."""
    assert card == everybodys(JsonText(card))


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ('{"config":{"update_multi":false},"elements":[]}', True),
        ('{"config":{"update_multi":true}}', False),
        ('{"config":{"update_multi":0}}', False),
        ('{"config":null}', False),
        ('{"elements":[]}', False),
        ('{"schema":"2.0","config":{"update_multi":false}}', False),
        ('{"type":"template","data":{},"config":{"update_multi":false}}', False),
        ("not json", False),
    ],
)
def test_only_a_1_0_card_that_says_so_is_exclusive(card: str, expected: bool) -> None:  # noqa: FBT001 -- a table's column
    """One that does not say is everybody's, by our own hand."""
    assert expected == is_exclusive(JsonText(card))
