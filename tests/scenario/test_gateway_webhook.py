"""The gateway as the platform meets it: real HTTP against a running gateway."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.accept import Gate
from gateway.admission import MAX_BODY, Admission
from gateway.answer import THREADS, Answers
from gateway.app import serve
from gateway.append import Appender
from gateway.apps import SHORT_PATHS
from gateway.credentials import Credentials
from gateway.running import RunningGateway
from gateway.settings import GatewaySettings
from gateway.webhook import Webhook
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.clock import ManualClock
from shared.core.cards import Toast
from shared.core.codec import decode
from shared.core.decision import Card
from shared.core.errors import ConfigError
from shared.core.events import InteractionAnswered, InteractionReceived
from shared.core.ids import AppId
from shared.eventlog.port import Topics
from shared.observability.metrics import ANSWERS_DEFAULTED, CALLBACKS, GATEWAY_METRICS, MARKS, REFUSALS, Metrics
from tests.support.admitting import assert_marks_lie_behind
from tests.support.callbacks import (
    APP_ID,
    CARD_TOKEN,
    ENCRYPT_KEY,
    NOW,
    VERIFICATION_TOKEN,
    Wire,
    click,
    encrypted,
    signed,
    subscribed,
)
from tests.support.lines import lines_at_debug
from tests.support.planted import found_in
from tests.support.testable_log import TestableLog

ENV = {
    "LARK_APP_ID": APP_ID,
    "LARK_ENCRYPT_KEY": ENCRYPT_KEY,
    "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN,
    "CARDWIRE_APP": "unused:app",
    "CARDWIRE_LOG": "sqlite:///unused.db",
    "CARDWIRE_PORT": "0",
    "CARDWIRE_ADMIN_PORT": "0",
}
TOPIC = Topics().interactions

app = App()


@app.on_action("follow_up", answer=Toast.info("正在跟进"))
def follow_up(click: Interaction, card: Card | None) -> None:
    """Handle a click."""


@app.on_event("im.chat.updated_v1")
def chat_updated(event: Interaction, card: Card | None) -> None:
    """Handle an event."""


@pytest.fixture
async def log() -> TestableLog:
    """Return a log in memory."""
    return TestableLog()


@pytest.fixture
async def gateway(log: TestableLog) -> AsyncIterator[RunningGateway]:
    """Yield a running gateway whose clock stands still."""
    async with serve(GatewaySettings.load(ENV), app, event_log=log, clock=ManualClock(NOW)) as running:
        yield running
        log.gate.set()
        log.error = None


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a caller."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


def _click(event_id: str = "ev1", message_id: str = "om_1") -> Wire:
    return signed(encrypted(click(event_id, message_id=message_id)))


async def _post(
    client: aiohttp.ClientSession, gateway: RunningGateway, wire: Wire, path: str = "/webhook/card"
) -> tuple[int, Any]:
    async with client.post(gateway.url + path, data=wire.body, headers=wire.headers) as response:
        return response.status, json.loads(await response.read())


async def _events(log: TestableLog) -> list[Any]:
    return [decode(record.headers, record.value) for record in await log.all(TOPIC)]


async def _until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 -- another process of the kernel sets no event of ours
            await asyncio.sleep(0.001)


async def _until_events(log: TestableLog, number: int) -> list[Any]:
    async def enough() -> bool:
        return len(await _events(log)) >= number

    await _until(enough)
    return await _events(log)


async def _until_appending(log: TestableLog, calls: int = 1) -> None:
    async def appending() -> bool:
        return len(log.appends) >= calls

    await _until(appending)


def _raw(wire: Wire, *, length: int | None = None) -> bytes:
    headers = {**wire.headers, "Host": "x", "Content-Length": str(len(wire.body) if length is None else length)}
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    return f"POST /webhook/card HTTP/1.1\r\n{lines}\r\n".encode() + wire.body


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return await asyncio.open_connection(host, int(port))


class TestAnswers:
    """What a caller gets."""

    @pytest.mark.parametrize("path", SHORT_PATHS)
    async def test_every_path_takes_every_callback(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, path: str
    ) -> None:
        """Ours and those of the platform's tutorials."""
        assert (200, "正在跟进") == _toast(await _post(client, gateway, _click(), path))
        assert (200, {}) == await _post(client, gateway, signed(encrypted(subscribed())), path)

    async def test_other_paths_and_methods_are_none_of_ours(
        self, gateway: RunningGateway, client: aiohttp.ClientSession
    ) -> None:
        """And tell nothing about what we are made of."""
        async with client.post(gateway.url + "/") as response:
            assert (404, "cardwire") == (response.status, response.headers["Server"])
        async with client.get(gateway.url + "/webhook/card") as response:
            assert (405, "POST") == (response.status, response.headers["Allow"])

    @pytest.mark.parametrize(
        "sent",
        [
            b"planted\r\n\r\n",
            b"\x16\x03\x01\x02\x00planted",
            b"POST /card HTTP/1.1\r\nContent-Length: planted\r\n\r\n",
            b"POST /card HTTP/1.1\r\nTransfer-Encoding: planted\r\n\r\n",
            b"POST /card HTTP/1.1\r\nX-Long: " + b"planted" * 3000 + b"\r\n\r\n",
            b"POST /card HTTP/9.9\r\n\r\n",
        ],
    )
    async def test_what_is_not_http_is_refused_in_our_words(self, gateway: RunningGateway, sent: bytes) -> None:
        """Neither the page of a library, nor its name, nor anything of what was sent."""
        reader, writer = await _connect(gateway.url)
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert head.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
        assert b"\r\nServer: cardwire\r\n" in head
        assert b'{"error":"rejected"}' == body
        assert [] == [name for name in (b"planted", b"Python", b"aiohttp") if name in head]

    async def test_answers_are_json(self, gateway: RunningGateway, client: aiohttp.ClientSession) -> None:
        """The platform parses them by their type."""
        for wire in (_click(), Wire(body=b"nonsense")):
            async with client.post(gateway.url + "/card", data=wire.body, headers=wire.headers) as response:
                assert "application/json" == response.content_type

    async def test_a_compressed_body_is_taken_as_the_bytes_that_it_is(
        self, gateway: RunningGateway, client: aiohttp.ClientSession
    ) -> None:
        """The platform compresses nothing, and bombs do not go off."""
        wire = _click()
        async with client.post(
            gateway.url + "/card", data=wire.body, headers={**wire.headers, "Content-Encoding": "gzip"}
        ) as response:
            assert 200 == response.status

    async def test_a_refused_connection_goes_on(self, gateway: RunningGateway, client: aiohttp.ClientSession) -> None:
        """Proxies share connections between callers."""
        assert (401, {"error": "rejected"}) == await _post(client, gateway, Wire(body=b"nonsense"))
        assert (200, "正在跟进") == _toast(await _post(client, gateway, _click()))


