"""
What follows a failed attempt (pure).

The wait grows by "full jitter": after ``n`` failures it is drawn evenly from zero to ::

    min(60 s, 0.5 s * 2 ** (n - 1))

Half a second, because most trouble is a restart or a moment's overload; sixty, because somebody is looking at the
card, and because the breaker, not the back-off, keeps an outage's calls few. Drawn from zero, so that a thousand
cards that failed together do not come back together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from shared.core.effects import Asking, PlatformEffect, UpdateCard
from shared.core.json_text import EpochMs
from shared.feishu.limits import DAY_MS
from shared.feishu.openapi import PlatformError
from shared.feishu.validity import updatable_until
from worker.ledger.leased import FaceRow, Head
from worker.platform.performed import Failure, NoToken, Rejected, Unreached, Unsure

BASE_MS: Final = 500
CAP_MS: Final = 60_000
DOUBLINGS: Final = 7
"""As many as reach the cap; an effect may have failed a thousand times."""

HORIZON_MS: Final = DAY_MS
"""How long after its decision, or after it was wanted again by hand, an effect is still worth a try."""

MAX_ATTEMPTS: Final = 8
"""How often an answer that we do not understand is tried again: by the formula about half a minute."""

HTTP_REDIRECT: Final = 300
HTTP_CLIENT_ERROR: Final = 400
HTTP_TOO_MANY: Final = 429
HTTP_SERVER_ERROR: Final = 500

Reason = Literal["platform_refused", "configuration", "out_of_attempts", "out_of_time", "too_large"]
"""
Why no further attempt is made: the platform will never do this, an operator has to act, it was tried often enough, or
for long enough, or it was done, and what came back is longer than what is read.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryIn:
    """Try again after so long."""

    delay_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Make no further attempt."""

    reason: Reason


Next = RetryIn | GiveUp


def after(
    failure: Failure, *, failures: int, attempts: int, now: EpochMs, last_at: EpochMs, chance: Callable[[], float]
) -> Next:
    """
    Return what follows a failure.

    Args:
        failures: How often this effect has failed so far, whoever's fault it was; this time included.
        attempts: How many of these failures counted (see `counts`), this one included.
        last_at: When the last attempt may start (`last_attempt_at`).
        chance: Draws evenly from [0, 1).
    """
    if (reason := _final_reason(failure, attempts)) is not None:
        return GiveUp(reason=reason)
    delay_ms = max(back_off_ms(failures, chance), _asked_for_ms(failure))
    return RetryIn(delay_ms=delay_ms) if now + delay_ms <= last_at else GiveUp(reason="out_of_time")


def counts(failure: Failure) -> bool:
    """
    Return whether a failure uses up an attempt: only if the platform answered, and about this very target.

    Not about it are: no connection, no token, no answer, a server error, a rate limit, and an answer that some
    proxy gave instead of the platform. About it is a token that is refused for one call alone.
    """
    match failure:
        case Rejected(error=error):
            return error.verdict != "rate_limit" and _is_final(error)
        case Unsure(error=error) if error is not None:
            says_something = error.code is not None or error.too_long or error.http_status >= HTTP_CLIENT_ERROR
            return says_something and error.http_status < HTTP_SERVER_ERROR
        case NoToken(of_app=of_app, refused=refused):
            return refused and not of_app
        case Unsure() | Unreached():
            return False
        case _ as unreachable:
            assert_never(unreachable)


def came_too_long(effect: PlatformEffect, failure: Failure) -> bool:
    """Say whether an answer that was asked for is longer than what is read: the call was made, and would be again."""
    match failure:
        case Unsure(error=PlatformError(too_long=True, http_status=status)):
            return isinstance(effect, Asking) and status < HTTP_REDIRECT
        case _:
            return False


def last_attempt_at(effect: PlatformEffect, *, head: Head, face: FaceRow | None) -> EpochMs:
    """Return when an effect's last attempt may start (ms): a day after it was wanted, or when its card gets too old."""
    horizon = head.wanted_at + HORIZON_MS
    if not isinstance(effect, UpdateCard) or face is None or face.sent_at is None:
        return horizon
    return min(horizon, updatable_until(face.sent_at, face.card_format or "1.0") - 1)


def api_pause_ms(failure: Failure) -> int | None:
    """Return for how long nobody should call the API that answered so; ``None``: no reason not to."""
    match failure:
        case Rejected(error=PlatformError(verdict="rate_limit") as error) if _is_of_the_api(error):
            return error.asked_for_ms
        case _:
            return None


def _final_reason(failure: Failure, attempts: int) -> Reason | None:
    match failure:
        case Rejected(error=error) if _is_final(error):
            return "configuration" if error.verdict == "configuration" else "platform_refused"
        case NoToken() | Unsure(error=PlatformError(code=None)) if counts(failure) and attempts >= MAX_ATTEMPTS:
            return "out_of_attempts"
        case _:
            return None


def _asked_for_ms(failure: Failure) -> int:
    match failure:
        case Rejected(error=PlatformError(verdict="rate_limit") as error):
            return error.asked_for_ms
        case NoToken(error=PlatformError(verdict="rate_limit") as error):
            return error.asked_for_ms  # The limit is that of asking for tokens.
        case _:
            return 0


def _is_of_the_api(error: PlatformError) -> bool:
    return error.sense == "whole_api" or error.http_status == HTTP_TOO_MANY or error.retry_after_ms is not None


def _is_final(error: PlatformError) -> bool:
    # Without a code it was not the platform that spoke, and a proxy's "forbidden" says nothing about our app.
    return error.verdict == "target_final" or (error.verdict == "configuration" and error.code is not None)


def back_off_ms(failures: int, chance: Callable[[], float]) -> int:
    """Return how long to wait after so many failures, by the formula above."""
    doublings = min(max(failures, 1) - 1, DOUBLINGS)
    return round(chance() * min(CAP_MS, BASE_MS << doublings))
