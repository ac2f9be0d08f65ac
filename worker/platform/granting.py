"""
How an app comes by an access token: one of its own organisation asks once, one of the app store three times over.

::

    custom   app_id, app_secret ──────────────────▶ tenant_access_token
    store    app_id, app_secret, app_ticket ──────▶ app_access_token     (kept, like every token)
             app_access_token, tenant_key ────────▶ tenant_access_token

Without a ticket, or with one that the platform no longer takes, it is asked to push another, once a minute; until that
has come by way of the log, calls wait. Source: docs/reference/platform.md, "Access tokens" and "Store apps".
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Literal

import structlog

from shared.clock import Clock
from shared.core.ids import AppId, TenantKey
from shared.core.secret import Secret
from shared.feishu.openapi import (
    ApiReply,
    ApiRequest,
    PlatformError,
    Success,
    Token,
    app_token,
    read,
    read_token,
    resend_ticket,
    tenant_token,
    tenant_token_of_store,
)
from shared.settings import PlatformSettings
from worker.platform.tickets import Tickets
from worker.platform.tokens import Tokens, Unauthorized, Unreachable, Whose

NO_TICKET: Final = "no_app_ticket"
"""Why a store app has no token: it waits for a ticket."""

NO_TENANT: Final = "no_tenant"
"""Why a store app has no token: the call is made in nobody's name."""

_APPS_OWN: Final = TenantKey("")
"""Stands for the tenant of an app access token, which is of none."""

REMEMBERED_S: Final = 30.0
"""
For how long a refusal that the app's breaker does not see is taken for the answer: an organisation that removed the app
may have a thousand effects waiting, and each would ask again.
"""

Ask = Callable[[PlatformSettings, ApiRequest], Awaitable[ApiReply | Unreachable]]
"""Makes one call without a token, within the deadline of a call."""

log = structlog.get_logger("cardwire.worker")


