"""
The worker's way to the platform: one HTTP session, tokens, deadlines. Nothing is decided here.

What leaves this module names no token, secret or body: failures carry a few words of ours, and the library's own
exceptions, whose representations hold request headers, are not even kept as causes.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Final, Protocol, Self

import aiohttp
import structlog
from yarl import URL

from shared.clock import Clock
from shared.core.ids import AppId, TenantKey
from shared.core.secret import Secret
from shared.feishu.openapi import ApiReply, ApiRequest, PlatformError, Token, read, read_token, tenant_token
from shared.outbound import route_to
from worker.platform.tokens import Tokens, Unauthorized, Unreachable
from worker.settings import WorkerSettings

__all__ = ["DEADLINE_S", "HttpPlatform", "Platform", "Unauthorized", "Unreachable"]

DEADLINE_S: Final = 5.0
"""A call with everything that it needs, token included. Half a lease, so that its outcome is stored in time."""

CONNECT_S: Final = 2.0

REPLY_BYTES: Final = 1024 * 1024
"""More than any reply of the platform's that we ask for; of a longer one nothing is read but its status."""

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


class _SentTwice(aiohttp.ClientError):
    """The library repeats a GET or PUT by itself when a used connection breaks; budgets would not know of it."""


@dataclass(slots=True)
class _Progress:
    """Whether anything of the call may have left this machine."""

    sent: bool = False


class HttpPlatform:
    """
    The platform over HTTP.

    Guarantees: a call ends within ``deadline_s``. It is made once; a second time only if the platform refused the
    first one for its token, when nothing had happened. Redirects are not followed, cookies not kept.

    Args:
        base_url: Scheme and host, as in ``https://open.feishu.cn``.
        app_secrets: The secret of each app that calls are made for.
        proxy: The address through which the platform is reached, with its credentials: see `shared.outbound`.
    """

    def __init__(
        self,
        base_url: str,
        app_secrets: Mapping[AppId, Secret],
        *,
        clock: Clock,
        proxy: Secret | None = None,
        deadline_s: float = DEADLINE_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._route = route_to(base_url, proxy)
        self._app_secrets = app_secrets
        self._deadline_s = deadline_s
        self._connect_s = connect_s
        self._tokens = Tokens(self._fetch_token, clock)
        self._open_session: aiohttp.ClientSession | None = None
        self._no_way: str | None = None

    @classmethod
    def of(cls, settings: WorkerSettings, clock: Clock) -> Self:
        """Return the platform that the settings name, for the app that they name."""
        secrets = {settings.app_id: settings.platform.app_secret}
        return cls(settings.platform.domain, secrets, clock=clock, proxy=settings.outbound.proxy)

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        self._open_session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tokens.close()
        await self._session.close()

    async def call(self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest) -> ApiReply:
        """Make one call: see `Platform.call`."""
        progress = _Progress()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._authorized(app_id, tenant_key, request, progress)
        except TimeoutError:
            late = Unreachable(f"no answer within {self._deadline_s:g} s", sent=progress.sent)
        raise late

    async def _authorized(
        self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest, progress: _Progress
    ) -> ApiReply:
        token = await self._tokens.get(app_id, tenant_key)
        reply = await self._exchange(request, progress, token)
        if not _refuses_token(reply):
            return reply
        progress.sent = False
        token = await self._tokens.get(app_id, tenant_key, other_than=token)
        return await self._exchange(request, progress, token)

    async def _exchange(self, request: ApiRequest, progress: _Progress, token: str | None) -> ApiReply:
        headers = dict(self._route.headers)
        if request.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._session.request(
                request.method,
                URL(self._base_url + request.path, encoded=True).update_query(request.query),
                data=request.body,
                headers=headers,
                proxy=self._route.proxy,
                proxy_headers=self._route.proxy_headers,
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                if refused := self._route.refused(response.status):
                    raise self._nothing_sent(refused)
                self._no_way = None
                names = {name.lower(): text for name, text in response.headers.items()}
                return ApiReply(status=response.status, headers=names, body=await _bounded(response))
        except (aiohttp.ClientError, OSError) as error:
            unreachable = (
                Unreachable(type(error).__name__, sent=True)
                if progress.sent
                else self._nothing_sent(self._route.failure(error))
            )
        raise unreachable

    def _nothing_sent(self, reason: str) -> Unreachable:
        # One line when the way is lost or lost otherwise, not one for every call.
        if reason != self._no_way:
            log.warning("platform_unreachable", reason=reason, proxy=self._route.proxy is not None)
        self._no_way = reason
        return Unreachable(reason, sent=False)

    async def _fetch_token(self, app_id: AppId, _tenant_key: TenantKey) -> Token | PlatformError | Unreachable:
        secret = self._app_secrets.get(app_id)
        if secret is None:
            return PlatformError(code=None, http_status=0, verdict="configuration")
        try:
            async with asyncio.timeout(self._deadline_s):
                reply = await self._exchange(tenant_token(app_id, secret.reveal()), _Progress(), None)
        except Unreachable as unreachable:
            return unreachable
        except TimeoutError:
            return Unreachable(f"no access token within {self._deadline_s:g} s", sent=False)
        token = read_token(reply)
        if isinstance(token, Token) and not (token.value.isascii() and token.value.isprintable()):
            # It could not stand in a header.
            return PlatformError(code=None, http_status=reply.status, verdict="retry")
        return token

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._open_session is None:
            raise RuntimeError("HttpPlatform is a context manager: async with HttpPlatform(…) as platform")
        return self._open_session


async def _note_sent(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    # Told before the first byte is written, so what is not noted has not left.
    progress: _Progress = context.trace_request_ctx
    if progress.sent:
        raise _SentTwice
    progress.sent = True


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > REPLY_BYTES:
            response.close()
            return b""
    return bytes(body)


def _refuses_token(reply: ApiReply) -> bool:
    match read(reply):
        case PlatformError(verdict="refresh_token"):
            return True
        case _:
            return False
