"""Long connections of the simulator, from a client's side."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from shared.clock import ManualClock
from shared.core.ids import OpenId
from shared.feishu.connection import (
    Endpoint,
    Parameters,
    Refusal,
    endpoint_request,
    read_endpoint,
    read_handshake,
    read_parameters,
)
from shared.feishu.fragments import Reassembly
from shared.feishu.frames import Frame, answer, decode, encode, ping
from simulator.answers import NotAnswered
from simulator.app import RunningSimulator
from simulator.callbacks import Person
from simulator.faults import FaultRule
from simulator.sending import Copies
from tests.unit.simulator.asking import Asking
from tests.unit.simulator.receiver import Receiver
from tests.unit.simulator.world import card

TOAST = b'{"toast":{"type":"info","content":"ok"}}'


@dataclass
class Client:
    """A client that says nothing by itself."""

    socket: aiohttp.ClientWebSocketResponse
    service: int

    async def frame(self) -> Frame:
        """Return the next frame."""
        return decode(await asyncio.wait_for(self.socket.receive_bytes(), 5))

    async def send(self, frame: Frame) -> None:
        """Send a frame."""
        await self.socket.send_bytes(encode(frame))

    async def answer(self, body: bytes | None = TOAST) -> Frame:
        """Answer the next callback, and return it."""
        frame = await self.frame()
        await self.send(answer(frame, body, took_ms=1))
        return frame


class Dialling:
    """Opens connections to a running simulator."""

    def __init__(self, session: aiohttp.ClientSession, sim: RunningSimulator, closing: AsyncExitStack) -> None:
        self._session, self._sim, self._closing = session, sim, closing

    async def address(self, *, app_id: str | None = None, secret: str | None = None) -> Endpoint | Refusal:
        """Ask for an address."""
        app = self._sim.platform.app
        body = endpoint_request(app.app_id, secret or app.app_secret)
        if app_id is not None:
            body = json.dumps({"AppID": app_id, "AppSecret": app.app_secret}).encode()
        async with self._session.post(f"{self._sim.url}/callback/ws/endpoint", data=body) as response:
            return read_endpoint(response.status, await response.read(), is_secure=False)

    async def open(self, endpoint: Endpoint) -> Client:
        """Open a connection to an address."""
        socket = await self._session.ws_connect(endpoint.url)
        self._closing.push_async_callback(socket.close)
        return Client(socket, endpoint.service)

    async def dial(self) -> Client:
        """Open a connection."""
        endpoint = await self.address()
        assert isinstance(endpoint, Endpoint)
        return await self.open(endpoint)


@pytest.fixture
async def dialling(session: aiohttp.ClientSession, sim: RunningSimulator) -> AsyncIterator[Dialling]:
    """Open connections, and close them at the end."""
    async with AsyncExitStack() as closing:
        yield Dialling(session, sim, closing)


async def until(condition: Callable[[], bool]) -> None:
    """Wait, bounded, until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- the simulator sets no event for its tests
            await asyncio.sleep(0.001)


def put(sim: RunningSimulator) -> str:
    """Return a new card."""
    return sim.put_card(sim.platform.new_chat("报警群").chat_id, card())


async def test_a_click_comes_to_who_is_connected(sim: RunningSimulator, dialling: Dialling, receiver: Receiver) -> None:
    """As plain text, and not to the webhook's receiver."""
    client = await dialling.dial()
    seen, frame = await asyncio.gather(sim.click(put(sim), {"action": "follow_up"}), client.answer())
    assert (200, None, "ok") == (seen.status, seen.client_error, seen.client_text)
    body: dict[str, Any] = json.loads(frame.payload or b"")
    assert (seen.event_id, "v") == (body["header"]["event_id"], body["header"]["token"])
    assert ("event", "1", "0", client.service) == (frame.type, frame.header("sum"), frame.header("seq"), frame.service)
    assert 0 == receiver.came.qsize()


async def test_without_a_connection_the_webhook_is_called(
    sim: RunningSimulator, dialling: Dialling, receiver: Receiver
) -> None:
    """Also after the last one was closed."""
    client = await dialling.dial()
    await client.socket.close()
    await until(lambda: not sim.connections.clients)
    assert 200 == (await sim.click(put(sim))).status
    assert 1 == receiver.came.qsize()


async def test_legacy_clicks_and_challenges_never_come_in_frames(
    sim: RunningSimulator, dialling: Dialling, receiver: Receiver
) -> None:
    """They go to the webhook's receiver while somebody is connected."""
    await dialling.dial()
    await sim.click(put(sim), style="legacy")
    await sim.deliverer.challenge()
    assert 2 == receiver.came.qsize()


