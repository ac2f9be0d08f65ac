"""
The webhook: HTTP in, `Gate.accept`, HTTP out.

Nothing is decided here. A body is read within bounds of size and time, exactly as it is on the wire; the reply is
written by ourselves rather than by the framework, because the mark may follow only when its last byte has left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import aiohttp
import structlog
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from gateway.accept import REJECTED, UNAVAILABLE, Arrival, Gate, rejected
from gateway.admission import MAX_BODY, CallbackHeaders, Cause
from gateway.apps import SHORT_PATHS
from gateway.starved import Starved
from shared.clock import Clock
from shared.core.errors import CallbackRejected

BODY_S: Final = 2.0
"""How long a body may take. The platform gives up after 3 s, so a later one could not be answered in time."""

STRANGER_S: Final = 10.0
"""How long a connection may stay open on which nobody was let in yet; or whoever says nothing on a thousand of them
takes all that this process may have."""

LINGER_S: Final = 0.5
"""How long a body that is not wanted any more is read and dropped, so that its sender gets to see our refusal."""

MAX_REQUEST_ID: Final = 128
"""Characters of ``X-Request-Id`` that are kept; real ones have 36."""

# Instead of the names and versions of what we are made of.
_SERVER: Final = {"Server": "cardwire"}

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

log = structlog.get_logger("cardwire.gateway")


class Webhook:
    """
    A front end of gates.

    Args:
        routes: The gate of each path.
    """

    def __init__(
        self, routes: Mapping[str, Gate], *, clock: Clock, body_s: float = BODY_S, stranger_s: float = STRANGER_S
    ) -> None:
        self._routes, self._clock, self._body_s, self._stranger_s = routes, clock, body_s, stranger_s

    def server(self) -> web.Server:
        """Return a server of it, to be bound: the low-level one, which leaves bodies as they are on the wire."""
        Starved(self._clock).watch(asyncio.get_running_loop())
        return _Server(self._handle, idle_s=self._stranger_s)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        gate = self._routes.get(request.path)
        if gate is None:
            if request.path in SHORT_PATHS:
                log.warning("path_without_app", path=request.path, hint="several apps have /webhook/NAME/card each")
            return web.Response(status=404, headers=_SERVER)
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST", **_SERVER})
        try:
            return await self._answer(request, gate)
        except Exception:
            # Ours, whatever it was: the caller gets no trace of it, and events are sent again.
            log.exception("callback_failed")
            if request.writer.output_size > 0:
                raise ConnectionError("an answer is written") from None
            return _response(503, UNAVAILABLE)

    async def _answer(self, request: web.BaseRequest, gate: Gate) -> web.StreamResponse:
        started = self._clock.monotonic()
        headers = _headers(request.headers)
        try:
            body = await _body(request, self._body_s)
        except CallbackRejected as error:
            reply = rejected(error, headers, started)
        else:
            reply = await gate.accept(Arrival(body=body, headers=headers, started=started))
        if reply.status == HTTPStatus.OK and request.keep_alive and request.version == HttpVersion11:
            gate.answered(
                reply, delivered=await _written(request, _ok(self._clock.now() // 1000, len(reply.body)) + reply.body)
            )
            return _ANSWERED
        response = _response(reply.status, reply.body)
        if reply.status in {408, 413}:
            response.force_close()
        gate.answered(reply, delivered=await _written(request, response))
        return response


class _Connection(web.RequestHandler):
    """Refuses what is not HTTP in our words: the library would answer with a page of its own, and its name."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- quotes what was sent
    ) -> web.StreamResponse:
        """Return the answer to a request that cannot be read, or whose handling broke."""
        log.info("request_unreadable", status=status, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("half of another answer is written")
        response = _response(status, REJECTED if status < 500 else UNAVAILABLE)  # noqa: PLR2004  5xx: ours
        response.force_close()
        return response


class _Server(web.Server):
    """Ends connections on which nobody is let in: the library would keep each for an hour."""

    def __init__(self, handle: Handle, *, idle_s: float) -> None:
        super().__init__(self._serve)
        self._handle, self._idle_s = handle, idle_s
        self._strangers: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        connection = _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # for none, and typed as if there had to be one
            auto_decompress=False,
            lingering_time=LINGER_S,
        )
        self._expect(connection)
        return connection

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if (ending := self._strangers.pop(request.protocol, None)) is not None:
            ending.cancel()
        response = await self._handle(request)
        if 400 <= response.status < 500:  # noqa: PLR2004  4xx: refused
            self._expect(request.protocol)
        return response

    def _expect(self, connection: web.RequestHandler) -> None:
        self._strangers[connection] = asyncio.get_running_loop().call_later(self._idle_s, self._end, connection)

    def _end(self, connection: web.RequestHandler) -> None:
        del self._strangers[connection]
        connection.force_close()


async def _body(request: web.BaseRequest, within_s: float) -> bytes:
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
            while piece := await request.content.readany():
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


def _ask_for_body(request: web.BaseRequest) -> None:
    """Say that the body may come, to a caller that waits for that, as curl does before large ones."""
    waits = request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11
    if waits and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _written(request: web.BaseRequest, answer: web.StreamResponse | bytes) -> bool:
    """Write an answer to its last byte, and say whether there was still somebody to write to."""
    try:
        if isinstance(answer, bytes):
            await request.writer.write(answer)
        else:
            await answer.prepare(request)
            await answer.write_eof()
    except (ConnectionError, aiohttp.ClientError):
        return False
    transport = request.transport
    return transport is not None and not transport.is_closing()


class _Answered(web.StreamResponse):
    """What the library is given for an answer that is written already: nothing is left to do."""

    @property
    def keep_alive(self) -> bool:
        """Say that the connection stays open."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Write nothing."""
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


_ANSWERED: Final = _Answered()


@lru_cache(maxsize=256)
def _ok(second: int, length: int) -> bytes:
    """Return what stands before the body of a usual answer; the library takes longer for it than we for the body."""
    date = formatdate(second, usegmt=True)
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: {_SERVER['Server']}\r\nDate: {date}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def _headers(given: Mapping[str, str]) -> CallbackHeaders:
    request_id = given.get("X-Request-Id")
    return CallbackHeaders(
        signature=given.get("X-Lark-Signature"),
        timestamp=given.get("X-Lark-Request-Timestamp"),
        nonce=given.get("X-Lark-Request-Nonce"),
        request_id=request_id[:MAX_REQUEST_ID] if request_id else None,
    )


def _response(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json", headers=_SERVER)


def _too_large() -> CallbackRejected:
    return _refused("body_too_large", 413)


def _refused(cause: Cause, status: int) -> CallbackRejected:
    return CallbackRejected(cause, http_status=status)
