"""Race rules in the decision: who is decided, who is counted, what becomes of a click that lost."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import AnsweredCard, Effect, RenameChat, SendText, UpdateCard
from shared.core.events import Answer, InteractionReceived, Operator
from shared.core.ids import OpenId
from shared.core.json_text import JsonText, json_text
from shared.core.races import Standing
from tests.support.facts import APP, CARD, NOW, click
from tests.unit.worker.test_decide import decisions, drafted, written
from worker.deciding.judge import LATE_MS
from worker.ledger.decided import EVERY_APP, CardKey, CardRow, Known, Suspension
from worker.ledger.leased import FaceRow

ANSWER = JsonText('{"answer":1}')
WON = JsonText('{"by":"ou_ada"}')


def racing(**rule: Any) -> App:
    """Return an app whose only handler shows who clicked, under a rule; ``{"fail": true}`` makes it raise."""
    app = App()

    @app.on_action("follow_up", handler_name="follow_up", **rule)
    def follow_up(click: Interaction, _card: Card | None) -> Decision:
        if click.value.get("fail"):
            raise ValueError
        return Decision(state=list(click.voters), effects=[UpdateCard({"by": click.operator.open_id})])

    return app


def by(who: str | None, event: str = "", **fields: Any) -> InteractionReceived:
    """Return somebody's click."""
    return click(event or f"e-{who}", operator=Operator(open_id=OpenId(who) if who else None), **fields)


def came_to(
    app: App, clicks: Sequence[InteractionReceived], known: Known | None = None
) -> list[tuple[str, str | None]]:
    """Return what clicks of one batch came to."""
    told = decisions(written(clicks, known=known, app=app))
    return [(decided.result, decided.reason) for decided in told]


def stands(standing: Standing, *, content: str | None = WON, newest_at: int = NOW) -> Known:
    """Return a ledger in which a race on the card stands so."""
    row = CardRow(
        app_id=APP,
        message_id=CARD,
        version=4,
        state=None,
        content=None if content is None else JsonText(content),
        newest_at=newest_at,
        rules={"follow_up": standing},
    )
    return Known(now=NOW, cards={CardKey(APP, CARD): row})


ADA_WON = Standing(winners=(OpenId("ou_ada"),))


def test_once_per_card_the_first_click_of_a_batch_is_decided_and_the_others_are_refused() -> None:
    """By log order, and with the reason."""
    write = written([by("ou_ada"), by("ou_bob"), by("ou_cat")], app=racing(once="per_card"))
    told = decisions(write)
    assert ["decided", "refused", "refused"] == [decided.result for decided in told]
    assert [None, "once_per_card", "once_per_card"] == [decided.reason for decided in told]
    assert [("ou_ada",), (), ()] == [decided.winners for decided in told]
    (row,) = write.cards
    assert (1, WON, {"follow_up": ADA_WON}) == (row.version, row.content, row.rules)
    assert ["e-ou_ada"] == [effect.event_id for effect in write.effects]


def test_once_per_user_each_person_is_decided_once() -> None:
    """The second click of the same person is refused."""
    app = racing(once="per_user")
    clicks = [by("ou_ada"), by("ou_ada", "again"), by("ou_bob")]
    assert [("decided", None), ("refused", "once_per_user"), ("decided", None)] == came_to(app, clicks)


def test_a_quorum_is_counted_until_it_is_reached() -> None:
    """The handler runs once, sees who voted, and its decision names voters and winner."""
    people = ["ou_ada", "ou_bob", "ou_cat", "ou_dan"]
    write = written([*[by(who) for who in people[:2]], by("ou_ada", "again"), by("ou_cat"), by("ou_dan")],
                    app=racing(quorum=3))  # fmt: skip
    told = decisions(write)
    assert ["counted", "counted", "counted", "decided", "refused"] == [decided.result for decided in told]
    assert [("ou_ada",), ("ou_bob",), (), ("ou_cat",), ()] == [decided.voters for decided in told]
    assert [(), (), (), ("ou_cat",), ()] == [decided.winners for decided in told]
    assert "quorum_reached" == told[-1].reason
    assert [1, 2, 0, 3, 0] == [decided.version for decided in told]
    (row,) = write.cards
    assert '["ou_ada","ou_bob","ou_cat"]' == row.state


