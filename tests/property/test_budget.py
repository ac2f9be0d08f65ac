"""Whatever asks, whenever: the platform never counts more calls than it allows, and few are left unused."""

import math
from bisect import bisect_left
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.feishu.limits import ApiRate
from worker.budget import Tats, blocked, empty, far_us, rate_of, reserve
from worker.ledger.leased import Rate

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
AHEAD_US = 2 * SECOND
JITTER_US = 40_000

limits = st.tuples(st.integers(2, 1000), st.integers(20, 20_000))
bursts = st.tuples(st.integers(0, 5 * SECOND), st.integers(1, 150))
gaps = st.lists(bursts, min_size=1, max_size=8).map(
    lambda some: [us for gap, asks in some for us in (gap, *[0] * asks)]
)
group_sizes = st.lists(st.integers(1, 16), min_size=1, max_size=10)


def _starts(rate: Rate, gaps: list[int], sizes: list[int]) -> list[int]:
    """Start times of the calls that callers make who ask at these distances, and ask no more when refused."""
    return _reserved(empty(0, rate), rate, gaps, sizes)[1]


def _reserved(
    tats: Tats, rate: Rate, gaps: list[int], sizes: list[int], *, begin_us: int = 0
) -> tuple[Tats, list[int]]:
    starts = list[int]()
    for nth, now in enumerate(begin_us + passed for passed in accumulate(gaps)):
        calls = sizes[nth % len(sizes)]
        reservation = reserve(tats, now_us=now, calls=calls, rate=rate, ahead_us=AHEAD_US)
        tats = reservation.tats
        if reservation.granted:
            starts += [now + reservation.wait_us + i * rate.second_us for i in range(calls)]
    return tats, starts


def _most_counted(starts: list[int], window_us: int) -> int:
    """The most calls that can arrive in a window, when each may arrive late: those of a window longer by that."""
    ordered = sorted(starts)
    ends = (bisect_left(ordered, start + window_us + JITTER_US) for start in ordered)
    return max((end - nth for nth, end in enumerate(ends)), default=0)


def _saturated(rate: Rate, *, calls: int, for_us: int, begin_us: int = 0) -> list[int]:
    """Start times when somebody always wants more: who is refused sleeps half of the wait and asks again."""
    now, tats, starts, until_us = begin_us, empty(0, rate), list[int](), begin_us + for_us
    while now < until_us:
        reservation = reserve(tats, now_us=now, calls=calls, rate=rate, ahead_us=AHEAD_US)
        tats = reservation.tats
        if reservation.granted:
            starts += [now + reservation.wait_us + i * rate.second_us for i in range(calls)]
        else:
            now += reservation.wait_us // 2
    return [start for start in starts if start < until_us]


@given(limits=limits, gaps=gaps, sizes=group_sizes)
@settings(deadline=None)
def test_no_second_and_no_minute_holds_more_calls_than_allowed(
    limits: tuple[int, int], gaps: list[int], sizes: list[int]
) -> None:
    """Not in any window, wherever it begins, though each call arrives up to 40 ms late."""
    per_second, per_minute = limits
    starts = _starts(rate_of(ApiRate(per_second=per_second, per_minute=per_minute)), gaps, sizes)
    assert _most_counted(starts, SECOND) <= per_second
    assert _most_counted(starts, MINUTE) <= per_minute


@given(per_second=st.integers(2, 1000), gaps=gaps, sizes=group_sizes)
@settings(deadline=None)
def test_a_burst_after_a_pause_stays_within_the_second(per_second: int, gaps: list[int], sizes: list[int]) -> None:
    """With no minute to hold it back, which is when the second's burst shows."""
    starts = _starts(rate_of(ApiRate(per_second=per_second, per_minute=math.inf)), gaps, sizes)
    assert _most_counted(starts, SECOND) <= per_second


