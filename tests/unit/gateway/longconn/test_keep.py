"""The long connection against a platform that does what it is told."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.accept import Gate
from gateway.admission import Admitted, CallbackHeaders, Illegible
from gateway.answer import Answers
from gateway.append import Appender
from gateway.longconn.admission import FrameAdmission
from gateway.longconn.answering import MAX_UNDER_WAY
from gateway.longconn.dial import ConnectionRefused
from gateway.longconn.keep import LongConnection, LongConnectionLost, connected
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.clock import ManualClock
from shared.core.cards import Toast
from shared.core.codec import decode as decode_record
from shared.core.decision import Card
from shared.core.errors import LogUnavailable
from shared.core.events import InteractionAnswered, InteractionReceived
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.port import Topics
from shared.feishu.connection import Parameters
from shared.feishu.fragments import MAX_PAYLOAD
from shared.feishu.frames import DATA, Frame, decode, encode
from shared.observability.metrics import (
    FRAMES_UNDER_WAY,
    GATEWAY_METRICS,
    LAST_FRAME_AGE,
    LONG_CONNECTION_UP,
    LONG_CONNECTIONS_LOST,
    UNDELIVERED,
    Metrics,
)
from shared.settings import ConnectionSettings
from tests.support.callbacks import APP_ID, NOW, click, legacy_click, plain, subscribed
from tests.support.testable_log import TestableLog
from tests.unit.gateway.longconn.platform import SERVICE, Platform, run_platform
from tests.vectors import FEISHU

TOPICS = Topics()
SECRET = "planted secret"
RECORDED = {frame["name"]: bytes.fromhex(frame["hex"]) for frame in FEISHU["ws_frames"]["frames"]}
RECORDED_APP = AppId("cli_a1b2c3d4e5f60718")

app = App()


@app.on_action("follow_up", answer=Toast.info("正在跟进"))
def follow_up(click: Interaction, card: Card | None) -> None:
    """Handle a click."""


@app.on_event("im.chat.updated_v1")
def chat_updated(event: Interaction, card: Card | None) -> None:
    """Handle an event."""


@app.on_event("out_approval")
def out_approval(event: Interaction, card: Card | None) -> None:
    """Handle an event of the first version."""


class Stumbling(FrameAdmission):
    """It has a mistake in it."""

    def admit(self, body: bytes, headers: CallbackHeaders, *, now: EpochMs) -> Admitted | Illegible:
        if body == b"stumble":
            raise RuntimeError("planted")
        return super().admit(body, headers, now=now)


async def until(condition: Callable[[], bool]) -> None:
    """Wait, bounded, until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- the far side sets no event of ours
            await asyncio.sleep(0.001)


async def soon(what: Awaitable[Any]) -> Any:
    """Wait for something, bounded."""
    return await asyncio.wait_for(what, 5)


