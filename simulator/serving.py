"""One port for the OpenAPI, the control interface and long connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from simulator.api import ApiServer
from simulator.control import PREFIX, Control
from simulator.settings import SimulatorSettings
from simulator.sockets import PATHS, SocketServer

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what is bound, and where one asks then
BACKLOG = 1024
"""Connections that may wait to be accepted: under load, clicks and calls come all at once."""

READY = "/readyz"
"""Answered as by the other processes' admin ports, for health checks; the platform has no such path."""


@asynccontextmanager
async def serving(
    api: ApiServer, control: Control, sockets: SocketServer, settings: SimulatorSettings
) -> AsyncIterator[int]:
    """Serve as long as the context is open; yield the port. Raises ``OSError`` if it is taken."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path == READY:
            return web.Response()
        if request.raw_path.startswith(PREFIX):
            return await control.handle(request)
        return await (sockets if request.path in PATHS else api).handle(request)

    # The bare server, without a router: this is the far side of load tests.
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    try:
        port = settings.port
        for host in dict.fromkeys((settings.host, control_address(settings))):
            if host == settings.host or settings.host not in _EVERYWHERE:
                site = web.TCPSite(runner, host, port, backlog=BACKLOG)
                await site.start()
                port = runner.addresses[0][1]
        yield port
    finally:
        await sockets.close()
        await runner.cleanup()


def control_address(settings: SimulatorSettings) -> str:
    """Return the address that the control interface is asked on."""
    return settings.host if settings.control_host in _EVERYWHERE else settings.control_host


def url_of(host: str, port: int) -> str:
    """Return where to ask what is bound to an address."""
    name = _EVERYWHERE.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name and not name.startswith("[") else f"http://{name}:{port}"
