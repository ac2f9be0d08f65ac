"""Decisions that cannot be decided, or not be stored: each fails alone, and no worker ends of it, now or later."""

import asyncio
from typing import Any, NoReturn

import pytest

from shared.app.app import App
from shared.app.handler import Handler
from shared.app.interaction import Interaction
from shared.app.subject import CallResult, Reminder
from shared.core.decision import Card, Decision
from shared.core.effects import CallApi, Effect, RenameChat, SendText
from shared.core.events import (
    COMMAND_LINE,
    CallReturned,
    Decided,
    Event,
    Heard,
    RequestReceived,
    TimerFired,
    request_event_id,
)
from shared.core.ids import EventId, MessageId
from shared.core.json_text import JsonText
from tests.scenario.handlers import BLANK, SEND
from tests.support.facts import APP, CHAT, NOW, TENANT, click
from tests.support.world import Stack, World, clock_of_now, world


class Unreadable(dict[str, Any]):
    """A state that fails whoever reads it."""

    def items(self) -> NoReturn:
        """Fail."""
        raise ZeroDivisionError("secret")


def bad(what: str) -> Any:
    """Return what a handler should not."""
    match what:
        case "holds itself":
            query: dict[str, Any] = {}
            query["it"] = query
            return [CallApi("GET", "/open-apis/im/v1/chats", query)]
        case "cannot be read":
            return Decision(state=Unreadable(a=1), effects=[])
        case "interrupts":
            raise KeyboardInterrupt
        case "has no receiver":
            return [SendText("x", to="a\0b")]
        case "has a receiver too long for an index":
            return [SendText("x", to="".join(chr(0x4E00 + at * 7919 % 20_000) for at in range(2_800)))]
        case _:
            return [RenameChat("x", chat_id="oc_\0")]  # type: ignore[arg-type]


KINDS = ["holds itself", "cannot be read", "interrupts", "has no receiver", "has a receiver too long for an index", "0"]


def poisoned() -> App:
    """Return handlers that return what they should not, and ``text``, which is right."""
    app = App()

    @app.on_action("bad")
    def decide(given: Interaction, card: Card | None) -> Any:
        return bad(given.value["what"])

    @app.on_action("key")
    def key(given: Interaction, card: Card | None) -> list[Effect]:
        return [CallApi("GET", "/open-apis/im/v1/chats", {given.value["q"]: "1"})]

    @app.on_action("text")
    def text(given: Interaction, card: Card | None) -> list[SendText]:
        return [SendText("hello")]

    @app.on_action("once", once="per_card", lost=lambda given, card: bad("holds itself"), handler_name="once")
    def once(given: Interaction, card: Card | None) -> None: ...

    @app.on_result("sum")
    def result(given: CallResult, card: Card | None) -> Any:
        return bad("holds itself")

    @app.on_reminder("tick")
    def tick(given: Reminder, card: Card | None) -> Any:
        return bad("cannot be read")

    return app


class Lost(App):
    """Handlers that are not found: a mistake of ours, where no guard is."""

    def handler_for(self, received: Heard) -> Handler | None:
        """Fail for one event."""
        if received.event_id == "poison":
            raise ZeroDivisionError("secret")
        return super().handler_for(received)


async def told(running: World) -> dict[str, Decided]:
    """Wait until all is at rest; return what was decided, by event."""
    await running.quiet()
    return {decided.event_id: decided for decided in await running.decisions()}


async def parked(running: World) -> int:
    """Return how many records were put aside."""
    return sum(span.end for span in (await running.event_log.spans(running.topics.dead)).values())


async def beside(stack: Stack, app: App, *poison: Event) -> tuple[dict[str, Decided], int, int]:
    """Decide poison and a healthy click as one batch; return the decisions, and how many texts and parked records."""
    async with world(stack, app, clock=clock_of_now(), workers=0) as running:
        chat_id = await running.chat()
        card = running.simulator.put_card(chat_id, BLANK)
        healthy = click("healthy", value={"action": "text"}, message_id=card, chat_id=chat_id)
        await running.append(*poison, healthy)
        await running.start_worker()
        decided = await told(running)
        await running.check()
        return decided, len(running.calls(SEND, target=chat_id)), await parked(running)


@pytest.mark.parametrize("what", KINDS)
async def test_a_poisoned_decision_fails_alone(what: str, either_ledger: Stack) -> None:
    """Its click is a dead letter with a reason, the click beside it is decided, and nothing is put aside."""
    poison = click("poison", value={"action": "bad", "what": what}, message_id="om_p")
    decided, texts, aside = await beside(either_ledger, poisoned(), poison)
    assert ("failed", ()) == (decided["poison"].result, decided["poison"].effects)
    assert "secret" not in (decided["poison"].reason or "")
    assert ("decided", 1, 0) == (decided["healthy"].result, texts, aside)


