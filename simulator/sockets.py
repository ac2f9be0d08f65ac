"""Long connections over the wire: the address by HTTP, frames by WebSocket. What they mean, `Connections` decides."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import web

from shared.clock import Clock
from shared.feishu.connection import PATH, TOO_MANY_CONNECTIONS, UNAUTHORIZED
from shared.feishu.frames import CONTROL, DATA, BadFrame, Frame, decode, encode
from simulator.connections import SOCKET_PATH, Client, Connections, Ending
from simulator.wire_json import json_bytes

PATHS: Final = frozenset({PATH, SOCKET_PATH})
GOING_AWAY: Final = 1001
CLOSE_S: Final = 1.0
"""How long a client may take to say goodbye."""


class SocketServer:
    """Answers requests for addresses, and keeps WebSockets."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections, self._clock = connections, clock
        self._pongs: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, for as long as it lasts."""
        if request.path == PATH:
            content = self._connections.endpoint(await request.read(), host=request.host)
            return web.Response(body=json_bytes(content), content_type="application/json", charset="utf-8")
        device_id = self._connections.admit(request.query.get("ticket", ""))
        if device_id is None or self._connections.is_full:
            return _refused(0 if device_id is None else TOO_MANY_CONNECTIONS)
        return await self._keep(request, device_id)

    async def close(self) -> None:
        """Say goodbye to everybody."""
        await asyncio.gather(*(client.end("close") for client in self._connections.clients))

    async def _keep(self, request: web.BaseRequest, device_id: str) -> web.StreamResponse:
        socket = web.WebSocketResponse(timeout=CLOSE_S)
        await socket.prepare(request)

        async def end(how: Ending) -> None:
            if how == "close":
                await socket.close(code=GOING_AWAY)
            elif request.transport is not None:
                request.transport.abort()

        async def send(frame: Frame) -> None:
            await socket.send_bytes(encode(frame))

        client = Client(device_id=device_id, opened_at_ms=self._clock.now(), send=send, end=end)
        self._connections.open(client)
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    await self._take(client, message.data)
        finally:
            self._connections.close(client)
        return socket

    async def _take(self, client: Client, data: bytes) -> None:
        try:
            frame = decode(data)
        except BadFrame:
            await client.end("abort")
            return
        if frame.method == DATA:
            client.take(frame)
        elif frame.method == CONTROL and frame.type == "ping":
            client.pings += 1
            self._soon(self._pong(client, frame))

    def _soon(self, pong: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(pong)
        self._pongs.add(task)
        task.add_done_callback(self._pongs.discard)

    async def _pong(self, client: Client, ping: Frame) -> None:
        asked = self._connections.asked
        if asked.has_pongs:
            await self._clock.sleep(asked.pong_delay_s)
            headers = (("type", "pong"),)
            pong = Frame(service=ping.service, method=CONTROL, headers=headers, payload=self._connections.pong())
            with suppress(ConnectionError):
                await client.send(pong)


def _refused(code: int) -> web.Response:
    headers = {
        "Handshake-Status": str(UNAUTHORIZED),
        "Handshake-Msg": "no long connection",
        "Handshake-Autherrcode": str(code),
    }
    return web.Response(status=400, headers=headers)
