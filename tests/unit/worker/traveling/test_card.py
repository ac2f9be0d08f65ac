"""A card between two decisions, in either world."""

import pytest

from shared.core.json_text import JsonText
from shared.core.races import Standing
from tests.support.facts import CARD
from tests.unit.worker.traveling.facts import decided
from worker.traveling.card import UNTOUCHED, CardThen, after, is_same, is_same_json


def test_a_decision_makes_the_card_what_it_says() -> None:
    """State, content and time are absolute; who joined a race joins those before."""
    first = after(UNTOUCHED, decided(version=1, state=1, content={"n": 1}, newest_at=5, winners=("ou_a",)))
    second = after(first, decided("e2", version=2, state=2, newest_at=7, winners=("ou_b",), voters=("ou_c",)))
    assert (1, "1", '{"n":1}', 5) == (first.version, first.state, first.content, first.newest_at)
    assert (2, "2", None, 7) == (second.version, second.state, second.content, second.newest_at)
    (standing,) = second.rules.values()
    assert ["count"] == list(second.rules)
    assert [["ou_a", "ou_b"], ["ou_c"]] == [list(standing.winners), list(standing.voters)]


def test_a_decision_that_concerns_no_card_leaves_it() -> None:
    """Version 0 says so: ignored, failed, or about no card at all."""
    card = CardThen(version=3, state=JsonText("1"))
    assert card is after(card, decided(result="ignored", handler=None))


def test_a_card_stands_still_until_what_parked_it_is_decided() -> None:
    """Inputs are parked in their order, each leaves when it is decided."""
    card = after(UNTOUCHED, decided("e1", result="failed", parks=True))
    card = after(card, decided("e2", result="failed", parks=True))
    assert ("e1", "e2") == card.parked
    card = after(card, decided("e1", version=1, redrive=1))
    assert (("e2",), 1) == (card.parked, card.version)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a":1,"b":[1,2]}', '{ "b": [1, 2.0], "a": 1 }', True),
        ('{"a":1}', '{"a":true}', False),
        ("[0]", "[false]", False),
        ("[1,2]", "[2,1]", False),
        ('{"a":null}', "{}", False),
        ("1" * 5000, "1" * 5000, True),
        ("1" * 5000, "2" * 5000, False),
        ("[" * 9000 + "]" * 9000, "[ " * 9000 + "]" * 9000, False),
        (None, "1", False),
        (None, None, True),
    ],
)
def test_json_is_compared_as_values(one: JsonText | None, other: JsonText | None, same: bool) -> None:  # noqa: FBT001
    """Order of keys and spaces do not count; types and the order of lists do; what nobody can read is text."""
    assert same is is_same_json(one, other)


def test_cards_are_the_same_if_nobody_who_decides_can_tell_them_apart() -> None:
    """Text of the same JSON is; another version, standing or time is not."""
    card = CardThen(version=1, state=JsonText('{"a":1,"b":2}'), newest_at=5)
    assert is_same(card, CardThen(version=1, state=JsonText('{"b":2,"a":1}'), newest_at=5))
    for other in (
        CardThen(version=2, state=card.state, newest_at=5),
        CardThen(version=1, state=card.state, newest_at=6),
        CardThen(version=1, state=card.state, newest_at=5, rules={"take": Standing(winners=("ou_a",))}),  # type: ignore[arg-type]
        CardThen(version=1, state=card.state, newest_at=5, parked=(decided().event_id,)),
    ):
        assert not is_same(card, other)


def test_what_people_typed_is_in_no_repr() -> None:
    """Values of time travel end in error lines at worst."""
    assert "typed" not in repr(CardThen(version=1, state=JsonText('"typed"'), content=JsonText('"typed"')))
    assert str(CARD) not in repr(UNTOUCHED)
