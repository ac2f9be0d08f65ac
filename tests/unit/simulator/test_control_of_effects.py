"""What the control interface shows of tokens, entities, ephemeral cards and organisations."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from shared.clock import ManualClock
from simulator.app import RunningSimulator, run_simulator
from simulator.settings import SimulatorSettings
from tests.unit.simulator.asking import Asking
from tests.unit.simulator.receiver import Receiver
from tests.unit.simulator.world import START_MS, card, card_2_0


@pytest.fixture
async def store(clock: ManualClock, receiver: Receiver) -> AsyncIterator[RunningSimulator]:
    """Run a simulator whose app is from the store."""
    settings = SimulatorSettings(port=0, seed=1, is_store=True, callback_urls=(receiver.url,))
    async with run_simulator(settings, clock=clock) as running:
        yield running


async def call(session: aiohttp.ClientSession, url: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    """Call the OpenAPI."""
    async with session.post(f"{url}/open-apis/{path}", json=body, headers=headers) as response:
        return await response.json()


async def pushed_ticket(receiver: Receiver) -> str:
    """Return the ticket of the event that the receiver got."""
    body = json.loads((await asyncio.wait_for(receiver.came.get(), 5)).body)
    assert ("event_callback", "app_ticket") == (body["type"], body["event"]["type"])
    assert "tenant_key" not in body["event"]
    return str(body["event"]["app_ticket"])


async def test_uses_of_card_tokens_are_told(ask: Asking, receiver: Receiver, session: Any, sim: Any) -> None:
    """How often each click's right was used, and that its click was answered."""
    _, message_id = await ask.card()
    _, seen = await ask.post("click", {"message_id": message_id, "style": "legacy", "operator": {"open_id": "ou_1"}})
    token = json.loads((await receiver.came.get()).body)["token"]
    assert seen["status"] == 200
    body = {"token": token, "card": card("二")}
    assert (await call(session, sim.url, "interactive/v1/card/update", body, await ask.token()))["code"] == 0
    status, (told,) = await ask.get(f"card_tokens?message_id={message_id}")
    assert (200, "ou_1", 1, 1, True) == (status, told["open_id"], told["uses"], told["uses_left"], told["answered"])
    assert (200, []) == await ask.get("card_tokens?message_id=om_other")
    assert token not in json.dumps(told)


async def test_ephemeral_cards_are_told_under_views(ask: Asking, session: Any, sim: Any) -> None:
    """Nobody sees it but the one whose view it is."""
    chat_id, _ = await ask.card()
    body = {"chat_id": chat_id, "open_id": "ou_1", "msg_type": "interactive", "card": card("你")}
    sent = await call(session, sim.url, "ephemeral/v1/send", body, await ask.token())
    _, told = await ask.get(f"messages/{sent['data']['message_id']}")
    assert (None, {"ou_1": card("你")}, "ou_1", None) == (told["card"], told["views"], told["only_for"], told["text"])


async def test_entities_are_told_with_their_messages(ask: Asking, session: Any, sim: Any) -> None:
    """The message tells the entity's id, and whether text is being streamed into it."""
    chat_id, _ = await ask.card()
    headers = await ask.token()
    content = {**card_2_0(), "config": {"streaming_mode": True}}
    made = await call(session, sim.url, "cardkit/v1/cards", {"type": "card_json", "data": json.dumps(content)}, headers)
    card_id = made["data"]["card_id"]
    body = {
        "receive_id": chat_id,
        "msg_type": "interactive",
        "content": json.dumps({"type": "card", "data": {"card_id": card_id}}),
    }
    sent = await call(session, sim.url, "im/v1/messages?receive_id_type=chat_id", body, headers)
    _, told = await ask.get(f"messages/{sent['data']['message_id']}")
    assert (card_id, True, content) == (told["card_id"], told["streaming"], told["card"])
    assert 404 == (await ask.get("cards/7"))[0]
    _, entity = await ask.get(f"cards/{card_id}")
    assert (told["message_id"], 0, content) == (entity["message_id"], entity["sequence"], entity["card"])


async def test_organisations_are_told_in_callbacks(store: RunningSimulator, receiver: Receiver, session: Any) -> None:
    """The header names the chat's organisation, the operator's own may be another."""
    ask = Asking(session, store.control_url)
    _, chat = await ask.post("chats", {"name": "海外群", "tenant_key": "t2"})
    _, put = await ask.post("cards", {"chat_id": chat["chat_id"], "card": card()})
    for operator in ({"open_id": "ou_1"}, {"open_id": "ou_2", "tenant_key": "t3"}):
        await ask.post("click", {"message_id": put["message_id"], "operator": operator})
    await ask.post("events", {"type": "x", "tenant_key": "t2"})
    bodies = [json.loads((await receiver.came.get()).body) for _ in range(3)]
    assert ["t2", "t2", "t2"] == [body["header"]["tenant_key"] for body in bodies]
    assert ["t2", "t3"] == [body["event"]["operator"]["tenant_key"] for body in bodies[:2]]
    _, told = await ask.get(f"chats/{chat['chat_id']}")
    assert "t2" == told["tenant_key"]