async def test_previews_and_events_come_in_frames(sim: RunningSimulator, dialling: Dialling) -> None:
    """Of both versions; for an event no answer but its code is looked at."""
    client = await dialling.dial()
    person = Person(open_id=OpenId("ou_1"))
    previewed, _ = await asyncio.gather(
        sim.deliverer.preview("https://example.com/", operator=person, message_id=None), client.answer(b"{}")
    )
    told, frame = await asyncio.gather(sim.deliverer.event("p1", "out_approval", {}), client.answer(b"{}"))
    failed, _ = await asyncio.gather(sim.deliverer.event("p2", "im.chat.updated_v1", {}), client.answer(None))
    assert [None, None, 200671] == [seen.client_error for seen in (previewed, told, failed)]
    assert told.event_id == json.loads(frame.payload or b"")["uuid"]


@pytest.mark.parametrize(
    ("payload", "client_error"),
    [
        (b'{"code":200}', None),
        (b'{"code":200,"headers":null,"data":null}', None),
        (b'{"code":200,"data":"' + base64.b64encode(b"[]") + b'"}', 200672),
        (b'{"code":500}', 200671),
        (b'{"code":"200"}', 200671),
        (b'{"code":200,"data":"no base64"}', 200671),
        (b"{}", 200671),
        (b"no JSON", 200671),
    ],
)
async def test_what_an_answer_does_is_what_the_client_shows(
    sim: RunningSimulator, dialling: Dialling, payload: bytes, client_error: int | None
) -> None:
    """No data changes nothing; whatever is not code 200 with an answer is an error."""
    client = await dialling.dial()

    async def reply() -> None:
        frame = await client.frame()
        raw = Frame(service=frame.service, method=1, headers=frame.headers, payload=payload)
        await client.send(raw)

    seen, _ = await asyncio.gather(sim.click(put(sim)), reply())
    assert client_error == seen.client_error


async def test_after_three_seconds_nobody_waits(sim: RunningSimulator, dialling: Dialling, clock: ManualClock) -> None:
    """The client shows 200341."""
    client = await dialling.dial()
    clicking = asyncio.create_task(sim.click(put(sim)))
    await client.frame()
    clock.advance(3)
    assert 200341 == (await clicking).client_error


async def test_a_connection_that_breaks_takes_its_callbacks_along(sim: RunningSimulator, dialling: Dialling) -> None:
    """Nobody else is asked: callbacks are never repeated."""
    client = await dialling.dial()
    clicking = asyncio.create_task(sim.click(put(sim)))
    await client.frame()
    await sim.connections.clients[0].end("abort")
    assert 200080 == (await clicking).client_error


async def test_each_callback_goes_to_one_connection_at_random(sim: RunningSimulator, dialling: Dialling) -> None:
    """Never to all of them, and not always to the same."""
    clients = [await dialling.dial() for _ in range(3)]
    went: Counter[int] = Counter()

    async def serve(number: int) -> None:
        while True:
            await clients[number].answer()
            went[number] += 1

    serving = [asyncio.create_task(serve(number)) for number in range(3)]
    message_id = put(sim)
    for _ in range(30):
        assert 200 == (await sim.click(message_id)).status
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    assert 30 == went.total()
    assert 3 == len(went)
    assert 30 == sum(client.delivered for client in sim.connections.clients)


async def test_a_large_payload_comes_in_fragments(sim: RunningSimulator, dialling: Dialling) -> None:
    """Under one name, and answered by one of them."""
    client = await dialling.dial()
    sim.connections.asked.fragment_bytes = 100
    clicking = asyncio.create_task(sim.click(put(sim), {"text": "支付" * 50}))
    parts, whole = Reassembly(), None
    while whole is None:
        whole = parts.add(await client.frame(), now=0.0)
    await client.send(answer(whole.last, TOAST, took_ms=1))
    assert "ok" == (await clicking).client_text
    assert {"text": "支付" * 50} == json.loads(whole.payload)["event"]["action"]["value"]
    assert int(whole.last.header("sum") or 0) > 3


async def test_copies_come_under_one_name_or_several(sim: RunningSimulator, dialling: Dialling) -> None:
    """As with a webhook's request id."""
    client = await dialling.dial()

    async def names(copies: Copies) -> set[str]:
        clicking = asyncio.create_task(sim.click(put(sim), copies=copies))
        frames = [await client.answer() for _ in range(copies.copies)]
        assert 200 == (await clicking).status
        return {frame.message_id for frame in frames}

    assert 1 == len(await names(Copies(copies=3)))
    assert 3 == len(await names(Copies(copies=3, has_same_request_id=False)))


