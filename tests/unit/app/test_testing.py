import itertools
import time
from datetime import timedelta
from typing import Any

import pytest

from cardwire.testing import (
    NEW_YEAR,
    Nondeterministic,
    Result,
    card,
    click,
    event,
    given,
    link,
    reminder,
    result,
)
from shared.app.app import App
from shared.app.handler import HANDLER_S
from shared.app.interaction import Interaction
from shared.app.subject import CallResult, Reminder
from shared.core.answers import CardAnswer, CustomAnswer, Preview
from shared.core.cards import Toast
from shared.core.decision import Card, Decision
from shared.core.effects import Call, Effect, RenameChat, UpdateCard, UpdateElement
from shared.core.errors import ConfigError

app = App()
ticks = itertools.count()


@app.on_action("count", answer=Toast.info("好"))
def count(click: Interaction, card: Card | None) -> Decision:
    """Count the clicks of a card, and show the count."""
    n = 1 + (card.state["n"] if card and card.state else 0)
    return Decision(effects=[UpdateCard({"n": n})], state={"n": n})


@app.on_action("rename")
def rename(click: Interaction, card: Card | None) -> list[RenameChat]:
    """Leave the state alone."""
    return [RenameChat(str(click.value["to"]))]


@app.on_action("random")
def random(click: Interaction, card: Card | None) -> list[RenameChat]:
    """Remember earlier calls, which no handler should."""
    return [RenameChat(f"tick {next(ticks)}")]


@app.on_event("out_approval")
def approved(interaction: Interaction, card: Card | None) -> Any:
    """Do what an event without a card cannot."""
    return Decision(state=interaction.callback["event"])


def test_an_expected_decision_passes() -> None:
    """Effects, state and answer are compared by value."""
    result = given(app).when(click("count")).then([UpdateCard({"n": 1})], state={"n": 1})
    result.answered(Toast.info("好"))


def test_a_card_is_given_with_its_state() -> None:
    """A test starts anywhere in a card's life."""
    given(app, card(state={"n": 41})).when(click("count")).then([UpdateCard({"n": 42})], state={"n": 42})


def test_the_card_after_a_decision_is_given_to_the_next_click() -> None:
    """A story of several clicks is told as one."""
    first = given(app).when(click("count"))
    assert ({"n": 1}, {"n": 1}, 1) == (first.card.state, first.card.content, first.card.version)
    second = given(app, first.card).when(click("rename", value={"to": "x"}))
    assert ({"n": 1}, 2) == (second.card.state, second.card.version)


@pytest.mark.parametrize(
    ("effects", "state"),
    [([], {"n": 1}), ([UpdateCard({"n": 2})], {"n": 1}), ([UpdateCard({"n": 1})], {"n": 2})],
)
def test_another_decision_fails_with_the_difference(effects: list[UpdateCard], state: object) -> None:
    """The lines that differ are shown, expected and actual."""
    with pytest.raises(AssertionError, match=r"count decided otherwise:\n--- expected\n\+\+\+ actual"):
        given(app).when(click("count")).then(effects, state=state)


def test_an_unexpected_state_fails() -> None:
    """Leaving the state out means that it is left alone."""
    with pytest.raises(AssertionError, match='"n": 1'):
        given(app).when(click("count")).then([UpdateCard({"n": 1})])


def test_a_handler_with_a_memory_is_found_out() -> None:
    """A second run with the same click must decide the same."""
    with pytest.raises(Nondeterministic, match=r"(?s)random decided differently .*tick 0.*tick 1"):
        given(app).when(click("random"))


def test_a_failing_handler_is_expected_by_its_reason() -> None:
    """The reason is the one that the dead letter will tell."""
    given(app).when(click("rename")).failed("KeyError in rename")
    given(app).when(event("out_approval", {})).failed("returned state, but event is about no card")


