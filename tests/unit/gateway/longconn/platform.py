"""The platform's end of a long connection, which does what a test tells it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from shared.feishu.connection import Parameters, written
from shared.feishu.frames import CONTROL, DATA, Frame, decode, encode

SERVICE = 33554678


@dataclass(kw_only=True)
class Platform:
    """
    The far side.

    Attributes:
        reply: Status and body of the answer to who asks for an address; ``None``: an address.
        handshake: Headers that a WebSocket is refused with.
        has_pongs: Whether pings are answered.
        asked: What came by HTTP, in order.
        answers: Data frames that came, in order.
    """

    url: str = ""
    parameters: Parameters = field(default_factory=Parameters)
    reply: tuple[int, bytes] | None = None
    handshake: Mapping[str, str] | None = None
    has_pongs: bool = True
    asked: list[Any] = field(default_factory=list)
    answers: asyncio.Queue[Frame] = field(default_factory=asyncio.Queue)
    pings: asyncio.Queue[Frame] = field(default_factory=asyncio.Queue)
    opened: asyncio.Queue[web.WebSocketResponse] = field(default_factory=asyncio.Queue)
    closed: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)
    pauses: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Give addresses, and keep WebSockets."""
        if request.path == "/callback/ws/endpoint":
            self.asked.append(json.loads(await request.read()))
            status, body = self.reply or (200, self._address(request.host))
            return web.Response(status=status, body=body)
        if self.handshake is not None:
            return web.Response(status=400, headers=self.handshake)
        socket = web.WebSocketResponse(timeout=1)
        await socket.prepare(request)
        await self.opened.put(socket)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                await self._take(socket, decode(message.data))
        await self.closed.put(socket.close_code)
        return socket

    def _address(self, host: str) -> bytes:
        url = f"ws://{host}/ws/v2?fpid=493&device_id=7&access_key=planted&service_id={SERVICE}&ticket=planted"
        return json.dumps({"code": 0, "data": {"URL": url, "ClientConfig": written(self.parameters)}}).encode()

    async def _take(self, socket: web.WebSocketResponse, frame: Frame) -> None:
        if frame.method == DATA:
            await self.answers.put(frame)
            return
        if self.has_pongs:
            pong = Frame(
                service=frame.service,
                method=CONTROL,
                headers=(("type", "pong"),),
                payload=json.dumps(written(self.parameters)).encode(),
            )
            await socket.send_bytes(encode(pong))
        await self.pings.put(frame)


@asynccontextmanager
async def run_platform() -> AsyncIterator[Platform]:
    """Run it on a free port."""
    platform = Platform()
    runner = web.ServerRunner(web.Server(platform.handle), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        platform.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield platform
    finally:
        await runner.cleanup()