@dataclass(kw_only=True)
class World:
    """A long connection between a platform and a log."""

    platform: Platform
    log: TestableLog
    appender: Appender
    clock: ManualClock
    metrics: Metrics
    answers: Answers
    closing: AsyncExitStack
    app_id: AppId

    def connecting(self, admission: FrameAdmission | None = None) -> Any:
        """Return a long connection to be entered."""
        gate = Gate(
            app_id=self.app_id,
            admission=admission or FrameAdmission(self.app_id, style="both"),
            app=app,
            answers=self.answers,
            appender=self.appender,
            topics=TOPICS,
            clock=self.clock,
            metrics=self.metrics,
        )
        return connected(
            gate,
            ConnectionSettings(app_secret=Secret(SECRET), domain=self.platform.url),
            app_id=self.app_id,
            proxy=None,
            clock=self.clock,
            metrics=self.metrics,
            rng=Random(1),
        )

    async def connect(self) -> tuple[LongConnection, Any]:
        """Connect; return our end and the platform's."""
        connection: LongConnection = await self.closing.enter_async_context(self.connecting())
        return connection, await soon(self.platform.opened.get())

    async def asks(self, socket: Any, body: Any, *, message_id: str = "m-1", kind: str = "event") -> Frame:
        """Send a callback in a frame; return the frame that answers it."""
        headers = (("type", kind), ("message_id", message_id), ("timestamp", str(NOW)))
        payload = body if isinstance(body, bytes) else plain(body)
        await socket.send_bytes(encode(Frame(service=SERVICE, method=DATA, headers=headers, payload=payload)))
        answered = await soon(self.platform.answers.get())
        assert isinstance(answered, Frame)
        return answered

    async def events(self) -> list[Any]:
        """Return what is in the log, marks included."""
        await self.appender.close()
        return [decode_record(record.headers, record.value) for record in await self.log.all(TOPICS.interactions)]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Yield a world in which nothing is connected yet."""
    clock, metrics, log = ManualClock(NOW), Metrics(*GATEWAY_METRICS), TestableLog()
    appender = Appender(log, clock=clock, metrics=metrics)
    appender.start()
    answers = Answers(app, metrics=metrics)
    async with run_platform() as platform, AsyncExitStack() as closing:
        yield World(
            platform=platform,
            log=log,
            appender=appender,
            clock=clock,
            metrics=metrics,
            answers=answers,
            closing=closing,
            app_id=AppId(APP_ID),
        )
    log.gate.set()
    await appender.close()
    answers.close()


def told(frame: Frame) -> Any:
    """Return what an answer frame's payload says, with its data decoded."""
    content = json.loads(frame.payload or b"")
    return content["code"], json.loads(base64.b64decode(content["data"])) if "data" in content else None


