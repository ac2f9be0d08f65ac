"""
The listener of requests: HTTP in, `Requests.accept`, HTTP out.

A port of its own, so that the callbacks' may be open to the platform, and this one to one's own programs alone.
"""

import json
from typing import Final

import structlog
from aiohttp import web

from gateway.listening.server import BODY_S, STRANGER_S, Server, read_body, response
from gateway.requests.accept import Answer, Requests, busy, stranger
from shared.clock import Clock
from shared.core.callers import Caller
from shared.core.errors import CallbackRejected

PATH: Final = "/v1/requests"

_BODY: Final = {
    413: "the body is too large: expected at most 256 KiB, for example with a smaller card",
    408: "the body was not received within 2 s: expected it at once, in one piece",
}
_INCOMPLETE: Final = "the body is incomplete: expected as many bytes as Content-Length says"
_NO_HTTP: Final = f"this is no HTTP that can be read: expected POST {PATH}, for example sent by curl"
_OURS: Final = "Cardwire could not take it: expected nothing else of you, send the same request_id again"

log = structlog.get_logger("cardwire.gateway")


class RequestsHttp:
    """A front end of `Requests`."""

    def __init__(
        self, requests: Requests, *, clock: Clock, body_s: float = BODY_S, stranger_s: float = STRANGER_S
    ) -> None:
        self._requests, self._clock, self._body_s, self._stranger_s = requests, clock, body_s, stranger_s

    def server(self) -> Server:
        """Return a server of it, to be bound."""
        return Server(self._handle, idle_s=self._stranger_s, unreadable=_bytes({"error": _NO_HTTP}))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != PATH:
            return _json(404, {"error": f"nothing is here: expected POST {PATH}"})
        if request.method != "POST":
            refusal = _json(405, {"error": f"{PATH} is posted to: expected POST {PATH}"})
            refusal.headers["Allow"] = "POST"
            return refusal
        try:
            return await self._answered(request)
        except Exception:
            # Ours, whatever it was: the caller gets no trace of it, and sends it again.
            log.exception("request_broke")
            return _json(503, {"error": _OURS})

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        started = self._clock.monotonic()
        caller = self._requests.who(request.headers.get("Authorization"))
        answer = stranger() if caller is None else await self._answer(request, caller)
        self._requests.answered(caller, answer, started=started)
        return _told(answer)

    async def _answer(self, request: web.BaseRequest, caller: Caller) -> Answer:
        with self._requests.room(caller) as has_room:
            if not has_room:
                return busy()
            try:
                body = await read_body(request, self._body_s)
                return await self._requests.accept(caller, body, traceparent=request.headers.get("traceparent"))
            except CallbackRejected as error:
                status = error.http_status if error.http_status in _BODY else 400
                return Answer.refused(status, _BODY.get(status, _INCOMPLETE))


def _told(answer: Answer) -> web.Response:
    told = _json(answer.status, answer.told)
    match answer.status:
        case 401:
            told.headers["WWW-Authenticate"] = "Bearer"
        case 429 | 503:
            told.headers["Retry-After"] = str(answer.after_s)
        case 408 | 413:
            told.force_close()
        case _:
            pass
    return told


def _json(status: int, body: dict[str, str]) -> web.Response:
    return response(status, _bytes(body))


def _bytes(body: dict[str, str]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