class TestOrder:
    """What happens before what."""

    async def test_nobody_is_answered_before_the_append(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """The answer says that it is recorded, so it must be; and the mark follows the answer."""
        log.gate.clear()
        posting = asyncio.create_task(_post(client, gateway, _click()))
        await _until_appending(log)
        assert not posting.done()
        assert [] == await _events(log)
        log.gate.set()
        assert (200, "正在跟进") == _toast(await posting)
        received, mark = await _until_events(log, 2)
        assert isinstance(received, InteractionReceived)
        assert isinstance(mark, InteractionAnswered)
        assert (received.event_id, True) == (mark.event_id, mark.delivered)

    async def test_a_caller_that_leaves_before_the_answer_is_marked_so(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """Its click counts, and the others around it are answered as ever."""
        log.gate.clear()
        _, writer = await _connect(gateway.url)
        writer.write(_raw(_click("gone", "om_gone")))
        await _until_appending(log)
        posting = asyncio.create_task(_post(client, gateway, _click("here", "om_here")))
        writer.transport.abort()
        await asyncio.sleep(0.05)  # the kernel's turn: the gateway's side must notice the reset
        log.gate.set()
        assert (200, "正在跟进") == _toast(await posting)
        events = await _until_events(log, 4)
        marks = {event.event_id: event.delivered for event in events if isinstance(event, InteractionAnswered)}
        assert {"gone": False, "here": True} == marks

    async def test_a_thousand_callbacks_at_once_are_all_recorded_and_marked(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """Each exactly once, each mark behind its click."""
        ids = [f"ev{n}" for n in range(1000)]
        replies = await asyncio.gather(*(_post(client, gateway, _click(id_, f"om_{id_}")) for id_ in ids))
        assert {(200, "正在跟进")} == {_toast(reply) for reply in replies}
        events = await _until_events(log, 2000)
        assert sorted(ids) == sorted(event.event_id for event in events if isinstance(event, InteractionReceived))
        assert sorted(ids) == sorted(event.event_id for event in events if isinstance(event, InteractionAnswered))
        assert_marks_lie_behind(events)


class TestOutage:
    """With the log away."""

    async def test_a_slow_log_is_told_to_the_person_within_two_and_a_half_seconds(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """The platform waits three."""
        log.gate.clear()
        async with asyncio.timeout(2.5):
            clicked, repeated = await asyncio.gather(
                _post(client, gateway, _click()), _post(client, gateway, signed(encrypted(subscribed())))
            )
        assert (200, "error") == (clicked[0], clicked[1]["toast"]["type"])
        assert (503, {"error": "unavailable"}) == repeated

    async def test_it_starts_without_the_log_is_unready_and_recovers_by_itself(
        self, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """Deploying it does not depend on the broker, and nobody is told a lie meanwhile."""
        log.available = False
        async with serve(GatewaySettings.load(ENV), app, event_log=log, clock=ManualClock(NOW)) as gateway:
            assert "error" == (await _post(client, gateway, _click()))[1]["toast"]["type"]
            assert (200, 503) == (await _status(client, gateway, "healthz"), await _status(client, gateway, "readyz"))
            log.available = True
            assert (200, "正在跟进") == _toast(await _post(client, gateway, _click()))
            assert 200 == await _status(client, gateway, "readyz")


class TestPredicates:
    """Rules that run user code."""

    async def test_hanging_predicates_hold_up_nobody_and_nothing(
        self, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """Each click is answered in time and recorded, others have their toasts, and the end does not wait."""
        go_on = threading.Event()
        hanging = App()
        hanging.on_action("follow_up", answer=Toast.info("正在跟进"))(follow_up)

        @hanging.on_action(lambda click: go_on.wait(60), tag="input", answer=Toast.info("never seen"))
        def seen(click: Interaction, card: Card | None) -> None:
            """Handle a click."""

        def typed(event_id: str) -> Wire:
            body = click(event_id, message_id=f"om_{event_id}")
            body["event"]["action"]["tag"] = "input"
            return signed(encrypted(body))

        try:
            async with asyncio.timeout(30):
                async with serve(GatewaySettings.load(ENV), hanging, event_log=log, clock=ManualClock(NOW)) as gateway:
                    hung = [asyncio.create_task(_post(client, gateway, typed(f"hang{n}"))) for n in range(20)]
                    replies = await asyncio.gather(
                        *(_post(client, gateway, _click(f"ev{n}", f"om_{n}")) for n in range(20))
                    )
                    assert {(200, "正在跟进")} == {_toast(reply) for reply in replies}
                    async with asyncio.timeout(2.5):
                        assert [(200, {})] * 20 == await asyncio.gather(*hung)
                        assert (200, {}) == await _post(client, gateway, typed("hang20"))
                    late, busy = (gateway.metrics.value(ANSWERS_DEFAULTED, reason) for reason in ("late", "busy"))
                    assert (21, True) == (late + busy, busy >= 1)
                    # All is in the log: 41 clicks and their marks.
                    assert 82 == len(await _until_events(log, 82))
        finally:
            go_on.set()

    async def test_the_threads_that_answer_end_with_their_gateway(self, log: TestableLog) -> None:
        """Whether it was stopped, or could not start."""
        asking = App()
        asking.on_action("follow_up", answer=lambda _: Toast.info("made"))(follow_up)
        settings, clock = GatewaySettings.load(ENV), ManualClock(NOW)
        others = set(threading.enumerate())

        async def answer(number: int) -> bool:
            threads = set(threading.enumerate()) - others
            return number == sum(thread.name == "cardwire-answers" for thread in threads)

        async with serve(settings, asking, event_log=log, clock=clock) as gateway:
            assert await answer(THREADS)
            taken = GatewaySettings.load({**ENV, "CARDWIRE_PORT": gateway.url.rpartition(":")[2]})
            with pytest.raises(ConfigError, match="CARDWIRE_PORT"):
                async with serve(taken, asking, event_log=log, clock=clock):
                    """Never run."""
            await _until(lambda: answer(THREADS))
        await _until(lambda: answer(0))


class TestBodies:
    """Bodies that are too large, too slow, or never finished."""

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_body_beyond_the_bound_is_refused(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, *, chunked: bool
    ) -> None:
        """Whether or not it says so beforehand."""
        wire = Wire(body=b"x" * (MAX_BODY + 1))

        async def pieces() -> AsyncIterator[bytes]:
            yield wire.body

        data = pieces() if chunked else wire.body
        async with client.post(gateway.url + "/card", data=data) as response:
            assert (413, b'{"error":"rejected"}') == (response.status, await response.read())
        assert 1 == gateway.metrics.value(REFUSALS, APP_ID, "body_too_large")

    async def test_a_body_at_the_bound_is_read(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """The largest honest click comes in."""
        filling = "x" * (MAX_BODY * 3 // 4 - 1200)
        wire = signed(encrypted(click(value={"action": "follow_up", "text": filling})))
        assert MAX_BODY - 2000 < len(wire.body) <= MAX_BODY
        assert (200, "正在跟进") == _toast(await _post(client, gateway, wire))

    async def test_a_caller_that_leaves_in_the_middle_of_its_body_changes_nothing(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """Half a click is none."""
        _, writer = await _connect(gateway.url)
        wire = _click()
        writer.write(_raw(wire, length=len(wire.body) + 10))
        await writer.drain()
        writer.close()

        async def refused() -> bool:
            return gateway.metrics.value(REFUSALS, APP_ID, "body_incomplete") == 1

        await _until(refused)
        assert [] == await _events(log)
        assert (200, "正在跟进") == _toast(await _post(client, gateway, _click()))

    async def test_a_body_in_tiny_pieces_is_read(
        self, gateway: RunningGateway, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """However the network cuts it."""
        reader, writer = await _connect(gateway.url)
        raw = _raw(_click())
        for at in range(0, len(raw), 7):
            writer.write(raw[at : at + 7])
            await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        assert ["ev1", "ev1"] == [event.event_id for event in await _until_events(log, 2)]

    async def test_a_caller_that_waits_to_be_asked_for_its_body_is_asked(self, gateway: RunningGateway) -> None:
        """As curl waits, for a second, before it sends a large body."""
        reader, writer = await _connect(gateway.url)
        wire = _click()
        head, _, body = _raw(Wire(body=wire.body, headers={**wire.headers, "Expect": "100-continue"})).partition(
            b"\r\n\r\n"
        )
        writer.write(head + b"\r\n\r\n")
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()

    @pytest.mark.parametrize(
        ("version", "expect", "length", "answer"),
        [
            (b"1.1", b"100-continue", MAX_BODY + 1, b"413"),
            (b"1.0", b"100-continue", 4, b"401"),
            (b"1.1", b"a miracle", 4, b"401"),
        ],
    )
    async def test_nobody_else_is_asked_for_a_body(
        self, gateway: RunningGateway, version: bytes, expect: bytes, length: int, answer: bytes
    ) -> None:
        """Not for one that is too large, not by a version that has no such question, not for other wishes."""
        reader, writer = await _connect(gateway.url)
        lines = (b"POST /card HTTP/" + version, b"Host: x", b"Expect: " + expect, b"Content-Length: %d" % length)
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + b"body")
        assert answer == (await reader.readline()).split()[1]
        writer.close()

    async def test_a_body_that_was_asked_for_and_does_not_come_is_refused(self, log: TestableLog) -> None:
        """In the same time as any other."""
        runner = web.ServerRunner(_webhook(log, Metrics(*GATEWAY_METRICS), body_s=0.05).server())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await _connect(f"http://127.0.0.1:{runner.addresses[0][1]}")
        writer.write(b"POST /card HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        asked, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        assert (b"HTTP/1.1 100 Continue", True) == (asked, answer.startswith(b"HTTP/1.1 408 "))
        writer.close()
        await runner.cleanup()

    async def test_a_body_that_does_not_come_is_refused(self, log: TestableLog) -> None:
        """Slow callers do not hold on to us: 408, and the connection ends."""
        metrics = Metrics(*GATEWAY_METRICS)
        runner = web.ServerRunner(_webhook(log, metrics, body_s=0.05).server())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await _connect(f"http://127.0.0.1:{runner.addresses[0][1]}")
        wire = _click()
        writer.write(_raw(wire, length=len(wire.body) + 10))
        response = await reader.read()
        assert response.startswith(b"HTTP/1.1 408")
        assert response.endswith(b'{"error":"rejected"}')
        assert 1 == metrics.value(REFUSALS, APP_ID, "body_too_slow")
        writer.close()
        await runner.cleanup()

    async def test_a_connection_on_which_nobody_is_let_in_ends(self, log: TestableLog) -> None:
        """Silent callers and refused ones do not hold on to us; one that was let in stays."""
        runner = web.ServerRunner(_webhook(log, Metrics(*GATEWAY_METRICS), stranger_s=0.3).server())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        sent = (b"", b"POST /card HTTP/1.1\r\nX-", _raw(Wire(body=b"nonsense")), _raw(_click()))
        callers = [await _connect(url) for _ in sent]
        for (_, writer), start in zip(callers, sent, strict=True):
            writer.write(start)
        *strangers, known = [reader for reader, _ in callers]
        async with asyncio.timeout(5):
            answers = [await reader.read() for reader in strangers]
        assert [b"", b"", b"HTTP/1.1 401"] == [answer[:12] for answer in answers]
        assert b"HTTP/1.1 200" == await known.readexactly(12)
        await asyncio.sleep(0.4)
        assert not known.at_eof()
        callers[-1][1].write(_raw(_click()))
        await known.readuntil(b"HTTP/1.1 200")
        for _, writer in callers:
            writer.close()
        await runner.cleanup()


class BrokenApp(App):
    """An App with a bug of ours."""

    def wants_event(self, event_type: str) -> bool:
        raise KeyError("planted")


async def test_a_bug_of_ours_costs_one_callback_and_tells_nobody(
    log: TestableLog, client: aiohttp.ClientSession
) -> None:
    """An event is sent again; the log has where, and neither the caller nor the log has what was in it."""
    settings = GatewaySettings.load(ENV)
    with lines_at_debug() as said:
        async with serve(settings, BrokenApp(), event_log=log, clock=ManualClock(NOW)) as gateway:
            assert (503, {"error": "unavailable"}) == await _post(client, gateway, signed(encrypted(subscribed())))
            assert 200 == (await _post(client, gateway, _click()))[0]
    assert "callback_failed" in said.getvalue()
    assert "test_gateway_webhook.py" in said.getvalue()
    assert found_in(said.getvalue()) is None


class TestEnd:
    """The end of a gateway."""

    async def test_requests_under_way_are_finished_and_their_marks_written(
        self, client: aiohttp.ClientSession, log: TestableLog
    ) -> None:
        """Unready first, then nothing new, then the last answers, then their marks."""
        async with serve(GatewaySettings.load(ENV), app, event_log=log, clock=ManualClock(NOW)) as gateway:
            log.gate.clear()
            posting = asyncio.create_task(_post(client, gateway, _click()))
            await _until_appending(log)
            asyncio.get_running_loop().call_later(0.1, log.gate.set)
            assert await gateway.is_ready()
        assert not await gateway.is_ready()
        assert (200, "正在跟进") == _toast(await posting)
        assert [InteractionReceived, InteractionAnswered] == [type(event) for event in await _events(log)]
        assert 1 == gateway.metrics.value(MARKS, "appended")
        assert await gateway.failed() is None


class TestStart:
    """What keeps a gateway from starting, in one line."""

    @pytest.mark.parametrize("name", ["CARDWIRE_PORT", "CARDWIRE_ADMIN_PORT"])
    async def test_a_port_that_is_taken(self, gateway: RunningGateway, log: TestableLog, name: str) -> None:
        """The line names the setting and an example, and nothing is left open."""
        taken = gateway.url.rpartition(":")[2]
        settings = GatewaySettings.load({**ENV, name: taken})
        with pytest.raises(ConfigError, match=rf"{name}.*{taken}.*for example {name}="):
            async with serve(settings, app, event_log=log):
                pass

    async def test_an_address_that_is_not_this_machines(self, log: TestableLog) -> None:
        """The line names the setting and an example."""
        settings = GatewaySettings.load({**ENV, "CARDWIRE_HOST": "192.0.2.1"})
        with pytest.raises(ConfigError, match=r"CARDWIRE_HOST.*192\.0\.2\.1.*for example CARDWIRE_HOST="):
            async with serve(settings, app, event_log=log):
                pass


async def test_the_admin_port_shows_the_numbers(gateway: RunningGateway, client: aiohttp.ClientSession) -> None:
    """Callbacks by kind and outcome, and no secret."""
    await _post(client, gateway, _click())
    await _post(client, gateway, Wire(body=b"nonsense"))
    async with client.get(gateway.admin_url + "/metrics") as response:
        shown = await response.text()
    assert 'cardwire_callbacks_total{app_id="cli_a1",kind="card_action",outcome="recorded"} 1.0' in shown
    assert 'cardwire_callback_refusals_total{app_id="cli_a1",cause="unreadable"} 1.0' in shown
    assert 1 == gateway.metrics.value(CALLBACKS, APP_ID, "unknown", "rejected")
    for secret in (ENCRYPT_KEY, VERIFICATION_TOKEN, CARD_TOKEN):
        assert secret not in shown


def _toast(reply: tuple[int, Any]) -> tuple[int, str]:
    return reply[0], reply[1]["toast"]["content"]


async def _status(client: aiohttp.ClientSession, gateway: RunningGateway, probe: str) -> int:
    async with client.get(f"{gateway.admin_url}/{probe}") as response:
        return response.status


def _webhook(log: TestableLog, metrics: Metrics, *, body_s: float = 2.0, stranger_s: float = 10.0) -> Webhook:
    clock = ManualClock(NOW)
    gate = Gate(
        app_id=AppId(APP_ID),
        admission=Admission(Credentials.of(AppId(APP_ID), GatewaySettings.load(ENV).apps[0].callbacks)),
        app=app,
        answers=Answers(app, metrics=metrics),
        appender=Appender(log, clock=clock, metrics=metrics),
        topics=Topics(),
        clock=clock,
        metrics=metrics,
    )
    return Webhook(dict.fromkeys(SHORT_PATHS, gate), clock=clock, body_s=body_s, stranger_s=stranger_s)
