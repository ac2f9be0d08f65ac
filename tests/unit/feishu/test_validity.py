import pytest

from shared.core.cards import CardFormat
from shared.core.json_text import JsonText
from shared.feishu.validity import clicked_too_late, fits, update_too_late

SENT = 1_749_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.mark.parametrize(("card_format", "days"), [("1.0", 30), ("2.0", 14)])
def test_a_click_is_refused_an_hour_past_its_cards_life(card_format: CardFormat, days: int) -> None:
    """At the border, and within the margin after it, it is decided."""
    ages = [days * DAY - 1, days * DAY, days * DAY + HOUR - 1, days * DAY + HOUR]
    assert [False, False, False, True] == [clicked_too_late(SENT, card_format, SENT + age) for age in ages]


@pytest.mark.parametrize("card_format", ["1.0", "2.0"])
def test_no_update_is_sent_from_the_fourteenth_day_on(card_format: CardFormat) -> None:
    """Without margin: the platform would refuse it."""
    assert [False, True] == [update_too_late(SENT, card_format, SENT + 14 * DAY + after) for after in (-1, 0)]


def test_a_card_of_unknown_age_is_never_too_old() -> None:
    """The platform knows; it is tried once."""
    assert not clicked_too_late(None, "1.0", 10**15)
    assert not update_too_late(None, "2.0", 10**15)


def test_a_card_fits_by_its_bytes() -> None:
    """A Chinese character is three of them."""
    assert fits(JsonText("x" * 30 * 1024))
    assert not fits(JsonText("x" * 30 * 1024 + "x"))
    assert not fits(JsonText("好" * 10 * 1024 + "x"))
    assert fits(JsonText('"\ud800"'))