class TestAnswers:
    """What comes in, and what goes back."""

    async def test_an_operator_sees_how_many_callbacks_wait_for_their_answer(self, world: World) -> None:
        """Before there are so many that nothing more is read."""
        _, socket = await world.connect()
        world.log.gate.clear()
        answering = asyncio.ensure_future(world.asks(socket, click()))
        await until(lambda: world.metrics.value(FRAMES_UNDER_WAY, APP_ID) == 1)
        world.log.gate.set()
        await answering
        await until(lambda: world.metrics.value(FRAMES_UNDER_WAY, APP_ID) == 0)

    async def test_nothing_more_is_read_while_too_many_callbacks_wait(self, world: World) -> None:
        """They stay with the platform; when the log is back all are answered."""
        _, socket = await world.connect()
        world.log.gate.clear()
        for n in range(MAX_UNDER_WAY + 50):
            headers = (("type", "event"), ("message_id", f"m-{n}"), ("timestamp", str(NOW)))
            frame = Frame(service=SERVICE, method=DATA, headers=headers, payload=plain(click(f"ev{n}")))
            await socket.send_bytes(encode(frame))
        await until(lambda: world.metrics.value(FRAMES_UNDER_WAY, APP_ID) >= MAX_UNDER_WAY)
        await asyncio.sleep(0.1)
        assert MAX_UNDER_WAY == world.metrics.value(FRAMES_UNDER_WAY, APP_ID)
        world.log.gate.set()
        answered = {(await soon(world.platform.answers.get())).message_id for _ in range(MAX_UNDER_WAY + 50)}
        assert {f"m-{n}" for n in range(MAX_UNDER_WAY + 50)} == answered

    async def test_a_click_is_recorded_answered_and_marked(self, world: World) -> None:
        """By the same gate as a webhook's: with its handler's toast."""
        _, socket = await world.connect()
        answered = await world.asks(socket, click())
        code, body = told(answered)
        assert (200, "正在跟进") == (code, body["toast"]["content"])
        assert ("m-1", "event") == (answered.message_id, answered.type)
        await world.closing.aclose()
        received, mark = await world.events()
        assert isinstance(received, InteractionReceived)
        assert ("ev1", None, None) == (received.event_id, received.delivery_key, received.request_id)
        assert isinstance(mark, InteractionAnswered)
        assert mark.delivered

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("data_event_single", (200, None)),
            ("data_card_type", (200, None)),
            ("data_event_unregistered", (200, None)),
            ("data_event_p1", (200, None)),
        ],
    )
    async def test_recorded_frames_are_answered(self, world: World, name: str, expected: Any) -> None:
        """In the frame that came, both types of them; what has no handler is answered, too."""
        world.app_id = RECORDED_APP
        _, socket = await world.connect()
        await socket.send_bytes(RECORDED[name])
        answered, came = await soon(world.platform.answers.get()), decode(RECORDED[name])
        assert expected == told(answered)
        assert (came.seq_id, came.log_id, came.log_id_new, came.headers) == (
            answered.seq_id,
            answered.log_id,
            answered.log_id_new,
            answered.headers[:-1],
        )
        assert "biz_rt" == answered.headers[-1][0]

    async def test_recorded_fragments_make_one_click(self, world: World) -> None:
        """Answered once, in the frame that completed it."""
        world.app_id = RECORDED_APP
        _, socket = await world.connect()
        for number in (1, 0):
            await socket.send_bytes(RECORDED[f"data_event_fragment_{number}"])
        assert decode(RECORDED["data_event_fragment_0"]).seq_id == (await soon(world.platform.answers.get())).seq_id
        await world.closing.aclose()
        assert 1 == len([event for event in await world.events() if isinstance(event, InteractionReceived)])

    async def test_a_legacy_click_in_a_card_frame_is_known_by_its_frame(self, world: World) -> None:
        """It has no id of its own."""
        _, socket = await world.connect()
        assert 200 == told(await world.asks(socket, legacy_click(), message_id="m-9", kind="card"))[0]
        await world.closing.aclose()
        received, _ = await world.events()
        assert ("m-9", "card_action_v1", NOW) == (received.event_id, received.kind, received.occurred_at)

    async def test_an_event_is_acknowledged(self, world: World) -> None:
        """Or refused, so that the platform sends it again, while it cannot be recorded."""
        _, socket = await world.connect()
        assert (200, None) == told(await world.asks(socket, subscribed()))
        world.log.error = LogUnavailable("away")
        assert (500, None) == told(await world.asks(socket, subscribed()))

    async def test_who_clicks_while_nothing_can_be_recorded_is_told_so(self, world: World) -> None:
        """In the person's own language."""
        _, socket = await world.connect()
        world.log.error = LogUnavailable("away")
        code, body = told(await world.asks(socket, click()))
        assert (200, "error") == (code, body["toast"]["type"])

    async def test_another_apps_callback_is_refused(self, world: World) -> None:
        """With the code of a failure, and nothing recorded."""
        _, socket = await world.connect()
        assert (500, None) == told(await world.asks(socket, click(app_id="cli_other")))
        assert [] == await world.events()

    async def test_what_cannot_be_read_is_parked(self, world: World) -> None:
        """And whoever it was reads that it may not have been recorded."""
        _, socket = await world.connect()
        assert "error" == told(await world.asks(socket, b"\xff"))[1]["toast"]["type"]
        assert 1 == len(await world.log.all(TOPICS.dead))

    async def test_nonsense_between_frames_does_no_harm(self, world: World) -> None:
        """Neither bytes that are no frame, nor texts, nor frames of types that are not known."""
        _, socket = await world.connect()
        await socket.send_bytes(b"\xff")
        await socket.send_str("text")
        await socket.send_bytes(encode(Frame(service=1, method=DATA, headers=(("type", "newer"),), payload=b"{}")))
        await socket.send_bytes(encode(Frame(service=1, method=7)))
        assert 200 == told(await world.asks(socket, click()))[0]

    async def test_a_payload_that_is_too_large_is_answered_as_a_failure(self, world: World) -> None:
        """And costs nothing else."""
        _, socket = await world.connect()
        assert (500, None) == told(await world.asks(socket, b"x" * (MAX_PAYLOAD + 1)))
        assert 200 == told(await world.asks(socket, click()))[0]

    async def test_a_mistake_of_ours_costs_one_callback(self, world: World) -> None:
        """It is answered as a failure, and the connection stays."""
        stumbling = Stumbling(world.app_id, style="both")
        connection: LongConnection = await world.closing.enter_async_context(world.connecting(stumbling))
        socket = await soon(world.platform.opened.get())
        with capture_logs() as lines:
            assert (500, None) == told(await world.asks(socket, b"stumble"))
        assert ["callback_failed"] == [line["event"] for line in lines]
        assert 200 == told(await world.asks(socket, click()))[0]
        assert connection.is_connected

    async def test_many_are_answered_at_once(self, world: World) -> None:
        """None waits for another; each gets its own answer."""
        _, socket = await world.connect()
        world.log.gate.clear()
        ids = [f"m-{number}" for number in range(50)]
        for id_ in ids:
            headers = (("type", "event"), ("message_id", id_))
            body = plain(click(event_id=f"ev-{id_}", message_id=f"om_{id_}"))
            await socket.send_bytes(encode(Frame(service=1, method=DATA, headers=headers, payload=body)))
        await until(lambda: len(world.log.appends) >= 1)
        world.log.gate.set()
        answered = [await soon(world.platform.answers.get()) for _ in ids]
        assert sorted(ids) == sorted(frame.message_id for frame in answered)


