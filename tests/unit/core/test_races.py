"""Race rules by themselves: whose click counts, given the clicks before it."""

from collections.abc import Iterable

import pytest

from shared.core.ids import OpenId
from shared.core.races import (
    NOBODY_YET,
    Counted,
    Lost,
    OncePerCard,
    OncePerUser,
    Place,
    Quorum,
    Rule,
    Standing,
    Won,
    enter,
    joined,
    read_standings,
    standings_text,
)

ADA, BOB, CAT = OpenId("ou_ada"), OpenId("ou_bob"), OpenId("ou_cat")


def raced(rule: Rule, people: Iterable[OpenId]) -> tuple[list[str], Standing]:
    """Let people click in this order; return what each came to, and how it stands."""
    standing, told = NOBODY_YET, []
    for who in people:
        place = enter(rule, standing, who)
        told.append(_named(place))
        standing = standing if isinstance(place, Lost) else standing.plus(place.added)
    return told, standing


def _named(place: Place) -> str:
    match place:
        case Won():
            return "won"
        case Counted():
            return "counted"
        case Lost(reason=reason):
            return reason


def test_once_per_card_the_first_click_wins_and_all_others_lose() -> None:
    """Whoever clicks again, the winner included."""
    told, standing = raced(OncePerCard(), [ADA, BOB, ADA])
    assert ["won", "once_per_card", "once_per_card"] == told
    assert Standing(winners=(ADA,)) == standing


def test_once_per_user_everybody_wins_once() -> None:
    """The second click of a person loses; the first of another does not."""
    told, standing = raced(OncePerUser(), [ADA, ADA, BOB, BOB, ADA])
    assert ["won", "once_per_user", "won", "once_per_user", "once_per_user"] == told
    assert Standing(winners=(ADA, BOB)) == standing


def test_a_quorum_is_reached_by_the_nth_different_person() -> None:
    """A second click of a voter counts nobody, and who comes after the quorum loses, voter or not."""
    told, standing = raced(Quorum(3), [ADA, ADA, BOB, ADA, CAT, BOB, OpenId("ou_dan")])
    assert ["counted", "counted", "counted", "counted", "won", "quorum_reached", "quorum_reached"] == told
    assert Standing(winners=(CAT,), voters=(ADA, BOB, CAT)) == standing


@pytest.mark.parametrize("rule", [OncePerCard(), OncePerUser(), Quorum(2)])
def test_what_a_click_comes_to_depends_on_what_stands_written_alone(rule: Rule) -> None:
    """Asked again about the same click, the same is answered: nothing is remembered but the standing."""
    standing = Standing(voters=(ADA,))
    assert enter(rule, standing, BOB) == enter(rule, standing, BOB)


def test_races_of_a_card_are_written_and_read_as_the_same() -> None:
    """By handler's name, in one order, and as nothing at all where there is none."""
    standings = joined(joined({}, "b", Standing(winners=(ADA,))), "a", Standing(voters=(BOB, CAT)))
    text = standings_text(standings)
    assert '{"a":{"voters":["ou_bob","ou_cat"]},"b":{"winners":["ou_ada"]}}' == text
    assert standings == read_standings(text)
    assert (None, {}) == (standings_text({}), read_standings(None))


def test_nobody_who_joins_changes_nothing() -> None:
    """A voter who clicks again leaves no trace, not even an empty race."""
    assert {} == joined({}, "a", NOBODY_YET)