class Granting:
    """Asks the platform for access tokens, by the way of the app's kind."""

    def __init__(
        self, told: Callable[[AppId], PlatformSettings | None], ask: Ask, tickets: Tickets, clock: Clock
    ) -> None:
        self._told, self._ask, self._tickets, self._clock = told, ask, tickets, clock
        self._of_apps = Tokens(self._of_app, clock)
        self._too_fast: dict[AppId, tuple[float, Unauthorized]] = {}
        self._refused: dict[Whose, tuple[float, Unauthorized]] = {}
        self._bad: dict[AppId, tuple[float, Secret, PlatformError]] = {}

    async def fetch(self, app_id: AppId, tenant_key: TenantKey) -> Token | Unauthorized | Unreachable:
        """Return a fresh token for calls in an organisation, or why there is none."""
        told = self._told(app_id)
        if told is None:
            return Unauthorized(PlatformError(code=None, http_status=0, verdict="configuration"))
        if (limited := self._limited(app_id)) is not None:
            return limited
        if told.app_type == "store":
            got = await self._of_tenant(told, app_id, tenant_key)
        else:
            got = _granted(await self._ask(told, tenant_token(app_id, told.app_secret.reveal())))
        if isinstance(got, Unauthorized) and got.error.verdict == "rate_limit":
            self._too_fast[app_id] = (self._clock.monotonic() + got.error.asked_for_ms / 1000, got)
        return got

    async def close(self) -> None:
        """Stop asking."""
        await self._of_apps.close()

    def _limited(self, app_id: AppId) -> Unauthorized | None:
        """Return the answer of a rate limit as long as it counts, for whichever organisation: one app has asked."""
        until, refused = self._too_fast.get(app_id, (0.0, None))
        left_ms = math.ceil((until - self._clock.monotonic()) * 1000)
        if refused is None or left_ms <= 0:
            return None
        return Unauthorized(
            replace(refused.error, retry_after_ms=left_ms), of_app=refused.of_app, reason=refused.reason
        )

    async def _of_tenant(
        self, told: PlatformSettings, app_id: AppId, tenant_key: TenantKey
    ) -> Token | Unauthorized | Unreachable:
        if not tenant_key:
            return Unauthorized(_nothing("configuration"), of_app=False, reason=NO_TENANT)
        until, refused = self._refused.get((app_id, tenant_key), (0.0, None))
        if refused is not None and self._clock.monotonic() < until:
            return refused
        try:
            own = await self._of_apps.get(app_id, _APPS_OWN)
            reply = await self._ask(told, tenant_token_of_store(own, tenant_key))
            if isinstance(reply, ApiReply) and refuses_token(reply):
                own = await self._of_apps.get(app_id, _APPS_OWN, other_than=own)
                reply = await self._ask(told, tenant_token_of_store(own, tenant_key))
        except (Unauthorized, Unreachable) as failed:
            return failed
        # One organisation may have removed the app: the others go on.
        got = _granted(reply, of_app=False)
        if isinstance(got, Unauthorized) and got.error.verdict == "configuration":
            self._remember((app_id, tenant_key), got)
        return got

    def _remember(self, whose: Whose, refusal: Unauthorized) -> None:
        """Keep a refusal, and those alone that still count: there are more organisations than any list should hold."""
        now = self._clock.monotonic()
        self._refused = {each: kept for each, kept in self._refused.items() if now < kept[0]}
        self._refused[whose] = (now + REMEMBERED_S, refusal)

    async def _of_app(self, app_id: AppId, _own: TenantKey) -> Token | Unauthorized | Unreachable:
        told = self._told(app_id)
        if told is None:
            return Unauthorized(_nothing("configuration"))
        ticket = await self._tickets.newest(app_id)
        if ticket is None:
            return await self._without_ticket(told, app_id, _nothing("retry"))
        if (known := self._known_bad(app_id, ticket)) is not None:
            return await self._without_ticket(told, app_id, known)
        request = app_token(app_id, told.app_secret.reveal(), ticket.reveal())
        reply = await self._ask(told, request)
        match reply if isinstance(reply, Unreachable) else read_token(reply, "app_access_token"):
            case PlatformError(sense="bad_ticket") as refused:
                self._bad[app_id] = (self._clock.monotonic() + REMEMBERED_S, ticket, refused)
                return await self._without_ticket(told, app_id, refused)
            case PlatformError() as error:
                return Unauthorized(error)
            case other:
                return other

    def _known_bad(self, app_id: AppId, ticket: Secret) -> PlatformError | None:
        """Return how the platform refused this very ticket a moment ago, if it did."""
        until, bad, refused = self._bad.get(app_id, (0.0, None, None))
        return refused if bad == ticket and self._clock.monotonic() < until else None

    async def _without_ticket(
        self, told: PlatformSettings, app_id: AppId, error: PlatformError
    ) -> Unauthorized | Unreachable:
        """Have a ticket pushed, and say that calls wait for it."""
        if await self._tickets.may_ask(app_id):
            log.warning("app_ticket_asked_for", app_id=app_id, refused=error.code)
            reply = await self._ask(told, resend_ticket(app_id, told.app_secret.reveal()))
            match reply if isinstance(reply, Unreachable) else read(reply):
                case Success():
                    pass
                case PlatformError() as refused if refused.verdict in {"configuration", "target_final"}:
                    return Unauthorized(refused)
                case Unreachable() as unreachable:
                    return unreachable
                case _:
                    pass
        return Unauthorized(
            PlatformError(code=error.code, http_status=error.http_status, verdict="retry", log_id=error.log_id),
            of_app=False,
            reason=NO_TICKET,
        )


def refuses_token(reply: ApiReply) -> bool:
    """Say whether the platform did nothing because of the access token, so that another may help."""
    match read(reply):
        case PlatformError(verdict="refresh_token"):
            return True
        case _:
            return False


def _granted(reply: ApiReply | Unreachable, *, of_app: bool = True) -> Token | Unauthorized | Unreachable:
    match reply if isinstance(reply, Unreachable) else read_token(reply):
        case PlatformError() as error:
            return Unauthorized(error, of_app=of_app)
        case got:
            return got


def _nothing(verdict: Literal["retry", "configuration"]) -> PlatformError:
    return PlatformError(code=None, http_status=0, verdict=verdict)