class TestPings:
    """Whether the other side is still there."""

    async def test_it_pings_at_once_and_then_as_often_as_it_is_asked(self, world: World) -> None:
        """The pong may ask for another interval."""
        world.platform.parameters = Parameters(ping_interval_s=60)
        await world.connect()
        first = await soon(world.platform.pings.get())
        assert (SERVICE, "ping") == (first.service, first.type)
        await until(lambda: world.clock.next_wake() == 60)
        world.platform.parameters = Parameters(ping_interval_s=10)
        world.clock.advance(60)
        await soon(world.platform.pings.get())
        for _ in range(3):
            await until(lambda: world.clock.next_wake() == 10)
            world.clock.advance(10)
            await soon(world.platform.pings.get())

    async def test_without_a_pong_for_two_intervals_it_is_not_alive_and_connects_again(self, world: World) -> None:
        """Alive it is again with the first pong."""
        world.platform.has_pongs = False
        world.platform.parameters = Parameters(ping_interval_s=10, reconnect_nonce_s=0)
        connection, _ = await world.connect()
        for alive in (True, True):
            await soon(world.platform.pings.get())
            assert alive is connection.is_alive()
            await until(lambda: world.clock.next_wake() == 10)
            world.clock.advance(10)
        assert not connection.is_alive()
        await soon(world.platform.opened.get())
        await soon(world.platform.pings.get())
        assert connection.is_connected
        assert not connection.is_alive()
        world.platform.has_pongs = True
        await until(lambda: world.clock.next_wake() == 10)
        world.clock.advance(10)
        await until(connection.is_alive)

    async def test_a_lost_connection_alone_is_no_reason_for_a_restart(self, world: World) -> None:
        """It connects again by itself."""
        world.platform.parameters = Parameters(reconnect_nonce_s=30)
        connection, socket = await world.connect()
        await socket.close()
        await until(lambda: not connection.is_connected)
        assert connection.is_alive()


