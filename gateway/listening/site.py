"""Where HTTP comes in: a server of aiohttp's, bound to a host and a port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.listening.ports import refusal, url_of
from gateway.listening.server import BODY_S, Server

FINISH_S: Final = 3.0
"""How long requests under way may take to finish at the end: the platform waits no longer for any."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted: an alert that a whole company clicks comes all at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """
    Where to listen.

    Attributes:
        what: What stands behind ``CARDWIRE_`` in the names of the settings that say so.
        share: Other processes listen there as well: see `gateway.listening.ports`.
    """

    host: str
    port: int
    what: str
    share: bool


@asynccontextmanager
async def listening(server: Server, site: Site) -> AsyncIterator[str]:
    """
    Serve until the block is left, then finish what is under way; give the URL.

    Raises:
        ConfigError: Host and port cannot be had.
    """
    runner = web.ServerRunner(server, shutdown_timeout=FINISH_S)
    await runner.setup()
    try:
        # None, not False: off where it does not exist, too.
        reuse_port = True if site.share else None
        bound = web.TCPSite(runner, site.host, site.port, backlog=BACKLOG, reuse_port=reuse_port)
        try:
            await bound.start()
        except OSError as error:
            raise refusal(error, site.host, site.port, what=site.what) from error
        yield url_of(runner.addresses[0])
        await bound.stop()
        await server.finish(BODY_S)
    finally:
        await runner.cleanup()
