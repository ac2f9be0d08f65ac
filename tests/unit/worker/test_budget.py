"""The arithmetic of the reservation, by example."""

from shared.feishu.limits import Limits
from worker.budget import Reservation, Tats, blocked, empty, pace_ms, rate_of, reserve
from worker.ledger.leased import Rate

DOCUMENTED = rate_of(Limits().of("im.v1.message.patch"))
NO_BURST = Rate(second_us=20_000, second_burst=0, minute_us=60_000, minute_burst=0)
AHEAD_US = 2_000_000
HOUR_US = 3_600_000_000


def test_the_documented_limits_become_a_spacing_of_nineteen_twentieths() -> None:
    """50/s and 1000/min: 47.5/s and 950/min, with half a call and 45 calls of burst."""
    assert Rate(second_us=21_053, second_burst=0.5, minute_us=63_158, minute_burst=45.0) == DOCUMENTED


def test_without_limits_nothing_waits() -> None:
    """No limit is a spacing of nothing."""
    rate = rate_of(Limits().unlimited().api)
    expected = Reservation(tats=Tats(second=1000, minute=1000), wait_us=0, granted=True)
    assert expected == reserve(empty(0, rate), now_us=1000, calls=500, rate=rate, ahead_us=0)


def test_the_first_call_starts_at_once_and_the_second_follows_spaced() -> None:
    """An API that nothing is known of begins without a burst."""
    first = reserve(empty(0, NO_BURST), now_us=0, calls=1, rate=NO_BURST, ahead_us=AHEAD_US)
    second = reserve(first.tats, now_us=0, calls=1, rate=NO_BURST, ahead_us=AHEAD_US)
    assert (0, 60_000) == (first.wait_us, second.wait_us)


def test_a_fresh_row_gives_no_burst() -> None:
    """What a lost ledger allowed a moment ago still counts at the platform."""
    first = reserve(empty(0, DOCUMENTED), now_us=0, calls=1, rate=DOCUMENTED, ahead_us=AHEAD_US)
    second = reserve(first.tats, now_us=0, calls=1, rate=DOCUMENTED, ahead_us=AHEAD_US)
    assert (0, 63_158) == (first.wait_us, second.wait_us)


def test_after_a_quiet_minute_calls_follow_at_the_seconds_spacing() -> None:
    """The minute's burst is what a busy moment lives on."""
    waits, tats = [], empty(0, DOCUMENTED)
    for _ in range(4):
        reservation = reserve(tats, now_us=60_000_000, calls=1, rate=DOCUMENTED, ahead_us=AHEAD_US)
        tats = reservation.tats
        waits.append(reservation.wait_us)
    assert [0, 10_527, 31_580, 52_633] == waits


def test_several_calls_are_reserved_together() -> None:
    """The first waits until the last one, at the second's spacing, obeys the minute too."""
    reservation = reserve(empty(0, NO_BURST), now_us=0, calls=3, rate=NO_BURST, ahead_us=AHEAD_US)
    assert Reservation(tats=Tats(second=140_000, minute=260_000), wait_us=80_000, granted=True) == reservation


def test_a_wait_that_is_too_long_reserves_nothing() -> None:
    """Who would have to wait longer than the horizon asks again later, and has taken nobody's place."""
    tats = Tats(second=3_000_000, minute=0)
    refused = reserve(tats, now_us=0, calls=1, rate=NO_BURST, ahead_us=AHEAD_US)
    assert Reservation(tats=tats, wait_us=3_000_000, granted=False) == refused


def test_a_block_delays_the_next_call_to_its_end() -> None:
    """Even where a burst had been left."""
    now_us = 60_000_000
    tats = blocked(empty(0, DOCUMENTED), now_us=now_us, for_us=700_000)
    first = reserve(tats, now_us=now_us, calls=1, rate=DOCUMENTED, ahead_us=AHEAD_US)
    second = reserve(first.tats, now_us=now_us, calls=1, rate=DOCUMENTED, ahead_us=AHEAD_US)
    assert (700_000, 763_158) == (first.wait_us, second.wait_us)


def test_a_shorter_block_does_not_undo_a_longer_one() -> None:
    """Two workers may report the same refusal with different remainders."""
    long = blocked(empty(0, NO_BURST), now_us=0, for_us=900_000)
    assert long == blocked(long, now_us=0, for_us=100_000)


def test_a_clock_set_back_by_an_hour_begins_the_line_anew() -> None:
    """Without a burst, as for an API that nothing is known of."""
    tats = reserve(empty(HOUR_US, DOCUMENTED), now_us=HOUR_US, calls=8, rate=DOCUMENTED, ahead_us=AHEAD_US).tats
    anew = reserve(empty(0, DOCUMENTED), now_us=0, calls=1, rate=DOCUMENTED, ahead_us=AHEAD_US)
    assert anew == reserve(tats, now_us=0, calls=1, rate=DOCUMENTED, ahead_us=AHEAD_US)


def test_a_block_from_before_the_clock_was_set_back_is_not_waited_for() -> None:
    """Nobody names an hour and a half; and a block of today holds beside it."""
    tats = blocked(empty(HOUR_US, NO_BURST), now_us=HOUR_US, for_us=HOUR_US // 2)
    assert 0 == reserve(tats, now_us=0, calls=1, rate=NO_BURST, ahead_us=AHEAD_US).wait_us
    again = blocked(tats, now_us=0, for_us=700_000)
    assert 700_000 == reserve(again, now_us=0, calls=1, rate=NO_BURST, ahead_us=AHEAD_US).wait_us


def test_the_longest_block_is_kept() -> None:
    """An hour is the longest that the platform is believed."""
    tats = blocked(empty(0, NO_BURST), now_us=0, for_us=HOUR_US)
    assert HOUR_US == reserve(tats, now_us=0, calls=1, rate=NO_BURST, ahead_us=AHEAD_US).wait_us


def test_calls_to_one_target_keep_a_distance() -> None:
    """Five a second, less the twentieth that is left to jitter; none where there is no limit."""
    assert (211, 0) == (pace_ms(Limits().per_message), pace_ms(Limits().unlimited().per_message))