def test_an_unexpected_failure_shows_its_cause() -> None:
    """The handler's own traceback is chained."""
    with pytest.raises(AssertionError) as unexpected:
        given(app).when(click("rename")).then([])
    error = unexpected.value.__cause__
    assert error is not None
    assert isinstance(error.__cause__, KeyError)


@pytest.mark.parametrize(
    "expect", [Result.ignored, Result.failed, lambda result: result.answered(None), lambda result: result.then([])]
)
def test_a_wrong_expectation_fails(expect: Any) -> None:
    """An expectation that cannot fail would be none."""
    with pytest.raises(AssertionError, match="count"):
        expect(given(app).when(click("count")))


def test_a_click_that_nobody_handles_is_ignored() -> None:
    """It is recorded, and decides nothing."""
    given(app).when(click("unknown")).ignored()
    with pytest.raises(AssertionError, match="no handler matched"):
        given(app).when(click("unknown")).then([])


def test_every_kind_of_answer_is_compared_by_value() -> None:
    """Cards and bodies as JSON, not as text of JSON."""
    answering = App()
    answering.on_action("card", answer=CardAnswer({"n": 1}, toast=Toast.info("好")))(count)
    answering.on_action("custom", answer=lambda click: CustomAnswer(400, {"by": click.operator.open_id}))(count)
    answering.answer_link_preview()(lambda shown: Preview(shown.url))
    given(answering).when(click("card")).answered(CardAnswer('{ "n": 1 }', toast=Toast.info("好")))
    given(answering).when(click("custom", open_id="ou_bob")).answered(CustomAnswer(400, '{ "by": "ou_bob" }'))
    given(answering).when(link("https://a/")).ignored().answered(Preview("https://a/"))
    with pytest.raises(AssertionError, match=r'(?s)answered otherwise.*-.*"ou_ada".*\+.*"ou_bob"'):
        given(answering).when(click("custom", open_id="ou_bob")).answered(CustomAnswer(400, {"by": "ou_ada"}))


def test_an_answered_card_is_what_the_next_click_sees() -> None:
    """Unless the decision shows another."""
    answering = App()
    answering.on_action("keep", answer=CardAnswer({"n": 1}))(lambda click, card: None)
    answering.on_action("count", answer=CardAnswer({"n": 0}))(count)
    assert {"n": 1} == given(answering).when(click("keep")).card.content
    assert {"n": 1} == given(answering).when(click("count")).card.content


def test_a_card_that_only_its_clicker_was_answered_with_is_nobody_elses() -> None:
    """The next click meets the card as it was: here, one that nothing is known of."""
    seen: list[Card | None] = []
    answering = App()
    answering.on_action("show", answer=CardAnswer({"config": {"update_multi": False}}))(lambda click, card: None)
    answering.on_action("look", handler_name="look")(lambda click, card: seen.append(card))
    after = given(answering).when(click("show")).card
    given(answering, after).when(click("look"))
    assert (Card(), [None, None]) == (after, seen)


def test_a_card_is_known_from_the_first_decision_that_changed_it() -> None:
    """Until then a handler sees none; from then on it is in the chat of who clicks."""
    seen: list[Card | None] = []
    watching = App()
    watching.on_action("count")(count)
    watching.on_action("look", handler_name="look")(lambda click, card: seen.append(card))
    first = given(watching).when(click("look")).card
    second = given(watching, first).when(click("count")).card
    given(watching, second).when(click("look", chat_id="oc_2"))
    assert [None, None, "oc_2", "oc_2"] == [None if shown is None else shown.chat_id for shown in seen]


def test_a_redriven_click_shows_no_answer() -> None:
    """Nobody waits for it any more; what its handler decides is shown."""
    answering = App()
    answering.on_action("keep", answer=CardAnswer({"n": 0}))(lambda click, card: None)
    answering.on_action("count", answer=CardAnswer({"n": 0}))(count)
    assert Card() == given(answering).when(click("keep"), redriven=True).answered(None).card
    assert {"n": 1} == given(answering).when(click("count"), redriven=True).card.content


