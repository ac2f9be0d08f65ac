"""
The arithmetic of a rate limit that is reserved, not asked for.

Theory of operation. The platform counts the calls of each API, app and tenant twice: by second and by minute. One
row holds both counts as *theoretical arrival times* (the generic cell rate algorithm, GCRA): the time at which the
next call would be due if calls came evenly spaced. A reservation always advances them and returns how long to
wait, so callers line up by arithmetic instead of asking again and again. With spacing ``T``, burst ``B`` and
reservations of ``n`` calls that follow each other at ``T_second``::

    slack_s  =  B_s * T_s
    slack_m  =  B_m * T_m - (n - 1) * max(0, T_m - T_s)
    start    =  max(now, s - slack_s, m - slack_m)
    s'       =  max(s, start) + n * T_s
    m'       =  max(m, start) + n * T_m
    wait     =  start - now

Advancing from ``start`` and not from ``now`` makes every call, at the moment it starts, obey both limits. The term
with ``n - 1`` is there because later calls of a reservation follow at the second's spacing and not at the minute's.
The ledger does the same in one statement; these functions are what it is compared with.

A refusal by the platform blocks the API until a time; the next reservation starts after it, without a burst, and the
arrival times hold it from then on. And the clock may be set back. Then a row tells of times that honest reservations
cannot have reached: more than ``ahead``, a minute and the calls asked for, or for a block more than the longest that
the platform can name. Such a time is not believed, and the line begins anew from now; what is nearer is waited for.

Why it holds. Calls that start in a window ``W`` number at most ``floor(W / T + B) + 1``; if each may arrive up to
``J`` late, ``floor((W + J) / T + B) + 1``. Calls are spaced for 95 % of the limit. Of the 5 % left, the second's
burst takes 1 % and arrival jitter the rest: 50/s becomes 47.5/s and half a call of burst, never more than 50
in any second while ``J`` < 42 ms. A minute takes 4.5 %, since there jitter weighs little: 1000/min becomes 950/min
and 45 calls of burst, never more than 1000 in any minute while ``J`` < 300 ms. Larger limits scale alike.
"""

import math
import sys
from dataclasses import dataclass, replace

from shared.feishu.limits import ApiRate
from shared.feishu.openapi import LONGEST_RATE_WAIT_MS
from worker.ledger.leased import Rate

SPACING = 0.95
"""Share of a limit that evenly spaced calls use."""

SECOND_BURST = 0.01
"""Share of the second's limit that may come early, to make up for reservations made late."""

MINUTE_BURST = 0.045
"""Share of the minute's limit that may come early."""

ROOM_US = 60_000_000
"""How much further ahead than asked for a reservation is believed to be: other workers may ask for more at once."""

LONGEST_BLOCK_US = LONGEST_RATE_WAIT_MS * 1000
"""A block further ahead than this was not made by this clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tats:
    """
    Theoretical arrival times of an API's next call, by second and by minute (µs, ledger's clock).

    Attributes:
        blocked: When a block ends that no reservation has followed yet; 0, which is long past: there is none.
    """

    second: int
    minute: int
    blocked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """
    What a reservation came to.

    Attributes:
        tats: What to store.
        wait_us: How long the first call must wait; each next one follows the rate's ``second_us`` later.
        granted: False when the wait was too long: nothing was reserved, ask again after part of it.
    """

    tats: Tats
    wait_us: int
    granted: bool


def rate_of(limit: ApiRate) -> Rate:
    """Return the spacing and burst that keep within an API's two limits; an infinite limit is none."""
    return Rate(
        second_us=_spacing(1_000_000, limit.per_second),
        second_burst=_burst(SECOND_BURST, limit.per_second),
        minute_us=_spacing(60_000_000, limit.per_minute),
        minute_burst=_burst(MINUTE_BURST, limit.per_minute),
    )


def pace_ms(per_second: float) -> int:
    """Return the distance of calls to one target, which follow each other and are never reserved (ms)."""
    return _spacing(1000, per_second)


def at_once(rate: Rate) -> int:
    """
    Return how many calls one reservation may hold without wasting any of the minute's limit.

    Of more than these, the last would come before the minute allows it, so that all would have to start later.
    """
    closer_us = rate.minute_us - rate.second_us
    return 1 + int(rate.minute_burst * rate.minute_us) // closer_us if closer_us > 0 else sys.maxsize


def empty(now_us: int, rate: Rate) -> Tats:
    """
    Return where an API starts that we know nothing of: with a call at once, and without any burst.

    What was called before, by a lost ledger or by a process that the platform still counts, is not known.
    """
    slack = _slacks(rate, 1)
    return Tats(second=now_us + slack.second, minute=now_us + slack.minute)


def reserve(tats: Tats, *, now_us: int, calls: int, rate: Rate, ahead_us: int) -> Reservation:
    """Reserve ``calls`` calls (at least one) if the first can start within ``ahead_us``."""
    slack = _slacks(rate, calls)
    line = _line(tats, now_us=now_us, slack=slack, rate=rate, far_us=far_us(calls, rate, ahead_us=ahead_us))
    start = max(now_us, line.second - slack.second, line.minute - slack.minute)
    if start - now_us > ahead_us:
        return Reservation(tats=tats, wait_us=start - now_us, granted=False)
    advanced = Tats(
        second=max(line.second, start) + calls * rate.second_us,
        minute=max(line.minute, start) + calls * rate.minute_us,
    )
    return Reservation(tats=advanced, wait_us=start - now_us, granted=True)


def blocked(tats: Tats, *, now_us: int, for_us: int) -> Tats:
    """Let no call start for so long, and none come early after it. A block that ends later stays."""
    return replace(tats, blocked=max(_believed(tats.blocked, now_us), now_us + for_us))


def far_us(calls: int, rate: Rate, *, ahead_us: int) -> int:
    """Return how long a wait can be, blocks aside, unless the clock was set back."""
    return ahead_us + ROOM_US + calls * max(rate.second_us, rate.minute_us)


def _line(tats: Tats, *, now_us: int, slack: Tats, rate: Rate, far_us: int) -> Tats:
    """Return the arrival times that count now: the row's if they can be true, and none early after a block."""
    is_far = max(tats.second - slack.second, tats.minute - slack.minute) - now_us > far_us
    row = empty(now_us, rate) if is_far else tats
    floor = empty(_believed(tats.blocked, now_us), rate)
    return Tats(second=max(row.second, floor.second), minute=max(row.minute, floor.minute))


def _believed(blocked_us: int, now_us: int) -> int:
    return 0 if blocked_us - now_us > LONGEST_BLOCK_US else blocked_us


def _slacks(rate: Rate, calls: int) -> Tats:
    behind = (calls - 1) * max(0, rate.minute_us - rate.second_us)
    return Tats(
        second=int(rate.second_burst * rate.second_us),
        minute=int(rate.minute_burst * rate.minute_us) - behind,
    )


def _spacing(window: int, limit: float) -> int:
    return math.ceil(window / (SPACING * limit))


def _burst(share: float, limit: float) -> float:
    return share * limit if math.isfinite(limit) else 0.0
