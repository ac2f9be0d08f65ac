"""Subscribed events and link previews, from the platform's push to what is done about them."""

import json
from typing import Any

import aiohttp
import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.answers import Preview, PreviewUrls
from shared.core.decision import Card
from shared.core.effects import RenameChat, SendText
from shared.core.events import InteractionReceived
from tests.scenario.handlers import BLANK, SEND
from tests.support.dump import dump
from tests.support.world import Stack, World, world


def app_of_events() -> App:
    """Return handlers of events of both versions, and of links."""
    app = App()

    @app.on_event("out_approval")
    def approved(event: Interaction, card: Card | None) -> list[SendText]:
        return [SendText(f"approved {event.event['instance_code']}", to=event.event["open_id"])]

    @app.on_event("im.chat.member.user.added_v1")
    def joined(event: Interaction, card: Card | None) -> list[RenameChat]:
        return [RenameChat("welcome", chat_id=event.event["chat_id"])]

    @app.on_link_preview(answer=lambda link: Preview(link.url, url=PreviewUrls(pc="https://example.com/pc")))
    def seen(link: Interaction, card: Card | None) -> list[SendText]:
        return [SendText(f"{link.operator.open_id} sees {link.url} in {link.message_id}", to="ou_security")]

    return app


async def pushed(running: World, path: str, **asked: Any) -> dict[str, Any]:
    """Have the platform push something, as a person with curl would; return what came back."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.simulator.url}/_sim/{path}", json=asked) as response,
    ):
        assert 200 == response.status, await response.text()
        answered: dict[str, Any] = await response.json()
        return answered


def texts_to(running: World, person: str) -> list[str]:
    """Return what somebody was sent."""
    platform = running.simulator.platform
    return [json.loads(platform.messages[each].content)["text"] for each in platform.chat_with(person).message_ids]


async def recorded(running: World) -> list[InteractionReceived]:
    """Return what lies in the log."""
    events = await running.events(running.topics.interactions)
    return [event for event in events if isinstance(event, InteractionReceived)]


@pytest.mark.parametrize("copies", [1, 3])
async def test_a_first_version_event_is_decided_once(stack: Stack, copies: int) -> None:
    """However often it is pushed."""
    async with world(stack, app_of_events()) as running:
        event = {"instance_code": "A-1", "open_id": "ou_ada"}
        seen = await pushed(running, "events", schema="p1", type="out_approval", event=event, copies=copies)
        assert (200, None, "{}") == (seen["status"], seen["client_error"], seen["body"])
        await running.quiet()
        assert ["approved A-1"] == texts_to(running, "ou_ada")
        assert 1 == len(running.calls(SEND))
        await running.check()


async def test_a_second_version_event_is_decided_by_its_type(either_ledger: Stack) -> None:
    """It is about no card, and names its chat itself."""
    async with world(either_ledger, app_of_events()) as running:
        chat_id = await running.chat()
        seen = await pushed(running, "events", type="im.chat.member.user.added_v1", event={"chat_id": chat_id})
        assert 200 == seen["status"]
        await running.quiet()
        assert "welcome" == running.simulator.platform.chat(chat_id).name
        await running.check()


async def test_an_event_that_nobody_asked_for_is_acknowledged_and_not_recorded(either_ledger: Stack) -> None:
    """So the platform does not send it again."""
    async with world(either_ledger, app_of_events()) as running:
        seen = await pushed(running, "events", type="im.message.receive_v1", event={"message": {}})
        assert (200, None, "{}") == (seen["status"], seen["client_error"], seen["body"])
        await running.quiet()
        assert [] == await recorded(running)


async def test_a_store_apps_ticket_is_in_the_log_for_the_worker(either_ledger: Stack) -> None:
    """In its own member, decided as nobody's, and told to nobody else."""
    async with world(either_ledger, app_of_events()) as running:
        await pushed(running, "events", schema="p1", type="app_ticket", event={"app_ticket": "ticket-secret"})
        await running.quiet()
        (event,) = await recorded(running)
        assert ("app_ticket", "ticket-secret") == (event.event_type, event.app_ticket)
        assert "ticket-secret" not in (event.callback or "")
        (decision,) = await running.decisions()
        assert ("ignored", "app_ticket") == (decision.result, decision.reason)
        await running.check()


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "still typed"])
async def test_a_link_is_shown_and_decided(either_ledger: Stack, *, is_sent: bool) -> None:
    """In a message, or while somebody is still typing it."""
    async with world(either_ledger, app_of_events()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK) if is_sent else None
        place = {} if message_id is None else {"message_id": message_id}
        seen = await pushed(running, "previews", url="https://example.com/1", operator={"open_id": "ou_ada"}, **place)
        inline = {"title": "https://example.com/1", "url": {"pc": "https://example.com/pc"}}
        assert (200, None, {"inline": inline}) == (seen["status"], seen["client_error"], json.loads(seen["body"]))
        assert "https://example.com/1" == seen["client_text"]
        # Recorded behind its answer.
        await running.until(lambda: _is_decided(running))
        await running.quiet()
        assert [f"ou_ada sees https://example.com/1 in {message_id}"] == texts_to(running, "ou_security")
        await running.check()


async def _is_decided(running: World) -> bool:
    return bool((await dump(running.ledger.database)).claims)