async def test_a_ping_is_answered_with_all_four_numbers(sim: RunningSimulator, dialling: Dialling) -> None:
    """Those that are in force when it comes."""
    client = await dialling.dial()
    sim.connections.asked.parameters = asked = Parameters(ping_interval_s=7, reconnect_nonce_s=0, reconnect_count=5)
    await client.send(ping(client.service))
    pong = await client.frame()
    assert ("pong", 0, client.service) == (pong.type, pong.method, pong.service)
    assert asked == read_parameters(pong.payload, Parameters())
    assert {"ReconnectCount", "ReconnectInterval", "ReconnectNonce", "PingInterval"} == json.loads(
        pong.payload or b""
    ).keys()
    assert 1 == sim.connections.clients[0].pings


async def test_pongs_can_be_late_or_absent(
    sim: RunningSimulator, dialling: Dialling, ask: Asking, clock: ManualClock
) -> None:
    """So that a client's patience can be tried."""
    client = await dialling.dial()
    await ask.post("connections", {"pongs": False})
    await client.send(ping(client.service))
    await until(lambda: sim.connections.clients[0].pings == 1)
    await ask.post("connections", {"pongs": True, "pong_delay_ms": 2000})
    await client.send(ping(client.service))
    await until(lambda: clock.next_wake() is not None)
    reading = asyncio.create_task(client.frame())
    await asyncio.sleep(0.01)
    assert not reading.done()
    clock.advance(2)
    assert "pong" == (await reading).type


@pytest.mark.parametrize(
    ("app_id", "secret", "code"),
    [(None, "another", 1000040345), ("cli_other", None, 1000040345), ("", None, 1000040344)],
)
async def test_without_the_apps_credentials_there_is_no_address(
    dialling: Dialling, app_id: str | None, secret: str | None, code: int
) -> None:
    """With the code that the platform gives."""
    assert Refusal(code=code, reason="credentials") == await dialling.address(app_id=app_id, secret=secret)


async def test_the_fifty_first_connection_is_refused(sim: RunningSimulator, dialling: Dialling, ask: Asking) -> None:
    """When it asks for an address, or, if it has one already, when it connects."""
    early = await dialling.address()
    assert isinstance(early, Endpoint)
    for _ in range(50):
        await dialling.dial()
    assert Refusal(code=1000040350, reason="too_many") == await dialling.address()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await dialling.open(early)
    headers = {name.lower(): text for name, text in (refused.value.headers or {}).items()}
    assert Refusal(code=1000040350, reason="too_many") == read_handshake(headers, refused.value.status)
    assert 50 == len((await ask.get("connections"))[1])


async def test_a_ticket_is_good_once(dialling: Dialling) -> None:
    """A second connection needs an address of its own; another one may do, so it is asked for again."""
    endpoint = await dialling.address()
    assert isinstance(endpoint, Endpoint)
    await dialling.open(endpoint)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await dialling.open(endpoint)
    headers = {name.lower(): text for name, text in (refused.value.headers or {}).items()}
    assert Refusal(code=514) == read_handshake(headers, refused.value.status)


@pytest.mark.parametrize(("how", "closed"), [("close", 1001), ("abort", 1006)])
async def test_connections_can_be_ended(dialling: Dialling, ask: Asking, how: str, closed: int) -> None:
    """With a goodbye, or as a broken line does."""
    client = await dialling.dial()
    reading = asyncio.create_task(client.socket.receive())
    assert (200, {}) == await ask.post("connections", {"end": how})
    await reading
    assert closed == client.socket.close_code


async def test_what_is_no_frame_ends_the_connection(sim: RunningSimulator, dialling: Dialling) -> None:
    """A client that speaks something else is none."""
    client = await dialling.dial()
    await client.socket.send_bytes(b"\xff")
    message = await asyncio.wait_for(client.socket.receive(), 5)
    assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
    assert () == sim.connections.clients


async def test_a_callback_whose_last_connection_has_just_gone_reaches_nobody(sim: RunningSimulator) -> None:
    """Between the choice of the way and the way itself, for example in an injected delay."""
    assert NotAnswered(code=200340) == await sim.connections.deliver(b"{}", message_id="m-1")


async def test_faults_befall_frames_too(sim: RunningSimulator, dialling: Dialling) -> None:
    """Under the path of the WebSocket."""
    client = await dialling.dial()
    sim.faults.set(1, [FaultRule(path="/ws/v2", kind="drop_before", p=1)])
    assert 200342 == (await sim.click(put(sim))).client_error
    sim.faults.set(1, [FaultRule(path="/ws/v2", kind="duplicate", p=1)])
    clicking = asyncio.create_task(sim.click(put(sim)))
    first, second = await client.answer(), await client.answer()
    assert 200 == (await clicking).status
    assert first.message_id == second.message_id


async def test_a_mistake_about_connections_is_told(ask: Asking) -> None:
    """In one line."""
    assert 400 == (await ask.post("connections", {"fragment_bytes": 0}))[0]
    assert 400 == (await ask.post("connections", {"end": "explode"}))[0]