@pytest.mark.parametrize(
    ("rule", "reason"), [({"once": "per_card"}, "once_per_card"), ({"quorum": 2}, "quorum_reached")]
)
def test_a_race_that_the_ledger_knows_to_be_over_is_lost(rule: dict[str, Any], reason: str) -> None:
    """A later batch, or another worker, comes to the same as if it had seen the clicks itself."""
    assert [("refused", reason)] == came_to(racing(**rule), [by("ou_bob")], stands(ADA_WON))


def test_a_handler_that_raises_wins_nothing() -> None:
    """Its click failed; the next one may win."""
    failing = by("ou_ada", value={"action": "follow_up", "fail": True})
    told = decisions(written([failing, by("ou_bob")], app=racing(once="per_card")))
    assert ["failed", "decided"] == [decided.result for decided in told]
    assert [(), ("ou_bob",)] == [decided.winners for decided in told]


def test_a_vote_whose_handler_raises_does_not_count() -> None:
    """The quorum is still open, for the same person or another."""
    failing = by("ou_bob", value={"action": "follow_up", "fail": True})
    clicks = [by("ou_ada"), failing, by("ou_bob", "again"), by("ou_cat")]
    told = decisions(written(clicks, app=racing(quorum=2)))
    assert ["counted", "failed", "decided", "refused"] == [decided.result for decided in told]
    assert ("ou_ada", "ou_bob") == told[0].voters + told[2].voters


def test_a_click_that_names_nobody_fails_and_counts_nobody() -> None:
    """With one line for the dead letter."""
    write = written([by(None, "e1"), by("ou_bob")], app=racing(once="per_card"))
    assert ["failed", "decided"] == [decided.result for decided in decisions(write)]
    assert "follow_up has a race rule, but the click names nobody (no open_id)" == write.dead_letters[0].reason


def test_two_handlers_of_a_card_race_apart() -> None:
    """A count belongs to one handler."""
    app = racing(once="per_card")
    app.on_action("close", once="per_card", handler_name="close")(lambda _click, _card: None)
    clicks = [by("ou_ada"), by("ou_bob", "close", value={"action": "close"})]
    assert [("decided", None)] * 2 == came_to(app, clicks)


def test_a_race_is_of_one_message() -> None:
    """The same person wins on another card."""
    clicks = [by("ou_ada"), by("ou_ada", "other", message_id="om_2")]
    assert [("decided", None)] * 2 == came_to(racing(once="per_user"), clicks)


def test_counting_goes_on_while_the_handler_is_suspended() -> None:
    """Nobody's code is needed for it; the click that would reach the quorum fails and may be redriven."""
    hung = Suspension(app_id=EVERY_APP, handler="follow_up", misses=3, until=NOW + 1)
    known = Known(now=NOW, suspensions={hung.key: hung})
    clicks = [by("ou_ada"), by("ou_bob")]
    assert [("counted", None), ("failed", "suspended")] == came_to(racing(quorum=2), clicks, known)


def losing(**effects: Sequence[Effect] | Decision) -> App:
    """Return a race whose losers get these effects."""
    return racing(once="per_card", lost=lambda _click, _card: effects["lost"])


def test_what_lost_returns_is_planned_for_the_click_that_lost() -> None:
    """The claim is refused all the same, and the effects are told with it."""
    write = written([by("ou_bob")], app=losing(lost=[SendText("太晚了", to="ou_bob")]), known=stands(ADA_WON))
    (decided,) = decisions(write)
    assert ("refused", "once_per_card", "follow_up") == (decided.result, decided.reason, decided.handler)
    assert ["SendText"] == [effect.kind for effect in write.effects]
    assert ([], []) == (write.cards, write.dead_letters)


def test_a_card_that_lost_returns_is_the_intended_one_from_then_on() -> None:
    """The card's version goes up, so that the ledger can be folded."""
    write = written([by("ou_bob")], app=losing(lost=[UpdateCard({"late": 1})]), known=stands(ADA_WON))
    (row,), (decided,) = write.cards, decisions(write)
    assert (5, '{"late":1}', {"follow_up": ADA_WON}) == (row.version, row.content, row.rules)
    assert (5, '{"late":1}') == (decided.version, decided.intended)


