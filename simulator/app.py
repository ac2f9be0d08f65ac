"""The simulator put together: a platform, its OpenAPI and its control interface on one port."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from shared.clock import Clock, SystemClock
from shared.core.ids import OpenId
from simulator.answers import CallbackStyle
from simulator.api import ApiServer
from simulator.callbacks import Callbacks, Person
from simulator.clock import PlatformClock
from simulator.connections import Connections
from simulator.control import PREFIX, Control
from simulator.deliver import Deliverer, Seen
from simulator.faults import Faults
from simulator.names import Names
from simulator.openapi import OpenApi
from simulator.platform import Platform
from simulator.pushing import Pusher
from simulator.sending import ONCE, Copies, Sender
from simulator.settings import SimulatorSettings, limits_of
from simulator.sockets import PATHS, SocketServer
from simulator.tokens import App
from simulator.wire_json import json_bytes

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what is bound, and where one asks then
BACKLOG = 1024
"""Connections that may wait to be accepted: under load, clicks and calls come all at once."""

READY = "/readyz"
"""Answered as by the other processes' admin ports, for health checks; the platform has no such path."""

DEFAULT_PERSON = OpenId("ou_00000000000000000000000000000001")


@dataclass(slots=True, kw_only=True)
class RunningSimulator:
    """
    A simulator that answers.

    Attributes:
        url: Where the OpenAPI is: what ``LARK_DOMAIN`` is set to.
        control_url: Where ``/_sim/`` is.
        platform: Its state, for tests in the same process.
        deliverer: Clicks and events, for tests in the same process.
        faults: The faults in force.
        connections: Long connections; callbacks go to one of them where there is any.
    """

    url: str
    control_url: str
    platform: Platform
    deliverer: Deliverer
    faults: Faults
    connections: Connections
    style: CallbackStyle
    sender: Sender = field(repr=False)

    @property
    def callback_url(self) -> str:
        """Where callbacks go: the first receiver."""
        return self.sender.urls[0]

    @callback_url.setter
    def callback_url(self, url: str) -> None:
        self.sender.urls = (url,)

    @property
    def callback_urls(self) -> tuple[str, ...]:
        """Where callbacks go; receivers take turns."""
        return self.sender.urls

    @callback_urls.setter
    def callback_urls(self, urls: Sequence[str]) -> None:
        self.sender.urls = tuple(urls)

    def put_card(self, chat_id: str, card: Mapping[str, Any], *, sent_at: int | None = None) -> str:
        """Put a card into a chat as another program of the app would have; return its message id."""
        return self.platform.put_card(chat_id, json_bytes(card).decode(), sent_at=sent_at).message_id

    async def click(
        self,
        message_id: str,
        value: Any = None,
        *,
        open_id: str = DEFAULT_PERSON,
        style: CallbackStyle | None = None,
        copies: Copies = ONCE,
        **action: Any,
    ) -> Seen:
        """Click a card's button and return what the person saw; other members of the action by name."""
        content = {"tag": "button", **({} if value is None else {"value": value}), **action}
        return await self.deliverer.click(
            message_id,
            operator=Person(open_id=OpenId(open_id)),
            action=json_bytes(content),
            style=style or self.style,
            copies=copies,
        )


@asynccontextmanager
async def run_simulator(settings: SimulatorSettings, *, clock: Clock | None = None) -> AsyncIterator[RunningSimulator]:
    """
    Run a simulator as long as the context is open.

    Args:
        settings: With port 0 any free one is taken, see `RunningSimulator.url`.
        clock: The machine's by default. A `ManualClock` is moved by ``/_sim/clock`` too, for all who share it.

    Raises:
        OSError: The port is taken.
    """
    base = clock if clock is not None else SystemClock()
    names = Names(settings.seed)
    platform = Platform(
        App(
            app_id=settings.app_id,
            app_secret=settings.app_secret.reveal(),
            tenant_key=settings.tenant_key,
            is_store=settings.is_store,
        ),
        PlatformClock(base),
        names,
        limits_of(settings.limits),
    )
    style: CallbackStyle = "legacy" if settings.callbacks.style == "legacy" else "new"
    faults = Faults()
    # No time-out of its own: who waits how long is a rule of the platform. No limit: every click has its connection.
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        connections = Connections(platform.app, platform.clock, names)
        sender = Sender(session, base, names, faults, connections, urls=settings.callback_urls)
        deliverer = Deliverer(platform, _callbacks(settings, names), sender)
        pusher = Pusher(platform, deliverer, base)
        api = ApiServer(OpenApi(platform), faults, base, pusher)
        control = Control(
            platform, deliverer, sender, faults, connections, control_host=settings.control_host, style=style
        )
        sockets = SocketServer(connections, base)
        async with _pushing(pusher, is_store=settings.is_store), _serving(api, control, sockets, settings) as port:
            yield RunningSimulator(
                url=_url(settings.host, port),
                control_url=_url(_control_address(settings), port),
                platform=platform,
                deliverer=deliverer,
                faults=faults,
                connections=connections,
                style=style,
                sender=sender,
            )


@asynccontextmanager
async def _pushing(pusher: Pusher, *, is_store: bool) -> AsyncIterator[None]:
    tickets = asyncio.create_task(pusher.keep_in_tickets()) if is_store else None
    try:
        yield
    finally:
        if tickets is not None:
            tickets.cancel()
        await pusher.close()


@asynccontextmanager
async def _serving(
    api: ApiServer, control: Control, sockets: SocketServer, settings: SimulatorSettings
) -> AsyncIterator[int]:
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
        for host in dict.fromkeys((settings.host, _control_address(settings))):
            if host == settings.host or settings.host not in _EVERYWHERE:
                site = web.TCPSite(runner, host, port, backlog=BACKLOG)
                await site.start()
                port = runner.addresses[0][1]
        yield port
    finally:
        await sockets.close()
        await runner.cleanup()


def _control_address(settings: SimulatorSettings) -> str:
    return settings.host if settings.control_host in _EVERYWHERE else settings.control_host


def _callbacks(settings: SimulatorSettings, names: Names) -> Callbacks:
    key, token = settings.callbacks.encrypt_key, settings.callbacks.verification_token
    return Callbacks(
        app_id=settings.app_id,
        encrypt_key=key.reveal() if key is not None else "",
        verification_token=token.reveal() if token is not None else "",
        names=names,
    )


def _url(host: str, port: int) -> str:
    name = _EVERYWHERE.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name and not name.startswith("[") else f"http://{name}:{port}"