async def test_a_typed_half_character_is_no_poison_as_a_parameters_name(either_ledger: Stack) -> None:
    """It is repaired as in any text, and the call is made."""
    typed = click("poison", value={"action": "key", "q": "\ud800"}, message_id="om_p")
    decided, texts, aside = await beside(either_ledger, poisoned(), typed)
    assert ("decided", "decided", 1, 0) == (decided["poison"].result, decided["healthy"].result, texts, aside)


async def test_what_comes_back_comes_due_or_comes_too_late_is_guarded_alike(either_ledger: Stack) -> None:
    """Handlers of results, of reminders and of losers fail like those of clicks."""
    about = {"origin": EventId("e0"), "app_id": APP, "tenant_key": TENANT, "message_id": MessageId("om_p")}
    back = CallReturned(
        **about,  # type: ignore[arg-type]
        event_id=EventId("e0/1/returned"),
        name="sum",
        value=JsonText("1"),
        occurred_at=NOW,
        received_at=NOW,
    )
    due = TimerFired(
        **about,  # type: ignore[arg-type]
        event_id=EventId("e0/2/fired"),
        key="tick",
        due=NOW,
        occurred_at=NOW,
        received_at=NOW,
    )
    race = [click(name, value={"action": "once"}, message_id="om_q") for name in ("first", "late")]
    decided, texts, aside = await beside(either_ledger, poisoned(), back, due, *race)
    results = {name: one.result for name, one in decided.items()}
    assert {
        "e0/1/returned": "failed",
        "e0/2/fired": "failed",
        "first": "decided",
        "late": "failed",
        "healthy": "decided",
    } == results
    assert (1, 0) == (texts, aside)


async def test_a_mistake_of_ours_fails_the_record_that_brings_it_out(either_ledger: Stack) -> None:
    """Not the batch, and not the worker: a dead letter names its type and its place, and can be redriven."""
    app = Lost()
    app.on_action("text")(lambda given, card: [SendText("hello")])
    before, after = (click(name, value={"action": "other"}, message_id="om_p") for name in ("before", "after"))
    poison = click("poison", value={"action": "text"}, message_id="om_p")
    decided, texts, aside = await beside(either_ledger, app, before, poison, after)
    assert ["ignored", "failed", "ignored", "decided"] == [
        decided[name].result for name in ("before", "poison", "after", "healthy")
    ]
    reason = decided["poison"].reason or ""
    assert reason.startswith("could not be decided: ZeroDivisionError (test_poison.py:")
    assert (1, 0) == (texts, aside)


async def test_what_the_database_refuses_of_a_decision_fails_it_and_is_not_lost(either_ledger: Stack) -> None:
    """A request that came by no gateway of ours, to nobody that a database can name: claimed, without its effects."""
    asked = RequestReceived(
        event_id=request_event_id(COMMAND_LINE, "r1"),
        app_id=APP,
        tenant_key=TENANT,
        caller=COMMAND_LINE,
        request_id="r1",
        effects=(SendText("x", to=f"{CHAT}\0"),),
        occurred_at=NOW,
        received_at=NOW,
    )
    decided, texts, aside = await beside(either_ledger, poisoned(), asked)
    request = decided[asked.event_id]
    assert ("failed", ()) == (request.result, request.effects)
    assert (request.reason or "").startswith("the database refuses a value")
    assert ("decided", 1, 0) == (decided["healthy"].result, texts, aside)


async def test_what_cannot_even_be_claimed_is_put_aside(either_ledger: Stack) -> None:
    """No database takes NUL in a name: the record is kept as it is, beside the others."""
    decided, texts, aside = await beside(either_ledger, poisoned(), click("e\0", value={"action": "text"}))
    assert {"healthy"} == set(decided)
    assert (1, 1) == (texts, aside)


async def test_a_worker_that_met_poison_starts_again_and_goes_on(either_ledger: Stack) -> None:
    """No crash loop: what failed is passed, before a restart and after it."""
    async with world(either_ledger, poisoned(), workers=0) as running:
        chat_id = await running.chat()
        card = running.simulator.put_card(chat_id, BLANK)
        for number, what in enumerate(("holds itself", "interrupts")):
            async with running.worker() as worker:
                await running.append(
                    click(f"p{number}", value={"action": "bad", "what": what}, message_id=card, chat_id=chat_id),
                    click(f"h{number}", value={"action": "text"}, message_id=card, chat_id=chat_id),
                )
                failed = asyncio.ensure_future(worker.failed())
                decided = await told(running)
                assert not failed.done()
                failed.cancel()
                assert ["failed", "decided"] == [decided[f"{name}{number}"].result for name in "ph"]
        assert 2 == len(running.calls(SEND, target=chat_id))
