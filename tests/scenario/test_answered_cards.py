"""Cards that are answered: on the screen at once, written down without a call, sent where the answer did not arrive."""

import asyncio
import json
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.answers import CardAnswer, CustomAnswer, Preview, template
from shared.core.cards import Toast
from shared.core.decision import Card, Decision
from shared.core.effects import UpdateCard
from shared.core.events import Answer, InteractionReceived
from shared.core.ids import OpenId
from shared.core.json_text import json_text
from simulator.answers import CallbackStyle
from simulator.callbacks import Person
from simulator.cards import read_card
from tests.scenario.handlers import BLANK, PATCH
from tests.support import facts
from tests.support.dump import dump
from tests.support.world import ENCRYPTED, LEGACY, Stack, World, clock_of_now, world

ANSWERED: dict[str, Any] = {**BLANK, "is": "answered"}
DECIDED: dict[str, Any] = {**BLANK, "is": "decided"}
MINE: dict[str, Any] = {"config": {"update_multi": False}, "elements": [], "is": "mine"}
NEWER: dict[str, Any] = {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "newer"}]}}
UNANSWERED_MS = 3_000
SETTLE_MS = 300


def app_of_answers() -> App:
    """Return handlers that answer with cards and with what else there is."""
    app = App()

    @app.on_action("answer", answer=CardAnswer(ANSWERED, toast=Toast.success("好")))
    def answer(click: Interaction, card: Card | None) -> None:
        """Decide nothing besides."""

    @app.on_action("both", answer=CardAnswer(ANSWERED))
    def both(click: Interaction, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard(DECIDED)]

    @app.on_action("count", answer=lambda click: CardAnswer({**BLANK, "by": click.value["n"]}))
    def count(click: Interaction, card: Card | None) -> Decision:
        return Decision(state=(card.state or 0) + 1 if card else 1)

    @app.on_action("newer", answer=CardAnswer(NEWER))
    def newer(click: Interaction, card: Card | None) -> None:
        """Decide nothing besides."""

    @app.on_action("mine", answer=CardAnswer(MINE))
    def mine(click: Interaction, card: Card | None) -> None:
        """Decide nothing besides."""

    @app.on_action("update")
    def update(click: Interaction, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({**BLANK, "by": click.value["n"]})]

    @app.on_action("custom", answer=CustomAnswer(400, {"content": "hello"}))
    def custom(click: Interaction, card: Card | None) -> None:
        """Decide nothing besides."""

    @app.on_action("template", answer=CardAnswer(template("AAq1", version="1.0.0", variables={"n": 1})))
    def from_template(click: Interaction, card: Card | None) -> None:
        """Decide nothing besides."""

    app.on_link_preview("https://example.com/", answer=lambda link: Preview(link.url), handler_name="seen")(
        lambda link, card: None
    )
    return app


@pytest.mark.parametrize("style", ["new", "legacy"])
async def test_an_answered_card_is_shown_at_once_and_never_sent(either_ledger: Stack, style: CallbackStyle) -> None:
    """The person sees it with the answer; the ledger knows that it is shown, and no call is made."""
    async with world(
        either_ledger, app_of_answers(), credentials=LEGACY if style == "legacy" else ENCRYPTED
    ) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        seen = await running.simulator.click(message_id, {"action": "answer"}, style=style)
        assert (200, None, "好") == (seen.status, seen.client_error, seen.client_text)
        assert ANSWERED == shown(running, message_id)
        await running.quiet()
        (outcome,) = await running.outcomes()
        assert ("AnsweredCard", 0, "succeeded", "answered") == (
            outcome.kind,
            outcome.index,
            outcome.status,
            outcome.reason,
        )
        assert [] == running.calls(PATCH)
        assert ["sent", "answer"] == by(running, message_id)
        await running.check()


async def test_a_2_0_card_follows_a_legacy_answer(either_ledger: Stack) -> None:
    """The legacy answer has no place for it: the person sees it a moment later."""
    async with world(either_ledger, app_of_answers(), credentials=LEGACY) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        seen = await running.simulator.click(message_id, {"action": "newer"}, style="legacy")
        assert (None, "{}") == (seen.client_error, seen.body)
        await running.quiet()
        assert ["sent", "patch"] == by(running, message_id)
        assert NEWER == shown(running, message_id)
        await running.check()


