"""The admin port, the same for every process: ``/healthz``, ``/readyz`` and ``/metrics``."""

import errno
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aiohttp import web

from shared.core.errors import ConfigError
from shared.lacks import Lack

T = TypeVar("T")


class Numbers(Protocol):
    """What has numbers to show."""

    def exposition(self) -> bytes | Awaitable[bytes]:
        """Return them in Prometheus' text format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """
    What a process can say about itself.

    Attributes:
        alive: A restart would not help.
        lacks: What keeps it from taking work in; nothing does if it is ready.
    """

    alive: Callable[[], bool | Awaitable[bool]]
    lacks: Callable[[], Sequence[Lack] | Awaitable[Sequence[Lack]]]
    metrics: Numbers


@asynccontextmanager
async def serve_admin(host: str, port: int, probes: Probes) -> AsyncIterator[str]:
    """
    Serve the admin port until the block is left, and tell its address, as ``http://127.0.0.1:9101``.

    Raises:
        ConfigError: The port is taken, or the host is none of this machine; the text names the setting.
    """
    runner = web.AppRunner(_application(probes), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise _refusal(error, host, port) from error
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"http://{shown}:{bound[1]}"
    finally:
        await runner.cleanup()


def _refusal(error: OSError, host: str, port: int) -> ConfigError:
    where = f"cannot listen on {host}:{port} ({error.strerror or 'unknown address'})"
    if error.errno in {errno.EADDRINUSE, errno.EACCES}:
        why = "is taken" if error.errno == errno.EADDRINUSE else "is not for us"
        return ConfigError(
            f"CARDWIRE_ADMIN_PORT: {host}:{port} {why}: expected a free port, for example CARDWIRE_ADMIN_PORT=9109"
        )
    return ConfigError(
        f"CARDWIRE_ADMIN_HOST: {where}; expected an address of this machine, for example CARDWIRE_ADMIN_HOST=0.0.0.0"
    )


def _application(probes: Probes) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return _verdict(good=await _known(probes.alive()))

    async def readyz(_: web.Request) -> web.Response:
        lacks = await _known(probes.lacks())
        return _verdict(good=True) if not lacks else web.json_response({"lacks": [*lacks]}, status=503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=await _known(probes.metrics.exposition()),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return application


async def _known(value: T | Awaitable[T]) -> T:
    return await value if inspect.isawaitable(value) else value


def _verdict(*, good: bool) -> web.Response:
    return web.Response(text="ok\n" if good else "no\n", status=200 if good else 503)
