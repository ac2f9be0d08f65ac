"""How a click gets to a gateway, and what comes back: by webhook, or over the long connection that it opened to us."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple, Protocol

import aiohttp
from yarl import URL

from simulator.answers import Answered
from simulator.app import RunningSimulator, run_simulator
from simulator.settings import SimulatorSettings
from tests.chaos.matrix.history import Ending
from tests.support.callbacks import APP_ID, VERIFICATION_TOKEN, Wire, click, encrypted, plain, signed
from tests.support.spilling import until

PATIENCE_S: Final = 8.0
"""Longer than the platform's 3 s, so that the record shows how late a late answer was."""

LEAVES_WITHIN_S: Final = 0.012
"""Shorter and longer than an append takes."""

APP: Final = {"LARK_APP_ID": APP_ID, "LARK_APP_SECRET": "secret-of-the-matrix"}
"""What the platform knows an app by that opens a long connection."""


class Click(NamedTuple):
    """A click's bytes, the same ones however often they are sent: as a frame holds them, and as a request does."""

    request_id: str
    payload: bytes
    wire: Wire


class End(NamedTuple):
    """What became of a click that was sent."""

    ending: Ending
    status: int | None = None
    body: str | None = None


class Way(Protocol):
    """The way to all gateways, by their numbers."""

    async def opened(self) -> None:
        """Return when clicks may be sent."""

    async def ask(self, gateway: int, click: Click) -> End:
        """Send a click, and wait for the answer."""

    async def leave(self, gateway: int, click: Click) -> End:
        """Send a click, and be gone before the answer."""


class Webhooks:
    """
    Signs, encrypts and posts, as the platform does.

    Args:
        urls: Of the gateways' callbacks.
        name: Of the row: the same one leaves at the same moments.
    """

    def __init__(self, urls: Sequence[str], session: aiohttp.ClientSession, *, name: str) -> None:
        self._urls = [URL(f"{url}/webhook/card") for url in urls]
        self._session, self._rng = session, random.Random(name)
        self._timeout = aiohttp.ClientTimeout(total=PATIENCE_S)

    async def opened(self) -> None:
        """At once: each click opens its own connection, if it needs one."""

    async def ask(self, gateway: int, click: Click) -> End:
        """Post it."""
        sent, url = click.wire, self._urls[gateway]
        try:
            async with self._session.post(url, data=sent.body, headers=sent.headers, timeout=self._timeout) as response:
                return End("answered", status=response.status, body=await response.text())
        except TimeoutError:
            return End("timeout")
        except aiohttp.ClientError:
            return End("closed")

    async def leave(self, gateway: int, click: Click) -> End:
        """Send it, and end the connection shortly after: in an orderly way, or by a reset."""
        url = self._urls[gateway]
        try:
            _, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(_request(url, click.wire))
            await writer.drain()
        except ConnectionError:
            return End("closed")
        await asyncio.sleep(self._rng.uniform(0, LEAVES_WITHIN_S))
        if self._rng.random() < 0.5:
            writer.close()
        else:
            writer.transport.abort()
        return End("left")


class LongConnections:
    """Hands payloads to the gateways that opened a connection, each to a platform of its own, so that we know whose."""

    def __init__(self, platforms: Sequence[RunningSimulator]) -> None:
        self._platforms = platforms

    async def opened(self) -> None:
        """Wait until every gateway is connected."""
        await until(lambda: all(platform.connections.clients for platform in self._platforms))

    async def ask(self, gateway: int, click: Click) -> End:
        """Send its frames; where no connection is open, it ends as one that has just been closed."""
        delivering = self._platforms[gateway].connections.deliver(click.payload, message_id=click.request_id)
        try:
            async with asyncio.timeout(PATIENCE_S):
                heard = await delivering
        except TimeoutError:
            return End("timeout")
        if isinstance(heard, Answered):
            return End("answered", status=heard.status, body=heard.body.decode())
        return End("closed")

    async def leave(self, gateway: int, click: Click) -> End:
        """Not to be asked for."""
        raise NotImplementedError("the platform closes no long connection because of a click")


@asynccontextmanager
async def webhooks(urls: Sequence[str], *, name: str) -> AsyncIterator[Webhooks]:
    """Give the way by webhook."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Webhooks(urls, session, name=name)


@asynccontextmanager
async def long_connections(ports: Sequence[int]) -> AsyncIterator[LongConnections]:
    """Be a platform for each gateway, on these ports; give the way over their connections."""
    async with AsyncExitStack() as stack:
        platforms = []
        for port in ports:
            env = {**APP, "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN, "CARDWIRE_SIMULATOR_PORT": str(port)}
            platforms.append(await stack.enter_async_context(run_simulator(SimulatorSettings.load(env))))
        yield LongConnections(platforms)


def callback(event_id: str, card: str) -> Click:
    """Return a click on a card, now."""
    body = click(event_id, message_id=card, value={"action": "count"})
    # Now, not the example's time: brokers delete records by their time.
    body["header"]["create_time"] = str(time.time_ns() // 1_000)
    payload, request_id = plain(body), f"request-{event_id}"
    wire = signed(encrypted(payload), at=time.time_ns() // 1_000_000).but(request_id=request_id)
    return Click(request_id, payload, wire)


def _request(url: URL, wire: Wire) -> bytes:
    headers: Mapping[str, str] = {"Host": str(url.authority), "Content-Length": str(len(wire.body)), **wire.headers}
    lines = [f"POST {url.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + wire.body
