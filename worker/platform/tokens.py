"""
Tenant access tokens, kept for as long as they are worth keeping.

The platform hands out the *same* token until it has half an hour left, and a new one from then on, with both valid.
So a token is renewed when half an hour is left, in the background, while calls go on with the old one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from shared.clock import Clock
from shared.core.errors import CardwireError
from shared.core.ids import AppId, TenantKey
from shared.feishu.limits import TOKEN_REFRESH_S
from shared.feishu.openapi import PlatformError, Token

RETRY_S: Final = 30.0
"""A renewal that failed is tried again so much later, as long as the old token lives."""


class Unreachable(CardwireError):
    """
    The platform gave no answer.

    Attributes:
        sent: False if not one byte of the call can have arrived: nothing happened. True if it may have been
            performed all the same.
        reason: A few words for a log line: no address, no header, nothing of what was sent.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Unauthorized(CardwireError):
    """
    There is no access token, so the call was not made.

    Attributes:
        error: Why. Its verdict is ``configuration`` (an operator must act) or ``retry`` / ``rate_limit``.
        of_app: No call of the app would have one. Else it is about one organisation, or will pass by itself.
        reason: A word of ours where the verdict says too little.
    """

    def __init__(self, error: PlatformError, *, of_app: bool = True, reason: str | None = None) -> None:
        super().__init__(f"no access token: code {error.code}, http status {error.http_status}, {error.verdict}")
        self.error = error
        self.of_app = of_app
        self.reason = reason


Whose = tuple[AppId, TenantKey]

Got = Token | Unauthorized | Unreachable

Fetch = Callable[[AppId, TenantKey], Awaitable[Got]]
"""Asks the platform for a token. Failures are values, because many callers may wait for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A token; `renew_at` and `dead_at` by the monotonic clock (s)."""

    value: str = field(repr=False)
    renew_at: float
    dead_at: float


class Tokens:
    """
    One token for each app and tenant, asked for once however many calls need it.

    Failures are told to everybody who waits and are not kept: the next call asks again.
    """

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[Whose, _Kept] = {}
        self._asking: dict[Whose, asyncio.Task[Got]] = {}

    async def get(self, app_id: AppId, tenant_key: TenantKey, *, other_than: str | None = None) -> str:
        """
        Return a token, if possible without waiting.

        Args:
            other_than: A token that the platform has just refused; it is not returned from memory.

        Raises:
            Unauthorized: The platform gave none.
            Unreachable: It could not be asked; ``sent`` is False, since the call itself was never made.
        """
        whose, now = (app_id, tenant_key), self._clock.monotonic()
        kept = self._kept.get(whose)
        if kept is not None and kept.value != other_than and now < kept.dead_at:
            if now >= kept.renew_at:
                self._ask(whose)
            return kept.value
        # Shielded: a caller that gives up must not take the answer from the others.
        self._ask(whose)
        match await asyncio.shield(self._asking[whose]):
            case Token(value=value):
                return value
            case Unauthorized(error=error, of_app=of_app, reason=reason):
                raise Unauthorized(error, of_app=of_app, reason=reason)
            case Unreachable(reason=reason):
                raise Unreachable(reason, sent=False)

    async def close(self) -> None:
        """Stop asking."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _ask(self, whose: Whose) -> None:
        if whose not in self._asking:
            task = asyncio.create_task(self._ask_and_keep(whose), name="cardwire-token")
            self._asking[whose] = task
            task.add_done_callback(lambda _: self._asking.pop(whose, None))

    async def _ask_and_keep(self, whose: Whose) -> Got:
        got = await self._fetch(*whose)
        now, kept = self._clock.monotonic(), self._kept.get(whose)
        if isinstance(got, Token):
            self._kept[whose] = _Kept(
                value=got.value, renew_at=now + _renewed_after(got.expires_in_s), dead_at=now + got.expires_in_s
            )
        elif kept is not None:
            self._kept[whose] = _Kept(value=kept.value, renew_at=now + RETRY_S, dead_at=kept.dead_at)
        return got


def _renewed_after(expires_in_s: int) -> float:
    # A life of under half an hour is not the platform's habit; half of it keeps us from asking before every call.
    return expires_in_s - TOKEN_REFRESH_S if expires_in_s > TOKEN_REFRESH_S else expires_in_s / 2
