"""
The worker's way to the platform: one HTTP session, tokens, deadlines. Nothing is decided here.

What leaves this module names no token, secret or body: failures carry a few words of ours, and the library's own
exceptions, whose representations hold request headers, are not even kept as causes.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

import aiohttp
import structlog

from shared.clock import Clock
from shared.core.ids import AppId, TenantKey
from shared.core.secret import Secret
from shared.feishu.openapi import ApiReply, ApiRequest
from shared.settings import PlatformSettings
from worker.platform.deadlines import CONNECT_S, DEADLINE_S
from worker.platform.exchange import Progress, Way, noting_sent
from worker.platform.granting import Granting, refuses_token
from worker.platform.tickets import NoTickets, Tickets
from worker.platform.tokens import Tokens, Unauthorized, Unreachable
from worker.settings import UNKNOWN_HINT, WorkerSettings

__all__ = ["HttpPlatform", "Platform", "Unauthorized", "Unreachable"]

KEEPALIVE_S: Final = 15.0

log = structlog.get_logger("cardwire.worker")


class Platform(Protocol):
    """The platform's OpenAPI, as the worker sees it."""

    async def call(self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest) -> ApiReply:
        """
        Make one call and return what came back, whatever its status; read it with `shared.feishu.openapi.read`.

        Raises:
            Unreachable: No answer; ``sent`` says whether the call may have been performed all the same.
            Unauthorized: There is no access token, so nothing was called.
        """


class HttpPlatform:
    """
    The platform over HTTP.

    Guarantees: a call ends within ``deadline_s``. It is made once; a second time only if the platform refused the
    first one for its token, when nothing had happened. Redirects are not followed, cookies not kept.

    Args:
        apps: Of each app that calls are made for, where its platform is and its secret. For others there is no access
            token, and a line says so once.
        tickets: Those of store apps.
        proxy: The address through which the platform is reached, with its credentials: see `shared.outbound`.
    """

    def __init__(
        self,
        apps: Mapping[AppId, PlatformSettings],
        *,
        clock: Clock,
        tickets: Tickets | None = None,
        proxy: Secret | None = None,
        deadline_s: float = DEADLINE_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._apps = apps
        # One for each address, so that a lost one is told of once.
        self._ways = {told.domain: Way(told.domain, proxy) for told in apps.values()}
        self._unknown: set[AppId] = set()
        self._deadline_s = deadline_s
        self._connect_s = connect_s
        self._granting = Granting(self._told, self._ask, tickets or NoTickets(), clock)
        self._tokens = Tokens(self._granting.fetch, clock)
        self._open_session: aiohttp.ClientSession | None = None

    @classmethod
    def of(cls, settings: WorkerSettings, clock: Clock, tickets: Tickets | None = None) -> Self:
        """Return the platform of the apps that the settings name; ``tickets``: those of store apps."""
        return cls(settings.platforms, clock=clock, tickets=tickets, proxy=settings.outbound.proxy)

    def renew(self, apps: Mapping[AppId, PlatformSettings]) -> None:
        """Ask for access tokens with these secrets from now on; tokens that were given count as long as they live."""
        self._apps = {
            app_id: replace(told, app_secret=apps.get(app_id, told).app_secret) for app_id, told in self._apps.items()
        }

    async def __aenter__(self) -> Self:
        self._open_session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[noting_sent()],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tokens.close()
        await self._granting.close()
        await self._session.close()

    async def call(self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest) -> ApiReply:
        """Make one call: see `Platform.call`."""
        progress = Progress()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._authorized(app_id, tenant_key, request, progress)
        except TimeoutError:
            late = Unreachable(f"no answer within {self._deadline_s:g} s", sent=progress.sent)
        raise late

    async def _authorized(
        self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest, progress: Progress
    ) -> ApiReply:
        token = await self._tokens.get(app_id, tenant_key)
        way = self._ways[self._apps[app_id].domain]
        reply = await way.exchange(self._session, request, progress, token)
        if not refuses_token(reply):
            return reply
        progress.sent = False
        token = await self._tokens.get(app_id, tenant_key, other_than=token)
        return await way.exchange(self._session, request, progress, token)

    async def _ask(self, told: PlatformSettings, request: ApiRequest) -> ApiReply | Unreachable:
        """Make a call that needs no token, because it asks for one."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._ways[told.domain].exchange(self._session, request, Progress(), None)
        except Unreachable as unreachable:
            return unreachable
        except TimeoutError:
            return Unreachable(f"no access token within {self._deadline_s:g} s", sent=False)

    def _told(self, app_id: AppId) -> PlatformSettings | None:
        told = self._apps.get(app_id)
        if told is None and app_id not in self._unknown:
            self._unknown.add(app_id)
            log.warning("app_unknown", app_id=app_id, what="its effects wait", hint=UNKNOWN_HINT)
        return told

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._open_session is None:
            raise RuntimeError("HttpPlatform is a context manager: async with HttpPlatform(…) as platform")
        return self._open_session