async def test_an_app_of_ones_own_is_in_one_organisation(ask: Asking) -> None:
    """A chat elsewhere and a ticket are mistakes of whoever asks for them."""
    status, told = await ask.post("chats", {"name": "x", "tenant_key": "t2"})
    assert (400, True) == (status, "CARDWIRE_SIMULATOR_STORE_APP" in told["error"])
    assert 400 == (await ask.post("app_ticket", {}))[0]


async def test_tickets_are_pushed_when_asked_for(store: RunningSimulator, receiver: Receiver, session: Any) -> None:
    """By the control interface at once, by the app soon after the answer."""
    ask = Asking(session, store.control_url)
    settings = SimulatorSettings()
    credentials = {"app_id": settings.app_id, "app_secret": settings.app_secret.reveal()}
    status, seen = await ask.post("app_ticket", {})
    assert (200, 200) == (status, seen["status"])
    first = await pushed_ticket(receiver)
    assert 0 == (await call(session, store.url, "auth/v3/app_ticket/resend", credentials, {}))["code"]
    second = await pushed_ticket(receiver)
    assert first != second
    for ticket in (first, second):
        issued = await call(session, store.url, "auth/v3/app_access_token", {**credentials, "app_ticket": ticket}, {})
        assert 0 == issued["code"]
    await ask.post("revoke_tokens", {"tickets": True})
    refused = await call(session, store.url, "auth/v3/app_access_token", {**credentials, "app_ticket": second}, {})
    assert 10012 == refused["code"]


async def test_a_ticket_is_pushed_every_hour(store: RunningSimulator, receiver: Receiver, clock: ManualClock) -> None:
    """Without being asked for."""
    assert store.platform.clock.now() == START_MS
    while not receiver.came.qsize():
        clock.advance(3600)
        await asyncio.sleep(0.01)
    assert await pushed_ticket(receiver)


async def test_a_store_app_has_no_long_connection(store: RunningSimulator, session: Any) -> None:
    """The platform gives such an app no address."""
    settings = SimulatorSettings()
    body = {"AppID": settings.app_id, "AppSecret": settings.app_secret.reveal()}
    async with session.post(f"{store.url}/callback/ws/endpoint", json=body) as response:
        assert 403 == json.loads(await response.read())["code"]


async def test_an_operation_by_delete_has_a_body(ask: Asking, session: aiohttp.ClientSession, sim: Any) -> None:
    """The platform reads a body of DELETE, and so does this one."""
    content = {"schema": "2.0", "body": {"elements": [{"tag": "hr", "element_id": "line"}]}}
    _, message_id = await ask.card(content)
    headers = await ask.token()
    made = await call(session, sim.url, "cardkit/v1/cards/id_convert", {"message_id": message_id}, headers)
    url = f"{sim.url}/open-apis/cardkit/v1/cards/{made['data']['card_id']}/elements/line"
    async with session.delete(url, json={"sequence": 1}, headers=headers) as response:
        assert 0 == (await response.json())["code"]
    _, told = await ask.get(f"messages/{message_id}")
    assert [] == told["card"]["body"]["elements"]
    assert ["sent", "cardkit"] == [each["by"] for each in told["versions"]]


@pytest.mark.parametrize(
    ("kind", "applied", "code"), [("drop_before", 0, None), ("drop_after", 1, 0), ("500", 0, 2200)]
)
async def test_faults_befall_every_call(
    ask: Asking, session: Any, sim: Any, *, kind: str, applied: int, code: int | None
) -> None:
    """A lost answer of CardKit was carried out or not, as the fault says."""
    _, message_id = await ask.card(card_2_0())
    headers = await ask.token()
    made = await call(session, sim.url, "cardkit/v1/cards/id_convert", {"message_id": message_id}, headers)
    await ask.post("faults", {"rules": [{"path": "/open-apis/cardkit/*", "kind": kind, "p": 1}]})
    url = f"{sim.url}/open-apis/cardkit/v1/cards/{made['data']['card_id']}/settings"
    try:
        async with session.patch(url, json={"sequence": 1, "settings": "{}"}, headers=headers) as response:
            assert kind == str(response.status)
    except aiohttp.ServerDisconnectedError:
        assert kind.startswith("drop")
    _, calls = await ask.get("calls")
    assert (kind, code) == (calls[-1]["fault"], calls[-1]["code"])
    assert applied == len(sim.platform.message(message_id).versions) - 1


@pytest.mark.parametrize("depth", [500, 1_010, 100_000])
async def test_what_is_nested_too_deeply_is_a_mistake_of_the_caller(
    ask: Asking, session: Any, sim: Any, depth: int
) -> None:
    """By the control interface and by the OpenAPI, in a body and in a string of JSON."""
    chat_id, _ = await ask.card()
    deep = '{"a":' * depth + "1" + "}" * depth
    status, _ = await ask.post("cards", f'{{"chat_id":"{chat_id}","card":{deep}}}'.encode())
    assert status == 400
    headers = await ask.token()
    for path, data in (
        ("cardkit/v1/cards", f'{{"type":"card_json","data":{json.dumps(deep)}}}'),
        ("cardkit/v1/cards", deep),
        ("ephemeral/v1/send", f'{{"chat_id":"{chat_id}","open_id":"ou_1","msg_type":"interactive","card":{deep}}}'),
    ):
        async with session.post(f"{sim.url}/open-apis/{path}", data=data, headers=headers) as response:
            assert 400 == response.status
