import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from gateway.listening.server import Server, read_body, response
from gateway.listening.site import Site, listening
from tests.support.spilling import until

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
HERE = Site(host="127.0.0.1", port=0, what="", share=False)


class Echo:
    """Answers with what it was sent; tells when somebody has begun to send."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.began.set()
        return response(200, await read_body(request, 5))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    yield reader, writer
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_request_of_which_half_has_arrived_is_finished_at_the_end() -> None:
    """Nobody new is let in; whoever has begun gets an answer."""
    echo, end, ended = Echo(), asyncio.Event(), asyncio.Event()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with listening(Server(echo, idle_s=5), HERE) as bound:
            url.set_result(bound)
            await end.wait()
        ended.set()

    serving = asyncio.create_task(serve())
    async with _connected(await url) as (reader, writer):
        writer.write(HEAD + b"01234")
        await echo.began.wait()
        end.set()
        await until(lambda: _is_refused(url.result()))
        assert not ended.is_set()
        writer.write(b"56789")
        assert (await reader.read()).endswith(b"\r\n\r\n0123456789")
    await serving


async def _is_refused(url: str) -> bool:
    try:
        async with _connected(url):
            return False
    except ConnectionError:  # refused, or reset: it had not been accepted
        return True


async def test_the_end_waits_for_nobody_who_never_sends_the_rest() -> None:
    """No longer than it is told."""
    echo = Echo()
    server = Server(echo, idle_s=5)
    async with listening(server, HERE) as url, _connected(url) as (_, writer):
        writer.write(HEAD)
        await echo.began.wait()
        async with asyncio.timeout(1):
            await server.finish(0.05)


async def test_the_end_waits_for_none_that_came_later() -> None:
    """Somebody who always sends the next request would keep it from ending."""
    echo = Echo()
    server = Server(echo, idle_s=5)
    async with listening(server, HERE) as url, _connected(url) as (reader, writer), _connected(url) as (_, other):
        writer.write(HEAD)
        await echo.began.wait()
        finishing = asyncio.create_task(server.finish(5))
        await asyncio.sleep(0)
        echo.began.clear()
        other.write(HEAD)
        await echo.began.wait()
        writer.write(b"0123456789")
        await reader.readuntil(b"0123456789")
        async with asyncio.timeout(1):
            await finishing
