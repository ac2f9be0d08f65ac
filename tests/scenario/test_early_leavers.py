"""People who have gone before their click was durable: it is recorded all the same, and nobody else notices."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from gateway.app import serve
from gateway.settings import GatewaySettings
from shared.app.app import App
from shared.clock import ManualClock
from shared.core.cards import Toast
from shared.core.codec import decode
from shared.core.events import InteractionAnswered, InteractionReceived
from shared.eventlog.port import Topics
from shared.observability.metrics import UNDELIVERED
from tests.support.callbacks import (
    APP_ID,
    ENCRYPT_KEY,
    NOW,
    VERIFICATION_TOKEN,
    click,
    encrypted,
    signed,
)
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

app = App()


@app.on_action("follow_up", answer=Toast.info("收到了"))
def follow_up(click: object, card: object) -> None:
    """Handle a click."""


async def _send(url: str, event_id: str, last: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a click and wait for nothing."""
    wire = signed(encrypted(click(event_id, message_id=f"om_{event_id}")), at=NOW)
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    headers = "".join(f"{name}: {text}\r\n" for name, text in wire.headers.items())
    head = f"POST /card HTTP/1.1\r\nHost: x\r\n{last}Content-Length: {len(wire.body)}\r\n{headers}\r\n"
    writer.write(head.encode() + wire.body)
    await writer.drain()
    return reader, writer


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Return an answer, whether or not the connection ends behind it."""
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = re.findall(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
    return head + await reader.readexactly(int(length))


async def _story(last: str) -> tuple[list[bytes], list[Any], float]:
    log = TestableLog()
    log.gate.clear()
    async with serve(GatewaySettings.load(ENV), app, event_log=log, clock=ManualClock(NOW)) as gateway:
        leavers = [await _send(gateway.url, f"leaves{n}", last) for n in range(10)]
        while not log.appends:  # noqa: ASYNC110 -- turns of the loop
            await asyncio.sleep(0.001)
        stayers = [await _send(gateway.url, f"stays{n}", last) for n in range(10)]
        for _, writer in leavers:
            writer.transport.abort()
        await asyncio.sleep(0.05)
        log.gate.set()
        answers = [await _answer(reader) for reader, _ in stayers]
        for _, writer in stayers:
            writer.close()
        while gateway.metrics.value(UNDELIVERED) < 10:  # noqa: ASYNC110 -- likewise
            await asyncio.sleep(0.001)
        undelivered = gateway.metrics.value(UNDELIVERED)
    return answers, await log.all(Topics().interactions), undelivered


@pytest.mark.parametrize("last", ["", "Connection: close\r\n"], ids=["whole requests", "the library's way"])
@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_who_has_gone_before_the_commit_disturbs_nobody(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], last: str
) -> None:
    """
    Their clicks are recorded with marks that say undelivered; the others are answered.

    Under uvloop, where writing to a connection that is gone raises, too; and on both ways that a request can take: one
    that ends its connection is left to the library.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        answers, records, undelivered = runner.run(_story(last))
    assert [True] * 10 == ["收到了".encode() in answer and b" 200 " in answer for answer in answers]
    events = [decode(record.headers, record.value) for record in records]
    received = {event.event_id for event in events if isinstance(event, InteractionReceived)}
    delivered = {event.event_id: event.delivered for event in events if isinstance(event, InteractionAnswered)}
    expected = {f"leaves{n}": False for n in range(10)} | {f"stays{n}": True for n in range(10)}
    assert set(expected) == received
    assert expected == delivered
    assert 10 == undelivered
