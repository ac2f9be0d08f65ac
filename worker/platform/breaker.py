"""
When a whole app cannot reach the platform, stop trying for a while.

A breaker is a value; each pump holds one for each app and moves it with its own clock::

    Closed ──failed──▶ Open ──pause over, called──▶ Probing ──answered──▶ Closed
       ▲                ▲                              │ failed, or silent for too long
       └──answered──────┴────────twice the pause───────┘

What is nobody's fault in particular (no connection, no token) opens it at once. A call that failed with a server
error or without an answer, or was refused for a token that others may have called with, may be the fault of its own
card, so it takes three different targets without a good answer in between: one poisoned card never stops the others.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from shared.core.ids import Target
from shared.core.json_text import EpochMs
from worker.platform.performed import Done, Found, FoundEntity, NoToken, Performed, Rejected, Unreached, Unsure

FAILING_TARGETS: Final = 3
"""So many different targets have to fail in a row."""

FIRST_PAUSE_MS: Final = 500
"""Shorter than a restart of anything, so that a lone refused connection costs little."""

LONGEST_PAUSE_MS: Final = 30_000
"""How late we may notice that an outage is over; one probe in so long is no load for anybody."""

HTTP_SERVER_ERROR: Final = 500

PROBE_MS: Final = 10_000
"""A probe that has not come back after so long (a lease) is taken for lost."""

LOOK_MS: Final = 1_000
"""How long others are put off while a probe is out: when it comes back well, they shall not sleep on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Calls may be made. `failing`: targets that failed since the last good answer."""

    failing: frozenset[Target] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """No call before `until` (ms); then one."""

    until: EpochMs
    pause_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """One call is out to see whether things are well again; another may follow at `until` (ms)."""

    until: EpochMs
    pause_ms: int


Breaker = Closed | Open | Probing

CLOSED: Final = Closed()


def may_call(breaker: Breaker, *, now: EpochMs) -> bool:
    """Return whether one more call may be made; whoever makes it says so with `with_call`."""
    match breaker:
        case Closed():
            return True
        case Open(until=until) | Probing(until=until):
            return now >= until
        case _ as unreachable:
            assert_never(unreachable)


def with_call(breaker: Breaker, *, now: EpochMs) -> Breaker:
    """Return the breaker with a call under way, allowed by `may_call`."""
    match breaker:
        case Closed():
            return breaker
        case Open(pause_ms=pause_ms) | Probing(pause_ms=pause_ms):
            return Probing(until=now + PROBE_MS, pause_ms=pause_ms)
        case _ as unreachable:
            assert_never(unreachable)


def after_call(
    breaker: Breaker, performed: Performed | Found | FoundEntity, *, target: Target, now: EpochMs
) -> Breaker:
    """Return the breaker after a call to ``target`` that came to this: an answer, or a failure to get one."""
    match performed:
        case Done() | Found() | FoundEntity():
            return answered()
        case NoToken(of_app=False):
            return breaker  # One organisation has none, or all wait for a ticket: the platform is not away.
        case NoToken(refused=True):
            return failed(breaker, target=target, now=now)
        case NoToken() | Unreached():
            return failed(breaker, target=None, now=now)
        case Rejected(error=error) | Unsure(error=error):
            speaks = error is not None and (error.code is not None or error.too_long)
            is_answer = error is not None and speaks and error.http_status < HTTP_SERVER_ERROR
            is_limit = error is not None and error.verdict == "rate_limit"
            return answered() if is_answer or is_limit else failed(breaker, target=target, now=now)
        case _ as unreachable:
            assert_never(unreachable)


def answered() -> Breaker:
    """Return the breaker after the platform answered a call, with whatever verdict on its target."""
    return CLOSED


def failed(breaker: Breaker, *, target: Target | None, now: EpochMs) -> Breaker:
    """
    Return the breaker after a call to which the platform gave no usable answer.

    Args:
        target: Whom it concerned, if the failure may be the target's own (a server error, no answer in time);
            ``None`` if it cannot be (no connection, no token).
    """
    match breaker:
        case Closed(failing=failing):
            more = failing if target is None else failing | {target}
            if target is None or len(more) >= FAILING_TARGETS:
                return Open(until=now + FIRST_PAUSE_MS, pause_ms=FIRST_PAUSE_MS)
            return Closed(failing=more)
        case Open():
            # A call begun before it opened: no news.
            return breaker
        case Probing(pause_ms=pause_ms):
            longer = min(2 * pause_ms, LONGEST_PAUSE_MS)
            return Open(until=now + longer, pause_ms=longer)
        case _ as unreachable:
            assert_never(unreachable)


def retry_at(breaker: Breaker) -> EpochMs | None:
    """Return when the next call may be made (ms); ``None``: now."""
    return None if isinstance(breaker, Closed) else breaker.until


def put_off_ms(breaker: Breaker, *, now: EpochMs) -> int:
    """Return for how long a target is left alone that may not be called now (ms)."""
    match breaker:
        case Closed():
            return 0
        case Open(until=until):
            return max(0, until - now)
        case Probing(until=until):
            return max(0, min(until - now, LOOK_MS))
        case _ as unreachable:
            assert_never(unreachable)
