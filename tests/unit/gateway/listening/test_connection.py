"""Requests that are there as a whole, and how their connections go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.listening.connection import IDLE_S, REST_S, Connection
from gateway.listening.server import Server, read_body, response
from gateway.listening.site import Site, listening
from gateway.listening.whole import Whole
from tests.support.spilling import until

HERE = Site(host="127.0.0.1", port=0, what="", share=False)


class Door:
    """Answers what is posted with ``posted:`` and its body, and what the library reads with ``read:`` and its body."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.inside: list[bytes] = []
        self.status: int | None = 200
        self.server = Server(self._read, idle_s=5, posted={"/card": self._posted})

    async def _posted(self, request: Whole, connection: Connection) -> int | None:
        self.inside.append(request.body)
        await self.open.wait()
        body = b"posted:" + request.body
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        return self.status

    async def _read(self, request: web.BaseRequest) -> web.StreamResponse:
        return response(200, b"read:" + await read_body(request, 5))


class Caller:
    """A connection of somebody's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, body: bytes, *, path: str = "/card", headers: str = "") -> None:
        """Send a request."""
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)

    async def told(self) -> bytes:
        """Return the body of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return await self.reader.readexactly(int(lengths[0].split(b":")[1]))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    yield Caller(reader, writer)
    writer.close()


async def test_what_is_there_as_a_whole_is_answered_here_and_all_else_by_the_library() -> None:
    """As long as nothing else came on the connection; other paths are something else, too."""
    door = Door()
    async with listening(door.server, HERE) as url, _connected(url) as caller:
        for body in (b"1", b"2"):
            caller.send(body)
            assert b"posted:" + body == await caller.told()
        caller.send(b"3", path="/other")
        assert b"read:3" == await caller.told()
        caller.send(b"4")
        assert b"read:4" == await caller.told()


PIECES = (b"POST /card HTTP/1.1\r\nHost: x\r\nContent-Len", b"gth: 2\r\n\r\na", b"b")


async def test_a_request_that_a_network_cut_is_answered_here() -> None:
    """Its pieces come shortly after each other, and so does the next request's."""
    door = Door()
    async with listening(door.server, HERE) as url, _connected(url) as caller:
        for _ in range(2):
            for piece in PIECES:
                caller.writer.write(piece)
                await asyncio.sleep(0.001)
            assert b"posted:ab" == await caller.told()


async def test_a_request_that_comes_slowly_is_answered_by_the_library() -> None:
    """However it is cut; nothing of its beginning is lost."""
    door = Door()
    async with listening(door.server, HERE) as url, _connected(url) as caller:
        for piece in PIECES:
            caller.writer.write(piece)
            await asyncio.sleep(2 * REST_S)
        assert b"read:ab" == await caller.told()


async def test_who_asks_before_the_body_is_told_at_once() -> None:
    """It does not come before."""
    door = Door()
    async with listening(door.server, HERE) as url, _connected(url) as caller:
        caller.writer.write(b"POST /card HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == await asyncio.wait_for(caller.reader.readuntil(b"\r\n\r\n"), 5)
        caller.writer.write(b"ab")
        assert b"read:ab" == await caller.told()


async def test_one_request_at_a_time_is_answered() -> None:
    """Whoever sends the next ones meanwhile has their answers in order, and none is lost."""
    door = Door()
    door.open.clear()
    async with listening(door.server, HERE) as url, _connected(url) as caller:
        caller.send(b"1")
        await until(lambda: _is(door.inside == [b"1"]))
        caller.send(b"2")
        await asyncio.sleep(0.02)
        caller.send(b"3")
        await asyncio.sleep(0.02)
        assert [b"1"] == door.inside
        door.open.set()
        assert [b"posted:1", b"posted:2", b"posted:3"] == [await caller.told() for _ in range(3)]
        caller.send(b"4")
        caller.send(b"5")
        assert [b"4", b"5"] == [(await caller.told())[-1:] for _ in range(2)]


async def _is(claim: bool) -> bool:  # noqa: FBT001 -- a claim
    return claim


async def test_the_end_waits_for_what_is_being_answered() -> None:
    """Whether it began before the end was announced or just then."""
    door, told = Door(), b""
    door.open.clear()
    async with listening(door.server, HERE) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        caller = Caller(reader, writer)
        caller.send(b"1")
        await until(lambda: _is(door.inside == [b"1"]))
        asyncio.get_running_loop().call_later(0.1, door.open.set)
    told = await caller.told()
    assert b"posted:1" == told
    assert b"" == await reader.read()
    writer.close()


async def test_a_connection_whose_answer_broke_is_ended() -> None:
    """Nobody knows what was written of it."""
    door = Door()
    door.status = None
    async with listening(door.server, HERE) as url, _connected(url) as caller:
        caller.send(b"1")
        assert b"posted:1" == await caller.told()
        assert b"" == await asyncio.wait_for(caller.reader.read(), 5)


@pytest.mark.parametrize("status", [200, 401])
async def test_a_stranger_stays_a_while_and_others_an_hour(status: int) -> None:
    """Who was refused has to be let in soon; who was let in is not disturbed by the library's clock."""
    door = Door()
    door.status = status
    door.server = Server(door._read, idle_s=0.1, posted={"/card": door._posted})  # noqa: SLF001 -- ours
    async with listening(door.server, HERE) as url, _connected(url) as caller:
        caller.send(b"1")
        assert b"posted:1" == await caller.told()
        ended = asyncio.create_task(caller.reader.read())
        await asyncio.wait([ended], timeout=0.3)
        assert (status == 401) == ended.done()
        assert IDLE_S > 3600
        ended.cancel()