def test_a_lost_that_fails_is_a_failure_of_its_handler() -> None:
    """It may be redriven, and would lose again."""
    write = written([by("ou_bob")], app=losing(lost=Decision(state=1)), known=stands(ADA_WON))
    (decided,) = decisions(write)
    assert ("failed", "lost= of follow_up returned state, which is for the handler itself to decide") == (
        decided.result, decided.reason,
    )  # fmt: skip


def answered(who: str, card: JsonText = ANSWER, **fields: Any) -> InteractionReceived:
    """Return somebody's click that was answered with a card."""
    return by(who, answer=Answer(card=card), **fields)


def test_the_card_that_a_loser_was_answered_with_is_painted_over_with_the_intended_one() -> None:
    """After the answer, as effect 0: the answer was shown before anybody knew that the click had lost."""
    write = written([answered("ou_bob")], app=racing(once="per_card"), known=stands(ADA_WON))
    (restored,) = decisions(write)[0].effects
    assert (0, "after_answer", "card", UpdateCard({"by": "ou_ada"})) == (
        restored.index, restored.eligibility, restored.coalesce, restored.effect,
    )  # fmt: skip
    assert WON == decisions(write)[0].intended


def test_an_answer_that_shows_the_intended_card_needs_no_repair() -> None:
    """It is written down as shown, without a call."""
    write = written([answered("ou_bob", WON)], app=racing(once="per_card"), known=stands(ADA_WON))
    assert [AnsweredCard(WON)] == [effect.effect for effect in decisions(write)[0].effects]


def test_where_nobody_knows_what_to_show_the_losers_answer_stays() -> None:
    """And is written down, so that the ledger knows what is on the screen."""
    write = written([answered("ou_bob")], app=racing(once="per_card"), known=stands(ADA_WON, content=None))
    assert [AnsweredCard(ANSWER)] == [effect.effect for effect in decisions(write)[0].effects]
    assert ANSWER == write.cards[0].content


def test_a_card_that_we_sent_is_what_a_losers_answer_is_replaced_with() -> None:
    """Where no decision has set another one."""
    sent = FaceRow(app_id=APP, message_id=CARD, sent=JsonText('{"sent":1}'), sent_at=NOW - 1)
    known = replace(stands(ADA_WON, content=None), faces={CardKey(APP, CARD): sent})
    write = written([answered("ou_bob")], app=racing(once="per_card"), known=known)
    assert [UpdateCard({"sent": 1})] == [effect.effect for effect in decisions(write)[0].effects]


def test_a_card_that_only_the_loser_was_shown_is_left_alone() -> None:
    """It hides the winner's card from nobody else."""
    mine = json_text({"config": {"update_multi": False}, "elements": []})
    write = written([answered("ou_bob", mine)], app=racing(once="per_card"), known=stands(ADA_WON))
    assert () == decisions(write)[0].effects


def test_a_counted_click_keeps_the_card_that_it_was_answered_with() -> None:
    """The answer is all that its author has said about it."""
    write = written([answered("ou_ada")], app=racing(quorum=2))
    assert [AnsweredCard(ANSWER)] == [effect.effect for effect in decisions(write)[0].effects]
    assert ANSWER == write.cards[0].content


def test_a_late_loser_repaints_nothing() -> None:
    """What newer clicks have shown since came after its answer."""
    known = stands(ADA_WON, newest_at=NOW + LATE_MS + 1)
    write = written([answered("ou_bob")], app=losing(lost=[UpdateCard({}), RenameChat("n")]), known=known)
    assert [RenameChat("n")] == [effect.effect for effect in decisions(write)[0].effects]


def test_nobodys_click_is_late_because_of_one_that_was_counted() -> None:
    """Counting is no decision about the card."""
    ahead = by("ou_ada", occurred_at=NOW + 2 * LATE_MS)
    told = decisions(written([ahead, by("ou_bob")], app=racing(quorum=2)))
    assert [False, False] == [decided.late for decided in told]


def test_other_handlers_see_how_a_race_stands() -> None:
    """On the card that they are given."""
    seen: list[Standing] = []
    app = racing(once="per_card")

    @app.on_action("look")
    def look(_click: Interaction, card: Card | None) -> None:
        assert card is not None
        seen.append(card.rules["follow_up"])

    draft = drafted([by("ou_ada"), by("ou_bob", value={"action": "look"})], app=app)
    assert ({"decided": 2}, [ADA_WON]) == (draft.results, seen)
