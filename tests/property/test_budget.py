"""Whatever asks, whenever: the platform never counts more calls than it allows, and few are left unused."""

from bisect import bisect_left
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.budget import Tats, blocked, empty, rate_of, reserve
from worker.ledger.port import Rate

SECOND = 1_000_000
MINUTE = 60 * SECOND
AHEAD_US = 2 * SECOND
JITTER_US = 40_000

limits = st.tuples(st.integers(2, 1000), st.integers(20, 20_000))
gaps = st.lists(st.one_of(st.just(0), st.integers(0, 3_000), st.integers(0, 3 * SECOND)), min_size=1, max_size=400)
group_sizes = st.lists(st.integers(1, 8), min_size=1, max_size=10)
jitters = st.lists(st.integers(0, JITTER_US), min_size=1, max_size=50)


def _starts(rate: Rate, gaps: list[int], sizes: list[int], *, now: int = 0) -> list[int]:
    """Start times of the calls that callers make who ask at these distances, and ask no more when refused."""
    tats, starts = empty(now, rate), list[int]()
    for nth, gap in enumerate(gaps):
        now += gap
        calls = sizes[nth % len(sizes)]
        reservation = reserve(tats, now_us=now, calls=calls, rate=rate, ahead_us=AHEAD_US)
        tats = reservation.tats
        if reservation.granted:
            starts += [now + reservation.wait_us + i * rate.second_us for i in range(calls)]
    return starts


def _most_in_any_window(times: list[int], window_us: int) -> int:
    ordered = sorted(times)
    return max((bisect_left(ordered, time + window_us) - nth for nth, time in enumerate(ordered)), default=0)


def _saturated(rate: Rate, *, calls: int, until_us: int) -> list[int]:
    """Start times when somebody always wants more: who is refused sleeps half of the wait and asks again."""
    now, tats, starts = 0, empty(0, rate), list[int]()
    while now < until_us:
        reservation = reserve(tats, now_us=now, calls=calls, rate=rate, ahead_us=AHEAD_US)
        tats = reservation.tats
        if reservation.granted:
            starts += [now + reservation.wait_us + i * rate.second_us for i in range(calls)]
        else:
            now += reservation.wait_us // 2
    return [start for start in starts if start < until_us]


@given(limits=limits, gaps=gaps, sizes=group_sizes, jitters=jitters)
def test_no_second_and_no_minute_holds_more_calls_than_allowed(
    limits: tuple[int, int], gaps: list[int], sizes: list[int], jitters: list[int]
) -> None:
    """Not in any window, wherever it begins, though each call arrives up to 40 ms late."""
    per_second, per_minute = limits
    starts = _starts(rate_of(per_second=per_second, per_minute=per_minute), gaps, sizes)
    arrivals = [start + jitters[nth % len(jitters)] for nth, start in enumerate(starts)]
    assert _most_in_any_window(arrivals, SECOND) <= per_second
    assert _most_in_any_window(arrivals, MINUTE) <= per_minute


@given(jitters=jitters, calls=st.integers(1, 8))
@settings(max_examples=25)
def test_three_minutes_of_full_load_keep_the_documented_limits_and_use_nine_tenths(
    jitters: list[int], calls: int
) -> None:
    """50/s and 1000/min, asked for without a pause."""
    starts = _saturated(rate_of(per_second=50, per_minute=1000), calls=calls, until_us=3 * MINUTE)
    arrivals = [start + jitters[nth % len(jitters)] for nth, start in enumerate(starts)]
    assert _most_in_any_window(arrivals, SECOND) <= 50
    assert _most_in_any_window(arrivals, MINUTE) <= 1000
    assert len(starts) >= 3 * 900


@given(per_second=st.integers(10, 1000), calls=st.integers(1, 4))
@settings(max_examples=25)
def test_a_second_limit_alone_is_used_to_nine_tenths(per_second: int, calls: int) -> None:
    """Where the minute does not bind, as after a burst or with a raised tier."""
    starts = _saturated(rate_of(per_second=per_second, per_minute=None), calls=calls, until_us=10 * SECOND)
    assert len(starts) >= 0.9 * 10 * per_second


@given(limits=limits, gaps=gaps, sizes=group_sizes, until=st.integers(0, 10 * SECOND))
def test_nothing_starts_while_the_platform_says_no(
    limits: tuple[int, int], gaps: list[int], sizes: list[int], until: int
) -> None:
    """A block holds for every later reservation, and what follows it comes spaced."""
    rate = rate_of(per_second=limits[0], per_minute=limits[1])
    tats = blocked(empty(0, rate), until_us=until, rate=rate)
    now, starts = 0, list[int]()
    for nth, gap in enumerate(gaps):
        now += gap
        reservation = reserve(tats, now_us=now, calls=sizes[nth % len(sizes)], rate=rate, ahead_us=AHEAD_US)
        tats = reservation.tats
        if reservation.granted:
            starts.append(now + reservation.wait_us)
    assert all(start >= until for start in starts)


@given(limits=limits, gaps=gaps)
def test_time_reserved_never_goes_back(limits: tuple[int, int], gaps: list[int]) -> None:
    """Whoever reads the row later is never sent to a time that was given away."""
    rate = rate_of(per_second=limits[0], per_minute=limits[1])
    now, states = 0, [empty(0, rate)]
    for gap in gaps:
        now += gap
        states.append(reserve(states[-1], now_us=now, calls=1, rate=rate, ahead_us=AHEAD_US).tats)
    assert all(_not_before(earlier, later) for earlier, later in pairwise(states))


def _not_before(earlier: Tats, later: Tats) -> bool:
    return earlier.second <= later.second and earlier.minute <= later.minute
