"""
HTTP within bounds: how long a stranger may stay, how large a body may be and how long it may take.

Of the library the low-level server, which leaves bodies as they are on the wire; what it would tell of itself is not
told.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Final

import aiohttp
from aiohttp import HttpVersion11, web

from gateway.admission import MAX_BODY, Cause
from gateway.listening.connection import Connection
from gateway.listening.whole import Whole
from gateway.reply import REJECTED, UNAVAILABLE
from shared.core.errors import CallbackRejected

BODY_S: Final = 2.0
"""How long a body may take. The platform gives up after 3 s, so a later one could not be answered in time."""

STRANGER_S: Final = 10.0
"""How long a connection may stay open on which nobody was let in yet; or whoever says nothing on a thousand of them
takes all that this process may have."""

LOOK_S: Final = 0.01
"""How often is looked, at the end, whether requests are still under way."""

SERVER: Final = {"Server": "cardwire"}
"""Instead of the names and versions of what we are made of."""

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

Posted = Callable[[Whole, Connection], Awaitable[int | None]]
"""Answers on a connection, and returns the status; ``None``: the connection is to be closed."""

NO_PATHS: Final[Mapping[str, Posted]] = {}


class Server(web.Server):
    """
    Ends connections on which nobody is let in: the library would keep each for an hour.

    Args:
        handle: Answers what the library has read.
        posted: Answers what was posted in one piece, for the paths that it has.
        unreadable: What is told to whoever sends what is not HTTP.
    """

    def __init__(
        self, handle: Handle, *, idle_s: float, unreadable: bytes = REJECTED, posted: Mapping[str, Posted] = NO_PATHS
    ) -> None:
        super().__init__(self._serve)
        self._handle, self._idle_s, self._unreadable, self._posted = handle, idle_s, unreadable, posted
        self._strangers: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._numbers, self._under_way = itertools.count(), set[int]()

    async def finish(self, within_s: float) -> None:
        """
        Wait until the requests that are under way now have ended; so long at most.

        For the time between the last new connection and the library's own goodbye, with which it stops to read: a
        request of which only the beginning had arrived by then would end as too slow.
        """
        before = set(self._under_way)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while before & self._under_way:  # noqa: ASYNC110 -- an event would cost every request something
                    await asyncio.sleep(LOOK_S)

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        connection = Connection(self, self)
        self._expect(connection)
        return connection

    def answering(self, request: Whole, connection: Connection) -> Coroutine[None, None, None] | None:
        """Return what answers a request, if it was posted to a path that we have."""
        posted = self._posted.get(request.path)
        return None if posted is None else self._answer(posted(request, connection), connection)

    def unreadable(self, status: int) -> web.StreamResponse:
        """Return the refusal of what cannot be read."""
        refusal = response(status, self._unreadable if status < 500 else UNAVAILABLE)  # noqa: PLR2004  5xx: ours
        refusal.force_close()
        return refusal

    async def _answer(self, answering: Awaitable[int | None], connection: Connection) -> None:
        number = self._begin(connection)
        status = None
        try:
            status = await answering
        finally:
            self._end(number, connection, status)
            connection.is_answered(stays=status is not None)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        number = self._begin(request.protocol)
        status = None
        try:
            answer = await self._handle(request)
            status = answer.status
        finally:
            self._end(number, request.protocol, status)
        return answer

    def _begin(self, connection: web.RequestHandler) -> int:
        if (ending := self._strangers.pop(connection, None)) is not None:
            ending.cancel()
        number = next(self._numbers)
        self._under_way.add(number)
        return number

    def _end(self, number: int, connection: web.RequestHandler, status: int | None) -> None:
        self._under_way.discard(number)
        if status is not None and 400 <= status < 500:  # noqa: PLR2004  4xx: refused
            self._expect(connection)

    def _expect(self, connection: web.RequestHandler) -> None:
        self._strangers[connection] = asyncio.get_running_loop().call_later(self._idle_s, self._give_up, connection)

    def _give_up(self, connection: web.RequestHandler) -> None:
        del self._strangers[connection]
        connection.force_close()


async def read_body(request: web.BaseRequest, within_s: float) -> bytes:
    """
    Read the whole body.

    Raises:
        CallbackRejected: It is too large (413), comes too slowly (408), or its sender went away.
    """
    if (request.content_length or 0) > MAX_BODY:
        raise _too_large()
    body = bytearray()
    try:
        if request.content.is_eof():  # All there, as mostly: no need of a clock.
            if len(whole := request.content.read_nowait()) > MAX_BODY:
                raise _too_large()
            return whole
        _ask_for_body(request)
        async with asyncio.timeout(within_s):
            # Piece by piece: a chunked body does not say how long it will be.
            while piece := await _piece(request):
                body += piece
                if len(body) > MAX_BODY:
                    raise _too_large()
    except TimeoutError as error:
        raise _refused("body_too_slow", 408) from error
    except (
        aiohttp.ClientError,
        aiohttp.web.RequestPayloadError,
        ConnectionError,
        asyncio.IncompleteReadError,
    ) as error:
        raise _refused("body_incomplete", 401) from error
    return bytes(body)


async def _piece(request: web.BaseRequest) -> bytes:
    if request.transport is None and not request.content.is_eof():
        raise ConnectionResetError  # The library would call it a mistake of ours to wait for more.
    return await request.content.readany()


def _ask_for_body(request: web.BaseRequest) -> None:
    """Say that the body may come, to a caller that waits for that, as curl does before large ones."""
    waits = request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11
    if waits and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def response(status: int, body: bytes) -> web.Response:
    """Return an answer in JSON."""
    return web.Response(status=status, body=body, content_type="application/json", headers=SERVER)


def _too_large() -> CallbackRejected:
    return _refused("body_too_large", 413)


def _refused(cause: Cause, status: int) -> CallbackRejected:
    return CallbackRejected(cause, http_status=status)