async def test_the_handlers_card_follows_the_answered_one(either_ledger: Stack) -> None:
    """First what was answered, then what was decided: one call."""
    async with world(either_ledger, app_of_answers()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await running.simulator.click(message_id, {"action": "both"})
        await running.quiet()
        assert ["sent", "answer", "patch"] == by(running, message_id)
        assert DECIDED == shown(running, message_id)
        assert {"succeeded"} <= {outcome.status for outcome in await running.outcomes()}
        await running.check()


@pytest.mark.parametrize("delivered", [False, None], ids=["client gone", "no mark"])
async def test_an_answer_that_was_not_delivered_is_sent_as_an_update(
    either_ledger: Stack, *, delivered: bool | None
) -> None:
    """After the settle gap where the gateway says so, after three seconds where it said nothing."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_answers(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        click = logged(message_id, "answer", ANSWERED, at=clock.now())
        marks = [] if delivered is None else [facts.mark(click, delivered=delivered, answered_at=clock.now())]
        await running.append(click, *marks)
        await running.quiet()
        (outcome,), (decision,) = await running.outcomes(), await running.decisions()
        assert ("AnsweredCard", "succeeded", None) == (outcome.kind, outcome.status, outcome.reason)
        assert ANSWERED == shown(running, message_id)
        waits = (outcome.started_at or 0) - decision.decided_at
        least = UNANSWERED_MS if delivered is None else SETTLE_MS
        assert least <= waits < least + 1_000
        await running.check()


async def test_an_older_update_that_waits_is_superseded_by_a_delivered_card(either_ledger: Stack) -> None:
    """It would paint yesterday's state over what the newer click shows."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_answers(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        older = facts.click(
            "e1",
            value={"action": "update", "n": 1},
            message_id=message_id,
            occurred_at=clock.now(),
            received_at=clock.now(),
        )
        newer = logged(message_id, "answer", ANSWERED, at=clock.now(), event_id="e2")
        await running.append(older, newer, facts.mark(newer, answered_at=clock.now()))
        await running.quiet()
        told = {outcome.event_id: (outcome.status, outcome.reason) for outcome in await running.outcomes()}
        assert {"e1": ("superseded", "by e2/0"), "e2": ("succeeded", "answered")} == told
        assert [] == running.calls(PATCH)
        await running.check()


async def test_of_two_answers_the_older_may_have_been_painted_last(either_ledger: Stack) -> None:
    """Both were delivered, nobody knows in which order: the newest is sent once more, and stands in the end."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_answers(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        older, newer = {**BLANK, "by": 1}, {**BLANK, "by": 2}
        for card in (newer, older):
            paint(running, message_id, card)
        clicks = [
            logged(message_id, "answer", card, at=clock.now(), event_id=f"e{n}")
            for n, card in enumerate((older, newer))
        ]
        await running.append(*clicks, *(facts.mark(click, answered_at=clock.now()) for click in clicks))
        await running.quiet()
        assert newer == shown(running, message_id)
        assert 1 == len(running.calls(PATCH))
        await running.check()


async def test_an_older_update_may_have_been_painted_over_an_answer(either_ledger: Stack) -> None:
    """It was on its way when the newer click was answered: the answered card is sent once more."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_answers(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        answered_at = clock.now()
        paint(running, message_id, ANSWERED)
        older = facts.click(
            "e1",
            value={"action": "update", "n": 1},
            message_id=message_id,
            occurred_at=answered_at,
            received_at=answered_at,
        )
        await running.append(older, facts.mark(older, answered_at=answered_at))
        await running.quiet()
        assert {**BLANK, "by": 1} == shown(running, message_id)
        newer = logged(message_id, "answer", ANSWERED, at=answered_at, event_id="e2")
        await running.append(newer, facts.mark(newer, answered_at=answered_at))
        await running.quiet()
        assert ANSWERED == shown(running, message_id)
        assert 2 == len(running.calls(PATCH))
        await running.check()


async def test_whatever_was_painted_last_the_newest_card_is_shown_in_the_end(stack: Stack) -> None:
    """Answers and updates of many people at the same time, in any order on the screen: the log's newest one wins."""
    async with world(stack, app_of_answers()) as running:
        cards = [running.simulator.put_card(await running.chat(), BLANK) for _ in range(3)]
        await asyncio.gather(*[
            running.simulator.click(card, {"action": "count" if n % 3 else "update", "n": n}, open_id=f"ou_{n}")
            for n in range(12)
            for card in cards
        ])  # fmt: skip
        await running.quiet()
        decisions = await running.decisions()
        assert len(decisions) == 12 * len(cards)
        for card in cards:
            newest = max((each for each in decisions if each.message_id == card), key=lambda each: each.offset)
            assert json.loads(newest.intended or "") == shown(running, card)
        # Limits are kept, and nothing is reverted.
        await running.check()