@pytest.mark.parametrize("quiet_us", [0, 10 * SECOND])
@pytest.mark.parametrize("calls", [1, 2, 5, 16])
def test_full_load_keeps_the_documented_limits_and_uses_nine_tenths(calls: int, quiet_us: int) -> None:
    """50/s and 1000/min, asked for without a pause for three minutes; from the start, and after a quiet while."""
    starts = _saturated(
        rate_of(ApiRate(per_second=50, per_minute=1000)), calls=calls, begin_us=quiet_us, for_us=3 * MINUTE
    )
    assert _most_counted(starts, SECOND) <= 50
    assert _most_counted(starts, MINUTE) <= 1000
    assert len(starts) >= 3 * 900


@given(per_second=st.integers(10, 1000), calls=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_a_second_limit_alone_is_used_to_nine_tenths(per_second: int, calls: int) -> None:
    """Where the minute does not bind, as after a burst or with a raised tier."""
    starts = _saturated(rate_of(ApiRate(per_second=per_second, per_minute=math.inf)), calls=calls, for_us=10 * SECOND)
    assert _most_counted(starts, SECOND) <= per_second
    assert len(starts) >= 0.9 * 10 * per_second


@given(limits=limits, gaps=gaps, sizes=group_sizes, until=st.integers(0, 10 * SECOND))
@settings(deadline=None)
def test_nothing_starts_while_the_platform_says_no(
    limits: tuple[int, int], gaps: list[int], sizes: list[int], until: int
) -> None:
    """A block holds for every later reservation, and what follows it comes spaced."""
    rate = rate_of(ApiRate(per_second=limits[0], per_minute=limits[1]))
    tats = blocked(empty(0, rate), now_us=0, for_us=until)
    starts = list[int]()
    for nth, now in enumerate(accumulate(gaps)):
        reservation = reserve(tats, now_us=now, calls=sizes[nth % len(sizes)], rate=rate, ahead_us=AHEAD_US)
        tats = reservation.tats
        if reservation.granted:
            starts.append(now + reservation.wait_us)
    assert all(start >= until for start in starts)


@given(limits=limits, gaps=gaps, sizes=group_sizes)
@settings(deadline=None)
def test_time_reserved_never_goes_back(limits: tuple[int, int], gaps: list[int], sizes: list[int]) -> None:
    """No wait is taken for a clock set back: whoever reads the row later gets no time that was given away."""
    rate = rate_of(ApiRate(per_second=limits[0], per_minute=limits[1]))
    states = [empty(0, rate)]
    for nth, now in enumerate(accumulate(gaps)):
        calls = sizes[nth % len(sizes)]
        states.append(reserve(states[-1], now_us=now, calls=calls, rate=rate, ahead_us=AHEAD_US).tats)
    assert all(_not_before(earlier, later) for earlier, later in pairwise(states))


@given(limits=limits, gaps=gaps, sizes=group_sizes, back=st.integers(1, DAY))
@settings(deadline=None)
def test_a_clock_that_is_set_back_holds_nobody_up_for_much_longer_than_a_minute(
    limits: tuple[int, int], gaps: list[int], sizes: list[int], back: int
) -> None:
    """However far back, whatever was reserved before; and what follows keeps to the limits."""
    rate = rate_of(ApiRate(per_second=limits[0], per_minute=limits[1]))
    tats, _ = _reserved(empty(DAY, rate), rate, gaps, sizes, begin_us=DAY)
    now = DAY + sum(gaps) - back
    after = reserve(tats, now_us=now, calls=1, rate=rate, ahead_us=AHEAD_US)
    assert after.wait_us <= far_us(1, rate, ahead_us=AHEAD_US)
    _, starts = _reserved(after.tats, rate, gaps, sizes, begin_us=now + after.wait_us)
    assert _most_counted(starts, SECOND) <= limits[0]
    assert _most_counted(starts, MINUTE) <= limits[1]


def _not_before(earlier: Tats, later: Tats) -> bool:
    return earlier.second <= later.second and earlier.minute <= later.minute
