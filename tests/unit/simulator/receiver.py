"""A receiver of callbacks that does what a test tells it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Received:
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """
    A receiver.

    Attributes:
        answer: Status and body of the answers.
        open: Cleared: requests wait until it is set.
        does_hang_up: Close the connection instead of answering.
    """

    url: str = ""
    answer: tuple[int, bytes] = (200, b"{}")
    does_hang_up: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take one callback."""
        body = await request.read()
        await self.came.put(Received(headers=request.headers, body=body))
        await self.open.wait()
        if self.does_hang_up and request.transport is not None:
            request.transport.abort()
        status, content = self.answer
        return web.Response(status=status, body=content)


@asynccontextmanager
async def run_receiver() -> AsyncIterator[Receiver]:
    """Run a receiver on a free port."""
    receiver = Receiver()
    receiver.open.set()
    runner = web.ServerRunner(web.Server(receiver.handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook/card"
        yield receiver
    finally:
        await runner.cleanup()