async def test_one_persons_card_changes_what_one_person_sees(either_ledger: Stack) -> None:
    """An explicit update_multi: false is for who clicked; everybody else's card is as it was, also to the ledger."""
    async with world(either_ledger, app_of_answers()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await running.simulator.click(message_id, {"action": "mine"}, open_id="ou_ada")
        await running.quiet()
        views = running.simulator.platform.message(message_id).views
        assert {"ou_ada": MINE} == {person: json.loads(card.text) for person, card in views.items()}
        assert BLANK == shown(running, message_id)
        assert [] == running.calls(PATCH)
        (outcome,) = await running.outcomes()
        assert ("AnsweredCard", "succeeded", None) == (outcome.kind, outcome.status, outcome.shown)
        await running.check()


async def test_one_persons_card_that_did_not_arrive_is_refused_without_a_right(either_ledger: Stack) -> None:
    """Only what the callback gave the right to could show it; this one came without."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_answers(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        click = logged(message_id, "mine", MINE, at=clock.now())
        await running.append(click, facts.mark(click, delivered=False, answered_at=clock.now()))
        await running.quiet()
        assert [("refused", "no_token")] == [(each.status, each.reason) for each in await running.outcomes()]
        assert [] == running.calls(PATCH)
        await running.check()


async def test_a_custom_answer_is_what_the_person_gets(either_ledger: Stack) -> None:
    """Today's clients show an error for any status but 200; the click counts all the same."""
    async with world(either_ledger, app_of_answers()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        seen = await running.simulator.click(message_id, {"action": "custom"})
        assert (400, 200671, {"content": "hello"}) == (seen.status, seen.client_error, json.loads(seen.body or ""))
        await running.quiet()
        assert ["decided"] == [decision.result for decision in await running.decisions()]
        assert BLANK == shown(running, message_id)
        await running.check()


async def test_a_template_is_answered_as_one(either_ledger: Stack) -> None:
    """The platform fills it in; we write down that it is shown."""
    async with world(either_ledger, app_of_answers()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        seen = await running.simulator.click(message_id, {"action": "template"})
        assert None is seen.client_error
        await running.quiet()
        assert template("AAq1", version="1.0.0", variables={"n": 1}) == shown(running, message_id)
        await running.check()


async def test_a_link_is_shown_and_then_decided(either_ledger: Stack) -> None:
    """Its preview is answered, its handler runs once."""
    async with world(either_ledger, app_of_answers()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        person = Person(open_id=OpenId("ou_1"))
        seen = await running.simulator.deliverer.preview(
            "https://example.com/1", operator=person, message_id=message_id
        )
        assert (None, {"inline": {"title": "https://example.com/1"}}) == (
            seen.client_error,
            json.loads(seen.body or ""),
        )
        await running.until(lambda: _decided(running))
        await running.quiet()
        (decision,) = await running.decisions()
        assert ("decided", "seen") == (decision.result, decision.handler)
        await running.check()


async def _decided(running: World) -> bool:
    return bool((await dump(running.ledger.database)).claims)


def logged(message_id: str, action: str, card: dict[str, Any], *, at: int, event_id: str = "e1") -> InteractionReceived:
    """Return a click as a gateway that answered it with a card records it."""
    return facts.click(
        event_id,
        value={"action": action},
        message_id=message_id,
        occurred_at=at,
        received_at=at,
        answer=Answer(rule=action, card=json_text(card)),
    )


def paint(running: World, message_id: str, card: dict[str, Any]) -> None:
    """Show a card on the screen, as an answer does."""
    message = running.simulator.platform.message(message_id)
    message.show(read_card(json.dumps(card)), by="answer", now=running.simulator.platform.clock.now())


def shown(running: World, message_id: str) -> Any:
    """Return the card that everybody sees."""
    card = running.simulator.platform.message(message_id).card
    return None if card is None else json.loads(card.text)


def by(running: World, message_id: str) -> list[str]:
    """Return what changed a card, in order."""
    return [version.by for version in running.simulator.platform.message(message_id).versions]
