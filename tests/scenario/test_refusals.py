"""Who is not the platform, over real HTTP; and what the platform may send that nobody expects, through everything."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.admission import MAX_BODY
from gateway.app import serve
from gateway.running import RunningGateway
from gateway.settings import GatewaySettings
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.clock import ManualClock
from shared.core.cards import Toast
from shared.core.decision import Card
from shared.core.effects import RenameChat
from shared.eventlog.port import Record, Topics
from tests.fuzz.starts import ODD_VALUES, with_value
from tests.support.callbacks import (
    APP_ID,
    ENCRYPT_KEY,
    NOW,
    VERIFICATION_TOKEN,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
)
from tests.support.forgeries import BROKEN, forgeries
from tests.support.testable_log import TestableLog
from tests.support.world import ENCRYPTED, LEGACY, Stack, World, world

ENV = {
    "LARK_APP_ID": APP_ID,
    "LARK_ENCRYPT_KEY": ENCRYPT_KEY,
    "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN,
    "LARK_CALLBACKS": "both",
    "CARDWIRE_APP": "unused:app",
    "CARDWIRE_LOG": "sqlite:///unused.db",
    "CARDWIRE_PORT": "0",
    "CARDWIRE_ADMIN_PORT": "0",
}
REFUSED = b'{"error":"rejected"}'


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a caller gets; of the headers all but the date."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@pytest.fixture
async def log() -> TestableLog:
    """Return a log in memory."""
    return TestableLog()


@pytest.fixture
async def gateway(log: TestableLog) -> AsyncIterator[RunningGateway]:
    """Yield a running gateway whose clock stands still."""
    async with serve(GatewaySettings.load(ENV), App(), event_log=log, clock=ManualClock(NOW)) as running:
        yield running


async def _send(url: str, wire: Wire, *, framing: Mapping[str, str] | None = None) -> Answer:
    """Send these bytes and headers as they are, and read the answer to its end."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = {"Content-Length": str(len(wire.body))} if framing is None else framing
    headers = {"Host": "x", **length, **wire.headers}
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    writer.write(f"POST /webhook/card HTTP/1.1\r\n{lines}\r\n".encode("utf-8", "surrogateescape") + wire.body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *named = head.strip().split("\r\n")
    told = dict(line.split(": ", 1) for line in named)
    body = await reader.readexactly(int(told["Content-Length"]))
    writer.close()
    told.pop("Date")
    return Answer(status=int(status.split()[1]), headers=told, body=body)


class TestRefusals:
    """What a stranger gets, and what becomes of it."""

    async def test_every_forgery_gets_the_same_answer_to_the_byte(
        self, gateway: RunningGateway, log: TestableLog, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Status, headers and body; nothing is appended, nothing breaks, and the line of each says why."""
        answers = [await _send(gateway.url, wire) for wire in forgeries().values()]
        assert (401, REFUSED, "cardwire") == (answers[0].status, answers[0].body, answers[0].headers["Server"])
        assert [answers[0]] * len(answers) == answers
        assert [] == log.appends
        said = capsys.readouterr()
        shown = said.out + said.err
        assert not [word for word in ("Traceback", "callback_failed", "500") if word in shown]
        assert len(answers) == shown.count("rejected")

    @pytest.mark.parametrize("wire", [signed(encrypted(click())), signed_legacy(plain(legacy_click()))])
    async def test_bytes_and_headers_changed_on_the_way_are_refused(
        self, gateway: RunningGateway, log: TestableLog, wire: Wire
    ) -> None:
        """A sample: all of them are changed in tests/property/test_refusals.py."""
        step = len(wire.body) // 40
        for at in range(0, len(wire.body), step):
            body = wire.body[:at] + bytes([wire.body[at] ^ 0x01]) + wire.body[at + 1 :]
            assert 401 == (await _send(gateway.url, Wire(body=body, headers=wire.headers))).status
        for name in ("X-Lark-Signature", "X-Lark-Request-Timestamp", "X-Lark-Request-Nonce"):
            given = wire.headers[name]
            for text in (given[1:], given[:-1], given + "0", f"é{given[1:]}", f"\udcff{given[1:]}", "", "0" * 4000):
                changed = Wire(body=wire.body, headers={**wire.headers, name: text})
                assert 401 == (await _send(gateway.url, changed)).status
        assert [] == log.appends
        assert 200 == (await _send(gateway.url, wire)).status

    @pytest.mark.parametrize(
        ("wire", "framing", "status"),
        [
            pytest.param(Wire(body=b""), {"Content-Length": str(MAX_BODY + 1)}, 413, id="too large, and says so"),
            pytest.param(
                Wire(body=b"%x\r\n%b\r\n0\r\n\r\n" % (MAX_BODY + 1, bytes(MAX_BODY + 1))),
                {"Transfer-Encoding": "chunked"},
                413,
                id="too large, in pieces",
            ),
            pytest.param(signed(encrypted(click())), {"Content-Length": "4096"}, 408, id="too slow"),
            pytest.param(Wire(body=b""), {"Transfer-Encoding": "chunked"}, 408, id="too slow, in pieces"),
        ],
    )
    async def test_bodies_too_large_or_too_slow_get_that_answer_and_another_status(
        self, gateway: RunningGateway, log: TestableLog, wire: Wire, framing: Mapping[str, str], status: int
    ) -> None:
        """And their connections end, signed or not."""
        expected = await _send(gateway.url, Wire(body=b"nonsense"))
        async with asyncio.timeout(2.5):
            answer = await _send(gateway.url, wire, framing=framing)
        assert (status, REFUSED) == (answer.status, answer.body)
        assert {**expected.headers, "Connection": "close"} == answer.headers
        assert [] == log.appends

    @pytest.mark.parametrize("broken", [name for name in BROKEN if name != "empty"])
    async def test_what_is_signed_and_cannot_be_read_is_parked_as_it_is(
        self, gateway: RunningGateway, log: TestableLog, broken: str
    ) -> None:
        """An honest click in a shape that we do not know: the person is told, and the bytes are kept."""
        answer = await _send(gateway.url, signed(BROKEN[broken]))
        assert (200, "error") == (answer.status, json.loads(answer.body)["toast"]["type"])
        (parked,) = await log.all(Topics().dead)
        assert BROKEN[broken] == parked.value
        assert [] == await log.all(Topics().interactions)


def _at_present(body: bytes, env: Mapping[str, str]) -> Wire:
    now = time.time_ns() // 1_000_000
    if "LARK_ENCRYPT_KEY" not in env:
        return signed_legacy(body, token=env["LARK_VERIFICATION_TOKEN"], at=now)
    key = env["LARK_ENCRYPT_KEY"]
    return signed(encrypted(body, key=key), key=key, at=now)


async def _all(running: World, topic: str) -> list[Record]:
    spans = await running.event_log.spans(topic)
    return [
        record
        for number, span in spans.items()
        if span.end > span.begin
        for record in await running.event_log.read(topic, number, span.begin, limit=100)
    ]


@pytest.mark.parametrize("credentials", [pytest.param(ENCRYPTED, id="new"), pytest.param(LEGACY, id="legacy")])
async def test_what_is_replayed_in_time_is_answered_like_the_first_and_decided_once(
    stack: Stack, credentials: Mapping[str, str]
) -> None:
    """The same bytes under any X-Request-Id, or none: who replays them learns nothing and changes nothing."""
    app = App()

    @app.on_action("follow_up", answer=Toast.info("正在跟进"))
    def follow_up(click: Interaction, card: Card | None) -> list[RenameChat]:
        """Rename the chat."""
        return [RenameChat("跟进中")]

    async with world(stack, app, credentials=credentials) as running:
        chat_id = await running.chat()
        body: dict[str, Any] = click(app_id=running.env["LARK_APP_ID"])
        if credentials is LEGACY:
            body = {**legacy_click(), "open_chat_id": chat_id}
        else:
            body["event"]["context"]["open_chat_id"] = chat_id
        wire = _at_present(plain(body), credentials)
        request_ids = (wire.headers["X-Request-Id"], wire.headers["X-Request-Id"], "another", None, "é\udcff" * 200)
        answers = [await _send(running.gateway.url, wire.but(request_id=request_id)) for request_id in request_ids]
        assert [answers[0]] * len(answers) == answers
        assert (200, "正在跟进") == (answers[0].status, json.loads(answers[0].body)["toast"]["content"])
        await running.quiet()
        assert 1 == [decided.result for decided in await running.decisions()].count("decided")
        assert 1 == len(running.calls("im.v1.chat.update", target=chat_id))
        await running.check()


async def test_what_nobody_can_read_is_parked_beside_the_others(stack: Stack) -> None:
    """On every log, with its reason; a worker that meets nothing of it goes on."""
    async with world(stack, App()) as running:
        wire = _at_present(b'{"schema":"\xff"}', running.env)
        answer = await _send(running.gateway.url, wire)
        assert (200, "error") == (answer.status, json.loads(answer.body)["toast"]["type"])
        (parked,) = await _all(running, running.topics.dead)
        assert wire.body == parked.value
        assert {"dlq_source": b"gateway", "dlq_reason": b"the body is not JSON"} == dict(parked.headers)
        await running.quiet()
        assert [] == await running.decisions()


async def test_odd_values_reach_the_handler_as_they_were_sent(either_ledger: Stack) -> None:
    """Text for text, through HTTP, log, ledger and the reader of handlers."""
    app, seen = App(), dict[str, tuple[Any, ...]]()

    @app.on_action()
    def look(click: Interaction, card: Card | None) -> None:
        """Note what came."""
        texts = click.received.action
        seen[click.event_id] = (texts.value, texts.form_value, repr(click.value), repr(click.form_value))

    async with world(either_ledger, app) as running:
        for name, value in _odd().items():
            body = json.loads(with_value(b"null"))
            body["header"] |= {"event_id": name, "app_id": running.env["LARK_APP_ID"]}
            sent = plain(body).replace(
                b'"value":null,"form_value":null', b'"value":%b,"form_value":%b' % (value, value)
            )
            assert 200 == (await _send(running.gateway.url, _at_present(sent, running.env))).status
        await running.quiet()
        for name, value in _odd().items():
            text = value.decode().strip()
            assert (text, text, repr(json.loads(text)), repr(json.loads(text))) == seen[name]
        assert {"decided"} == {decided.result for decided in await running.decisions()}
        await running.check()


def _odd() -> dict[str, bytes]:
    return {**ODD_VALUES, "hundreds of levels": b"[" * 400 + b"0" + b"]" * 400}