def test_an_answer_that_changes_or_fails_is_found_out() -> None:
    """Functions that answer are run twice, as handlers are."""
    answering = App()
    answering.on_action("tick", answer=lambda _: Toast.info(f"tick {next(ticks)}"))(count)
    answering.on_action("fail", answer=lambda click: click.value["missing"], handler_name="failing")(rename)
    with pytest.raises(Nondeterministic, match="answered differently"):
        given(answering).when(click("tick"))
    with pytest.raises(AssertionError, match="nothing: KeyError in the answer of failing"):
        given(answering).when(click("fail", value={"to": "x"})).answered(Toast.info("好"))


def test_an_app_that_could_not_start_is_not_tested_either() -> None:
    """The start's refusals are seen in the tests first."""
    contradictory = App()
    for name in ("one", "two"):
        contradictory.on_action("a", handler_name=name)(rename)
    with pytest.raises(ConfigError):
        given(contradictory)


def returning() -> App:
    """Return handlers that have work done, and are reminded."""
    app = App()

    @app.call("publish")
    async def publish(args: object, *, idempotency_key: str) -> None: ...

    @app.on_action("publish")
    def clicked(click: Interaction, card: Card | None) -> list[Call]:
        return [Call(click.value["call"], {"n": 1})]

    @app.on_result("publish")
    def published(result: CallResult, card: Card | None) -> Decision:
        return Decision(state={"value": result.value, "error": result.error, "by": result.operator.open_id})

    @app.on_reminder("escalate")
    def escalate(reminder: Reminder, card: Card | None) -> Decision:
        return Decision(state={"late": (reminder.now - reminder.due).total_seconds()})

    return app


def test_results_and_reminders_are_decided_as_clicks_are() -> None:
    """What comes back is given like a click."""
    app = returning()
    asked = given(app).when(click("publish", value={"call": "publish"})).then([Call("publish", {"n": 1})])
    done = given(app, asked.card).when(result("publish", {"url": "u"}))
    done.then([], state={"value": {"url": "u"}, "error": None, "by": "ou_ada"})
    failed = given(app, done.card).when(result("publish", error="late")).answered(None)
    failed.then([], state={"value": None, "error": "late", "by": "ou_ada"})
    late = reminder("escalate", due=NEW_YEAR - timedelta(seconds=5))
    given(app, failed.card).when(late).then([], state={"late": 5.0})
    given(app).when(result("other")).ignored()


def test_a_misspelt_call_is_found_by_a_test() -> None:
    """As the worker would find it."""
    given(returning()).when(click("publish", value={"call": "publsh"})).failed('expected one under @app.call("publsh")')


def test_the_next_card_has_its_changed_parts_and_nothing_that_one_person_alone_sees() -> None:
    """As the worker knows it."""
    app = App()

    @app.on_action("change")
    def change(click: Interaction, card: Card | None) -> list[Effect]:
        part = {"tag": "markdown", "element_id": "a", "content": click.value["text"]}
        return [UpdateElement("a", part), UpdateCard({"elements": []}, audience="ou_ada")]

    shown = {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "element_id": "a", "content": "…"}]}}
    after = given(app, card(content=shown)).when(click("change", value={"text": "new"})).card
    assert "new" == after.content["body"]["elements"][0]["content"]


def test_a_handler_that_is_late_fails_as_in_the_worker() -> None:
    """However right its decision is; without a wish, after the worker's own 2 s."""
    slow = App()

    @slow.on_action("slow", handler_name="think")
    def think(click: Interaction, card: Card | None) -> list[RenameChat]:
        time.sleep(0.005)
        return [RenameChat("at last")]

    given(slow, deadline_s=0.001).when(click("slow")).failed("deadline: think took longer than 0.001 s")
    given(slow, deadline_s=60).when(click("slow")).then([RenameChat("at last")])
    assert HANDLER_S == given(slow).deadline_s