class TestReconnecting:
    """How it comes back."""

    async def test_it_waits_for_a_part_of_the_servers_time_and_then_for_all_of_it(self, world: World) -> None:
        """The first by chance, so that not all clients come at once."""
        world.platform.parameters = Parameters(reconnect_nonce_s=30, reconnect_interval_s=120)
        connection, socket = await world.connect()
        assert 1 == world.metrics.value(LONG_CONNECTION_UP, APP_ID)
        world.platform.reply = (200, b'{"code":1}')
        await socket.close()
        first_s = Random(1).random() * 30
        await until(lambda: world.clock.next_wake() == pytest.approx(first_s, abs=1e-5))
        assert (0, 1) == (
            world.metrics.value(LONG_CONNECTION_UP, APP_ID),
            world.metrics.value(LONG_CONNECTIONS_LOST, APP_ID),
        )
        world.clock.advance(first_s)
        await until(lambda: len(world.platform.asked) == 2 and world.clock.next_wake() == 120)
        world.platform.reply = None
        world.clock.advance(120)
        await soon(world.platform.opened.get())
        await until(lambda: connection.is_connected)

    async def test_a_secret_that_changed_opens_the_next_connection(self, world: World) -> None:
        """The one that is open stays open."""
        connection, socket = await world.connect()
        connection.renew(Secret("the next secret"))
        assert connection.is_connected
        await socket.close()
        await until(lambda: world.clock.next_wake() is not None and not connection.is_connected)
        world.clock.advance(Parameters().reconnect_nonce_s)
        await soon(world.platform.opened.get())
        assert [SECRET, "the next secret"] == [asked["AppSecret"] for asked in world.platform.asked]

    async def test_a_platform_that_is_away_at_the_start_is_tried_again(self, world: World) -> None:
        """The process starts, and is not connected yet."""
        world.platform.reply = (502, b"")
        connection: LongConnection = await world.closing.enter_async_context(world.connecting())
        assert not connection.is_connected
        assert connection.is_alive()
        world.platform.reply = None
        await until(lambda: world.clock.next_wake() is not None)
        world.clock.advance(30)
        await soon(world.platform.opened.get())
        await until(lambda: connection.is_connected)

    async def test_a_click_whose_connection_broke_is_recorded_and_marked_as_not_delivered(self, world: World) -> None:
        """The person sees an error; the log says what happened."""
        _, socket = await world.connect()
        world.log.gate.clear()
        headers = (("type", "event"), ("message_id", "m-1"))
        frame = Frame(service=1, method=DATA, headers=headers, payload=plain(click()))
        await socket.send_bytes(encode(frame))
        await until(lambda: len(world.log.appends) == 1)
        await socket.close()
        await until(lambda: world.metrics.value(LONG_CONNECTION_UP, APP_ID) == 0)
        world.log.gate.set()
        await until(lambda: world.metrics.value(UNDELIVERED) == 1)
        _, mark = await world.events()
        assert not mark.delivered

    async def test_after_so_many_attempts_as_the_server_allows_it_fails(self, world: World) -> None:
        """The process then ends, with the reason."""
        world.platform.parameters = Parameters(reconnect_count=2, reconnect_nonce_s=0, reconnect_interval_s=5)
        connection, socket = await world.connect()
        world.platform.reply = (200, b'{"code":1}')
        failing = asyncio.create_task(connection.failed())
        await socket.close()
        await until(lambda: len(world.platform.asked) == 2 and world.clock.next_wake() == 5)
        world.clock.advance(5)
        assert isinstance(await soon(failing), LongConnectionLost)
        assert 3 == len(world.platform.asked)
        assert not connection.is_alive()

    async def test_a_refusal_while_running_is_told_and_tried_again(self, world: World) -> None:
        """Somebody may mend it meanwhile, and a webhook beside it goes on."""
        world.platform.parameters = Parameters(reconnect_nonce_s=0, reconnect_interval_s=5)
        connection, socket = await world.connect()
        world.platform.reply = (200, b'{"code":1000040345}')
        with capture_logs() as lines:
            await socket.close()
            await until(lambda: len(world.platform.asked) == 2 and world.clock.next_wake() == 5)
        [line] = [line for line in lines if line["event"] == "long_connection_refused"]
        assert ("error", True) == (line["log_level"], line["reason"].startswith("LARK_APP_SECRET: "))
        world.platform.reply = None
        world.clock.advance(5)
        await until(lambda: connection.is_connected)


