"""Answers as bytes on a connection: the usual ones are put together by ourselves, the others by the library."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import cast

import pytest
from aiohttp import web

from gateway.accept import Gate
from gateway.reply import Arrival, Reply
from gateway.webhook import Webhook
from shared.clock import ManualClock

NOW_S = 1_750_000_000
TOAST = '{"toast":{"type":"info","content":"正在跟进"}}'.encode()
HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: cardwire\r\n"
    f"Date: {formatdate(NOW_S, usegmt=True)}\r\nContent-Length: {len(TOAST)}\r\n\r\n"
).encode()


@dataclass
class FakeGate:
    """Answers everything alike, and takes note of what is delivered."""

    status: int = 200
    error: Exception | None = None
    delivered: list[bool] = field(default_factory=list)

    async def accept(self, arrival: Arrival) -> Reply:
        return Reply(status=self.status, body=TOAST, outcome="answered", started=arrival.started)

    def answered(self, reply: Reply, *, delivered: bool) -> None:
        self.delivered.append(delivered)
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def listening(gate: FakeGate) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve a gate, and give a connection to it."""
    webhook = Webhook({"/webhook/card": cast("Gate", gate)}, clock=ManualClock(now=NOW_S * 1000))
    runner = web.ServerRunner(webhook.server())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        await runner.cleanup()


def request(version: str = "1.1", *headers: str) -> bytes:
    """Return a request whose body is there at once."""
    lines = [f"POST /webhook/card HTTP/{version}", "Host: x", "Content-Length: 2", *headers]
    return "\r\n".join([*lines, "", "{}"]).encode()


async def test_the_usual_answer_is_these_bytes_and_the_connection_stays_open() -> None:
    """Status, type, date and length, and the next request is answered, too."""
    async with listening(gate := FakeGate()) as (reader, writer):
        for _ in range(3):
            writer.write(request())
            assert HEAD + TOAST == await reader.readexactly(len(HEAD + TOAST))
        assert [True] * 3 == gate.delivered


async def test_a_path_that_is_not_there_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    """The caller gets 404, and the line says which paths there are."""
    async with listening(FakeGate()) as (reader, writer):
        writer.write(request().replace(b"/webhook/card", b"/webhook/crad"))
        assert b"HTTP/1.1 404 Not Found" == (await reader.readline()).strip()
    assert "path_unknown" in capsys.readouterr().out


async def test_requests_that_do_not_wait_for_answers_get_them_in_order() -> None:
    """Pipelining, as HTTP has it."""
    async with listening(FakeGate()) as (reader, writer):
        writer.write(request() * 5)
        assert (HEAD + TOAST) * 5 == await reader.readexactly(5 * len(HEAD + TOAST))


@pytest.mark.parametrize("sent", [request("1.0"), request("1.1", "Connection: close")])
async def test_who_wants_the_connection_closed_gets_it_closed(sent: bytes) -> None:
    """Behind the answer."""
    async with listening(gate := FakeGate()) as (reader, writer):
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.[01] 200 OK\r\n", head)
        assert (TOAST, [True]) == (body, gate.delivered)


async def test_an_old_client_that_wants_to_go_on_is_told_that_it_may() -> None:
    """HTTP/1.0 asks for it with a header, and is answered with one."""
    async with listening(FakeGate()) as (reader, writer):
        for _ in range(2):
            writer.write(request("1.0", "Connection: keep-alive"))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"connection: keep-alive" in head.lower()
            assert TOAST == await reader.readexactly(len(TOAST))


async def test_an_answer_of_another_status_has_the_same_headers() -> None:
    """Whoever put it together."""
    async with listening(FakeGate(status=201)) as (reader, writer):
        writer.write(request())
        head = await reader.readuntil(b"\r\n\r\n")
        names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line}
        usual = {line.split(b":")[0].lower() for line in HEAD.split(b"\r\n")[1:] if line}
        assert (b"HTTP/1.1 201 Created", usual) == (head.split(b"\r\n")[0], names)


@pytest.mark.parametrize("status", [200, 201])
async def test_a_bug_behind_the_answer_makes_no_second_one(status: int) -> None:
    """The caller has its answer; the connection ends, because nobody knows its state."""
    async with listening(FakeGate(status=status, error=RuntimeError("ours"))) as (reader, writer):
        writer.write(request())
        assert 1 == (await asyncio.wait_for(reader.read(), 5)).count(b"HTTP/1.1")
