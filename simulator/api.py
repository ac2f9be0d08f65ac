"""The OpenAPI as an HTTP server: bytes in, faults on the way, bytes out."""

from urllib.parse import parse_qsl, unquote

from aiohttp import web

from shared.clock import Clock
from simulator.faults import Faults
from simulator.openapi import ApiAnswer, ApiCall, OpenApi
from simulator.pushing import Pusher
from simulator.refusals import FREQUENCY_LIMIT, INTERNAL_ERROR, Refused


class ApiServer:
    """Answers one request after another; what an answer is, `OpenApi` decides."""

    def __init__(self, openapi: OpenApi, faults: Faults, clock: Clock, pusher: Pusher) -> None:
        self._openapi = openapi
        self._pusher = pusher
        self._faults = faults
        self._clock = clock

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or drop its connection where a fault says so."""
        try:
            return await self._answer(request)
        finally:
            self._pusher.begin()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        call = await _call(request)
        faulty = self._faults.meet(call.method, call.path)
        if faulty.delay_ms:
            await self._clock.sleep(faulty.delay_ms / 1000)
        match faulty.kind:
            case None | "delay":
                return _response(self._openapi.call(call))
            case "429":
                refused = Refused(FREQUENCY_LIMIT, wait_s=faulty.reset_s, quota=0)
                return _response(self._openapi.refuse(call, refused, fault="429"))
            case "500":
                return _response(self._openapi.refuse(call, Refused(INTERNAL_ERROR), fault="500"))
            case "drop_before":
                self._openapi.drop(call, fault="drop_before")
                return _dropped(request)
            case "drop_after":
                self._openapi.call(call, fault="drop_after")
                return _dropped(request)
            case "duplicate":
                answer = self._openapi.call(call)
                self._openapi.call(call, fault="duplicate")
                return _response(answer)


async def _call(request: web.BaseRequest) -> ApiCall:
    path, _, query = request.raw_path.partition("?")
    return ApiCall(
        method=request.method,
        path=unquote(path),
        query=dict(parse_qsl(query)) if query else {},
        authorization=request.headers.get("Authorization"),
        body=await request.read() if request.body_exists else b"",
    )


def _response(answer: ApiAnswer) -> web.Response:
    return web.Response(
        status=answer.status, body=answer.body, headers=answer.headers, content_type="application/json", charset="utf-8"
    )


def _dropped(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