class TestRefusals:
    """What keeps it from starting."""

    @pytest.mark.parametrize(
        ("code", "setting"),
        [(1000040345, "LARK_APP_SECRET"), (1000040350, "LARK_DELIVERY"), (403, "LARK_DELIVERY"), (77, "LARK_DELIVERY")],
    )
    async def test_a_refusal_that_an_operator_must_mend_is_one_line(
        self, world: World, code: int, setting: str
    ) -> None:
        """It names the setting and the platform's code, and no secret."""
        world.platform.reply = (200, json.dumps({"code": code, "msg": "planted"}).encode())
        with pytest.raises(ConnectionRefused) as refused:
            await world.closing.enter_async_context(world.connecting())
        line = str(refused.value)
        assert line.startswith(f"{setting}: the platform refused the long connection (code {code}): expected ")
        assert "\n" not in line
        assert "planted" not in line

    async def test_a_handshake_that_is_one_too_many_is_the_same_line(self, world: World) -> None:
        """Whoever came first got the fiftieth connection."""
        world.platform.handshake = {"Handshake-Status": "514", "Handshake-Autherrcode": "1000040350"}
        with pytest.raises(ConnectionRefused, match=r"LARK_DELIVERY: .* fewer than 50 connections"):
            await world.closing.enter_async_context(world.connecting())

    async def test_a_handshake_that_fails_otherwise_is_tried_again(self, world: World) -> None:
        """With a new address."""
        world.platform.handshake = {"Handshake-Status": "514", "Handshake-Autherrcode": "1"}
        connection: LongConnection = await world.closing.enter_async_context(world.connecting())
        assert not connection.is_connected

    async def test_no_secret_is_in_any_line(self, world: World) -> None:
        """Neither ours nor the address's, whatever goes wrong."""
        with capture_logs() as lines:
            world.platform.handshake = {}
            await world.closing.enter_async_context(world.connecting())
            world.platform.handshake, world.platform.reply = None, (200, b"x" * 100_000)
            await until(lambda: world.clock.next_wake() is not None)
            world.clock.advance(30)
            await until(lambda: len(world.platform.asked) == 2 and len(lines) > 1)
            world.platform.reply = None
            world.clock.advance(120)
            socket = await soon(world.platform.opened.get())
            await world.asks(socket, click())
            await socket.close()
            await until(lambda: "long_connection_lost" in str(lines))
        assert len(lines) > 3
        assert "planted" not in str(lines)
        assert "planted" not in repr(world.platform.asked[0]).replace(SECRET, "")


class TestEnd:
    """Told to stop."""

    async def test_what_was_received_is_answered_before_the_goodbye(self, world: World) -> None:
        """And what is received meanwhile, too."""
        _, socket = await world.connect()
        world.log.gate.clear()
        for number in range(20):
            headers = (("type", "event"), ("message_id", f"m-{number}"))
            body = plain(click(event_id=f"ev{number}", message_id=f"om_{number}"))
            await socket.send_bytes(encode(Frame(service=1, method=DATA, headers=headers, payload=body)))
        await until(lambda: len(world.log.appends) >= 1)
        closing = asyncio.create_task(world.closing.aclose())
        await asyncio.sleep(0.01)
        assert not closing.done()
        world.log.gate.set()
        await soon(closing)
        assert 1000 == await soon(world.platform.closed.get())
        assert 20 == world.platform.answers.qsize()
        events = await world.events()
        assert 20 == len([event for event in events if isinstance(event, InteractionAnswered) and event.delivered])

    async def test_the_age_of_the_last_event_is_shown(self, world: World) -> None:
        """From the start on, and anew from each event."""
        _, socket = await world.connect()
        world.clock.advance(7)
        assert 7 == world.metrics.value(LAST_FRAME_AGE, APP_ID)
        await world.asks(socket, click())
        assert 0 == world.metrics.value(LAST_FRAME_AGE, APP_ID)
