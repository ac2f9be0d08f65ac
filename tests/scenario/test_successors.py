"""Updates of cards past their time, and what is sent in their place: once for each card."""

import json
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import UpdateCard, UpdateElement
from shared.feishu.limits import DAY_MS
from tests.scenario.handlers import BLANK, PATCH
from tests.support.dump import dump
from tests.support.world import Stack, World, clock_of_now, world

WHOLE = "cardkit.v1.card.update"
OLD_S = 15 * DAY_MS // 1000
NEW: dict[str, Any] = {"config": {"update_multi": True}, "elements": [{"tag": "markdown", "content": "new"}]}


def app_of_heirs() -> App:
    """Return handlers that update the clicked card, whatever its age, and say what is to happen if it is too old."""
    app = App()

    @app.on_action("update")
    def update(click: Interaction, card: Card | None) -> list[UpdateCard]:
        shows = {**NEW, "elements": [{"tag": "markdown", "content": click.value.get("says", "new")}]}
        return [UpdateCard(click.value.get("card", shows), on_expired=click.value["on_expired"])]

    return app


def said(text: str) -> dict[str, Any]:
    """Return a card of JSON 2.0 that says this."""
    return {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "element_id": "text", "content": text}]}}


def messages(running: World, chat_id: str) -> list[str]:
    """Return the messages of a chat, oldest first."""
    return list(running.simulator.platform.chat(chat_id).message_ids)


def shown(running: World, message_id: str) -> str:
    """Return what a card shows."""
    card = running.simulator.platform.message(message_id).card
    assert card is not None
    return card.text


async def old_card(running: World) -> tuple[str, str]:
    """Return a chat with a card of fifteen days in it, that another program sent."""
    chat_id = await running.chat()
    assert running.clock is not None
    sent_at = running.clock.now() - OLD_S * 1000
    return chat_id, running.simulator.put_card(chat_id, BLANK, sent_at=sent_at)


@pytest.mark.parametrize(
    ("on_expired", "api"), [("reply", "im.v1.message.reply"), ("successor", "im.v1.message.create")]
)
async def test_a_card_past_its_time_is_sent_anew_once(either_ledger: Stack, on_expired: str, api: str) -> None:
    """The platform says so of a card whose age we do not know; later ones are shown on the new card."""
    async with world(either_ledger, app_of_heirs(), clock=clock_of_now()) as running:
        chat_id, message_id = await old_card(running)
        value = {"action": "update", "on_expired": on_expired}
        await running.simulator.click(message_id, value)
        await running.quiet()
        old, new = messages(running, chat_id)
        assert (old, True) == (message_id, '"new"' in shown(running, new))
        await running.simulator.click(message_id, {**value, "says": "newer"})
        await running.quiet()
        assert [(message_id, 230031), (new, 0)] == [
            (call.path.split("/")[-1], call.code) for call in running.calls(PATCH)
        ]
        assert 1 == len(running.calls(api))
        assert [old, new] == messages(running, chat_id)
        assert '"newer"' in shown(running, new)
        faces = {row["message_id"]: row for row in (await dump(running.ledger.database)).faces}
        assert (new, True) == (faces[old]["successor"], bool(faces[old]["expired"]))
        told = {(outcome.kind, outcome.status, outcome.reason) for outcome in await running.outcomes()}
        assert {("UpdateCard", "failed", "expired"), ("UpdateCard", "refused", "expired")} < told
        running.simulator.platform.judge.violations.clear()  # The one update that told us.
        await running.check()


async def test_an_entity_past_its_time_is_sent_anew_once(either_ledger: Stack) -> None:
    """It may be older than its message, and then the platform says so by another code."""
    app = app_of_heirs()

    @app.on_action("part")
    def part(click: Interaction, card: Card | None) -> list[UpdateElement]:
        return [UpdateElement("text", {"tag": "markdown", "content": "part"})]

    async with world(either_ledger, app, clock=clock_of_now()) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, said("old"))
        await running.simulator.click(message_id, {"action": "part"})
        await running.quiet()
        (entity,) = running.simulator.platform.entities.values()
        entity.created_at -= OLD_S * 1000
        for text in ("new", "newer"):
            value = {"action": "update", "on_expired": "successor", "card": said(text)}
            await running.simulator.click(message_id, value)
            await running.quiet()
        assert [200750] == [call.code for call in running.calls(WHOLE)]
        old, new = messages(running, chat_id)
        assert (old, True) == (message_id, '"newer"' in shown(running, new))
        told = {(outcome.kind, outcome.status, outcome.reason) for outcome in await running.outcomes()}
        assert {("UpdateCard", "failed", "expired"), ("UpdateCard", "refused", "expired")} < told
        running.simulator.platform.judge.violations.clear()  # The one update that told us.
        await running.check()


async def test_without_a_wish_nothing_is_sent(either_ledger: Stack) -> None:
    """That is how it is unless the handler says otherwise."""
    async with world(either_ledger, app_of_heirs(), clock=clock_of_now()) as running:
        chat_id, message_id = await old_card(running)
        await running.simulator.click(message_id, {"action": "update", "on_expired": "skip"})
        await running.quiet()
        assert [message_id] == messages(running, chat_id)
        running.simulator.platform.judge.violations.clear()  # The one update that told us.
        await running.check()


async def test_a_card_of_ours_is_known_to_be_old_without_a_call(either_ledger: Stack) -> None:
    """Its successor is sent all the same, and is a card of its own to handlers."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_heirs(), clock=clock) as running:
        chat_id, first = await old_card(running)
        await running.simulator.click(first, {"action": "update", "on_expired": "successor"})
        await running.quiet()
        running.simulator.platform.judge.violations.clear()
        _, ours = messages(running, chat_id)
        clock.advance(OLD_S)
        await running.simulator.click(ours, {"action": "update", "on_expired": "reply"})
        await running.quiet()
        assert 1 == len(running.calls(PATCH))
        assert 3 == len(messages(running, chat_id))
        await running.check()


def counting(n: int) -> dict[str, Any]:
    """Return a card whose button says where the count begins that is kept of its clicks."""
    button = {"tag": "button", "text": {"tag": "plain_text", "content": str(n)}, "value": {"action": "count", "n": n}}
    return {"config": {"update_multi": True}, "elements": [{"tag": "action", "actions": [button]}]}


async def test_a_card_in_anothers_place_knows_what_its_buttons_say_and_no_state(either_ledger: Stack) -> None:
    """Its state begins anew; the old card's stays with the old one, and goes on there."""
    app, seen = App(), list[Any]()

    @app.on_action("count")
    def count(click: Interaction, card: Card | None) -> Decision:
        seen.append(card.state if card else None)
        n = (card.state["n"] if card and card.state else click.value["n"]) + 1
        return Decision(effects=[UpdateCard(counting(n), on_expired="successor")], state={"n": n})

    async with world(either_ledger, app, clock=clock_of_now()) as running:
        chat_id, old = await old_card(running)
        await running.simulator.click(old, {"action": "count", "n": 41})
        await running.quiet()
        new = messages(running, chat_id)[-1]
        value = json.loads(shown(running, new))["elements"][0]["actions"][0]["value"]
        for message_id in (new, old):
            await running.simulator.click(message_id, value)
            await running.quiet()
        assert [None, None, {"n": 42}] == seen
        assert {old: {"n": 43}, new: {"n": 43}} == {
            row["message_id"]: json.loads(row["state"]) for row in (await dump(running.ledger.database)).cards
        }
        running.simulator.platform.judge.violations.clear()  # The one update that told us how old the card is.
        await running.check()
