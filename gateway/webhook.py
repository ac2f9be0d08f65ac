"""
The webhook: HTTP in, `Gate.accept`, HTTP out.

Nothing is decided here. A body is read within bounds of size and time, exactly as it is on the wire; the reply is
written by ourselves rather than by the framework, because the mark may follow only when its last byte has left.
"""

import asyncio
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Final

import aiohttp
import structlog
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from gateway.accept import Gate
from gateway.admission import CallbackHeaders
from gateway.listening.connection import Connection
from gateway.listening.server import BODY_S, SERVER, STRANGER_S, Server, read_body, response
from gateway.listening.starved import Starved
from gateway.listening.whole import Whole
from gateway.reply import UNAVAILABLE, Arrival, rejected
from gateway.strays import Strays
from shared.clock import Clock
from shared.core.errors import CallbackRejected
from shared.observability.metrics import Metrics

MAX_REQUEST_ID: Final = 128
"""Characters of ``X-Request-Id`` that are kept; real ones have 36."""

log = structlog.get_logger("cardwire.gateway")


class Webhook:
    """
    A front end of gates.

    Args:
        routes: The gate of each path.
        metrics: Where requests for other paths are counted.
    """

    def __init__(
        self,
        routes: Mapping[str, Gate],
        *,
        clock: Clock,
        metrics: Metrics | None = None,
        body_s: float = BODY_S,
        stranger_s: float = STRANGER_S,
    ) -> None:
        self._strays = Strays(routes, clock=clock, metrics=metrics)
        self._routes, self._clock, self._body_s, self._stranger_s = routes, clock, body_s, stranger_s

    def server(self) -> Server:
        """Return a server of it, to be bound: the low-level one, which leaves bodies as they are on the wire."""
        Starved(self._clock).watch(asyncio.get_running_loop())
        posted = {path: partial(self._posted, gate) for path, gate in self._routes.items()}
        return Server(self._handle, idle_s=self._stranger_s, posted=posted)

    async def _posted(self, gate: Gate, request: Whole, connection: Connection) -> int | None:
        """Answer a request that is there as a whole, as nearly all are."""
        answered = False
        try:
            headers = _headers(request.headers)
            accepting = gate.accept(Arrival(body=request.body, headers=headers, started=self._clock.monotonic()))
            del request, headers  # as soon as nobody needs them: see `gateway.accept`
            reply = await accepting
            answered = True
            gate.answered(reply, delivered=connection.write(self._bytes(reply.status, reply.body)))
        except Exception:
            log.exception("callback_failed")
            if answered:
                return None
            connection.write(self._bytes(503, UNAVAILABLE))
            return 503
        return reply.status

    def _bytes(self, status: int, body: bytes) -> bytes:
        return _head(status, self._clock.now() // 1000, len(body)) + body

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        gate = self._routes.get(request.path)
        if gate is None:
            self._strays.seen(request.path)
            return web.Response(status=404, headers=SERVER)
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST", **SERVER})
        try:
            return await self._answer(request, gate)
        except Exception:
            # Ours, whatever it was: the caller gets no trace of it, and events are sent again.
            log.exception("callback_failed")
            if request.writer.output_size > 0:
                raise ConnectionError("an answer is written") from None
            return response(503, UNAVAILABLE)

    async def _answer(self, request: web.BaseRequest, gate: Gate) -> web.StreamResponse:
        started = self._clock.monotonic()
        headers = _headers(request.headers)
        try:
            body = await read_body(request, self._body_s)
        except CallbackRejected as error:
            reply = rejected(error, headers, started)
        else:
            reply = await gate.accept(Arrival(body=body, headers=headers, started=started))
        stays = reply.status not in {408, 413}
        if stays and request.keep_alive and request.version == HttpVersion11:
            gate.answered(reply, delivered=await _written(request, self._bytes(reply.status, reply.body)))
            return _answered(reply.status)
        answer = response(reply.status, reply.body)
        if not stays:
            answer.force_close()
        gate.answered(reply, delivered=await _written(request, answer))
        return answer


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


_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


@lru_cache(maxsize=64)
def _answered(status: int) -> web.StreamResponse:
    return _Answered(status=status)


@lru_cache(maxsize=256)
def _head(status: int, second: int, length: int) -> bytes:
    """Return what stands before the body of an answer; the library takes longer for it than we for the body."""
    date = formatdate(second, usegmt=True)
    return (
        f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\nContent-Type: application/json\r\n"
        f"Server: {SERVER['Server']}\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _headers(given: Mapping[str, str]) -> CallbackHeaders:
    """Take what a callback's headers say; names are in lower case, or in any where the mapping does not mind."""
    request_id = given.get("x-request-id")
    return CallbackHeaders(
        signature=given.get("x-lark-signature"),
        timestamp=given.get("x-lark-request-timestamp"),
        nonce=given.get("x-lark-request-nonce"),
        request_id=request_id[:MAX_REQUEST_ID] if request_id else None,
        traceparent=given.get("traceparent"),
    )
