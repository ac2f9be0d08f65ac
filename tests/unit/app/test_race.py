"""Race rules as an app declares them, and as `cardwire.testing` sees them."""

from collections.abc import Sequence
from typing import Any

import pytest

from cardwire.testing import card, click, given
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.answers import CardAnswer
from shared.core.decision import Card, Decision
from shared.core.effects import Effect, RenameChat, SendText, UpdateCard
from shared.core.errors import ConfigError


def nothing(_click: Interaction, _card: Card | None) -> None:
    """Decide nothing."""


def voting() -> App:
    """Return an app in which two people approve, and one takes over."""
    app = App()

    def too_late(_click: Interaction, _card: Card | None) -> Sequence[Effect]:
        return [SendText("太晚了", to=_click.operator.open_id)]

    @app.on_action("approve", quorum=2, lost=too_late, handler_name="approve")
    def approve(click: Interaction, _card: Card | None) -> Decision:
        return Decision(effects=[RenameChat(f"{'+'.join(click.voters)} by {click.winners[-1]}")], state="approved")

    @app.on_action("take", once="per_card", handler_name="take")
    def take(click: Interaction, _card: Card | None) -> Sequence[Effect]:
        return [UpdateCard({"taken": click.operator.open_id})]

    return app


def test_a_quorum_is_played_from_click_to_click() -> None:
    """The first is counted, the second decides and sees who voted, the third loses and is told so."""
    first = given(voting()).when(click("approve", open_id="ou_ada")).counted().then([])
    second = given(voting(), first.card).when(click("approve", open_id="ou_bob"))
    second.then([RenameChat("ou_ada+ou_bob by ou_bob")], state="approved")
    third = given(voting(), second.card).when(click("approve", open_id="ou_cat"))
    third.lost("quorum_reached").then([SendText("太晚了", to="ou_cat")])
    assert "approved" == third.card.state


def test_a_race_is_set_up_in_the_middle() -> None:
    """Without playing the clicks that led there."""
    reached = given(voting(), card(voters={"approve": ["ou_ada"]})).when(click("approve", open_id="ou_bob"))
    reached.then([RenameChat("ou_ada+ou_bob by ou_bob")], state="approved")
    given(voting(), card(winners={"take": ["ou_ada"]})).when(click("take")).lost("once_per_card").then([])


def test_what_a_loser_was_answered_with_is_not_what_the_card_becomes() -> None:
    """The winner's card is shown again."""
    app = App()
    app.on_action("take", once="per_card", answer=CardAnswer({"n": 0}), handler_name="take")(
        lambda click, _card: [UpdateCard({"by": click.operator.open_id})]
    )
    won = given(app).when(click("take", open_id="ou_ada"))
    lost = given(app, won.card).when(click("take", open_id="ou_bob")).lost("once_per_card")
    assert {"by": "ou_ada"} == lost.card.content


def test_a_click_that_lost_leaves_the_card_as_it_was() -> None:
    """It is no decision about the card, unless something of it is shown."""
    won = given(voting()).when(click("take", open_id="ou_ada"))
    lost = given(voting(), won.card).when(click("take", open_id="ou_bob")).lost("once_per_card")
    assert (1, 1) == (won.card.version, lost.card.version)


def test_what_a_loser_was_answered_with_stays_on_a_card_that_nobody_knows() -> None:
    """There is nothing to show again."""
    app = App()
    app.on_action("take", once="per_card", answer=CardAnswer({"n": 0}), handler_name="take")(nothing)
    lost = given(app, card(winners={"take": ["ou_ada"]})).when(click("take", open_id="ou_bob")).lost("once_per_card")
    assert {"n": 0} == lost.card.content


def test_a_wrong_expectation_says_what_came_instead() -> None:
    """In words."""
    result = given(voting()).when(click("take"))
    with pytest.raises(AssertionError, match="expected to lose by once_per_card, but it was decided"):
        result.lost("once_per_card")
    with pytest.raises(AssertionError, match="take was expected to count the click, but it was decided"):
        result.counted()
    with pytest.raises(AssertionError, match="but it was counted"):
        given(voting()).when(click("approve")).lost("quorum_reached")
    with pytest.raises(AssertionError, match="but it lost by once_per_card"):
        given(voting(), result.card).when(click("take")).counted()


def test_a_loser_decides_no_state() -> None:
    """State is the winner's."""
    app = App()
    app.on_action("take", once="per_card", lost=lambda _click, _card: Decision(state=1), handler_name="take")(nothing)
    late = given(app, card(winners={"take": ["ou_bob"]})).when(click("take"))
    late.lost("once_per_card").failed("lost= of take returned state")


def test_a_click_that_names_nobody_is_no_part_of_a_race() -> None:
    """One clear failure, and nothing is counted."""
    result = given(voting()).when(click("approve", open_id=None))  # type: ignore[arg-type]
    result.failed("approve has a race rule, but the click names nobody (no open_id)")
    assert {} == result.card.rules
    given(voting()).when(click("take", message_id=None)).failed("the click names no card")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"once": "per_chat"}, "once='per_chat': expected \"per_card\" or \"per_user\""),
        ({"once": 1}, "once=1: expected"),
        ({"quorum": 1}, "quorum=1: expected how many people have to click, 2 or more, as in quorum=3"),
        ({"quorum": True}, "quorum=True: expected"),
        ({"quorum": "3"}, "quorum='3': expected"),
        ({"once": "per_card", "quorum": 2}, "once= and quorum= exclude each other"),
        ({"lost": nothing}, "lost= is for clicks that lose"),
        ({"once": "per_card", "lost": "late"}, "cannot be a handler"),
        ({"once": "per_card", "lost": lambda _click: None}, "expected two arguments"),
    ],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused_at_start(arguments: dict[str, Any], line: str) -> None:
    """With one line that says what is expected."""
    with pytest.raises(ConfigError) as refused:
        App().on_action("take", **arguments)(nothing)
    assert line in str(refused.value)
