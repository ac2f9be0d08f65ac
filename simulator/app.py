"""The simulator put together: a platform, its OpenAPI and its control interface on one port."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from shared.clock import Clock, SystemClock
from shared.core.ids import OpenId
from simulator.answers import CallbackStyle
from simulator.api import ApiServer
from simulator.callbacks import Callbacks, Person
from simulator.clock import PlatformClock
from simulator.connections import Connections
from simulator.control import Control
from simulator.deliver import Deliverer
from simulator.faults import Faults
from simulator.names import Names
from simulator.openapi import OpenApi
from simulator.platform import Platform
from simulator.pushing import Pusher, pushing
from simulator.seeing import Seen
from simulator.sending import ONCE, Copies, Sender
from simulator.serving import control_address, serving, url_of
from simulator.settings import SimulatorSettings
from simulator.sockets import SocketServer
from simulator.tokens import App
from simulator.wire_json import json_bytes

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
        settings.limits,
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
        async with pushing(pusher, is_store=settings.is_store), serving(api, control, sockets, settings) as port:
            yield RunningSimulator(
                url=url_of(settings.host, port),
                control_url=url_of(control_address(settings), port),
                platform=platform,
                deliverer=deliverer,
                faults=faults,
                connections=connections,
                style=style,
                sender=sender,
            )


def _callbacks(settings: SimulatorSettings, names: Names) -> Callbacks:
    key, token = settings.callbacks.encrypt_key, settings.callbacks.verification_token
    return Callbacks(
        app_id=settings.app_id,
        encrypt_key=key.reveal() if key is not None else "",
        verification_token=token.reveal() if token is not None else "",
        names=names,
    )
