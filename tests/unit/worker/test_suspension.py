"""A handler that costs everybody's time is left alone; one that is slow now and then is not."""

from collections.abc import Iterable

import pytest

from worker.deciding.suspension import RECENT, after_miss, after_success, is_suspended
from worker.ledger.decided import EVERY_APP, Suspension

NOW = 1_750_000_000_000
SECOND = 1000


def after(calls: Iterable[tuple[int, bool]], standing: Suspension | None = None) -> Suspension:
    """Return the standing after calls at these seconds that came back in time or did not."""
    standing = standing or Suspension(app_id=EVERY_APP, handler="follow_up")
    for at_s, came_back in calls:
        standing = after_success(standing) if came_back else after_miss(standing, NOW + at_s * SECOND)
    return standing


def test_three_misses_in_a_row_suspend_for_a_minute() -> None:
    """However far apart they are."""
    standing = after([(0, False), (100, False)])
    assert not is_suspended(standing, NOW + 100 * SECOND)
    standing = after([(200, False)], standing)
    assert is_suspended(standing, NOW + 259 * SECOND)
    assert not is_suspended(standing, NOW + 260 * SECOND)


def test_five_misses_within_a_minute_suspend_whatever_comes_between() -> None:
    """Half of the clicks hang: there are never three in a row."""
    mixed = [(second, second % 2 == 1) for second in range(2 * RECENT - 1)]
    assert not is_suspended(after(mixed[:-1]), NOW + 8 * SECOND)
    assert is_suspended(after(mixed), NOW + 8 * SECOND)


def test_a_handler_that_is_slow_now_and_then_goes_on() -> None:
    """A miss every twenty seconds, for an hour, with healthy calls between."""
    hour = [(at_s, at_s % 20 > 0) for at_s in range(0, 3600, 10)]
    assert not is_suspended(after(hour), NOW + 3600 * SECOND)


@pytest.mark.parametrize(("trials", "pause_s"), [(1, 120), (2, 240), (3, 480), (4, 600), (9, 600)])
def test_each_trial_that_fails_doubles_the_pause(trials: int, pause_s: int) -> None:
    """Up to ten minutes."""
    standing = after([(0, False)] * 3)
    at = standing.until
    for _ in range(trials):
        at = standing.until
        standing = after_miss(standing, at)
    assert at + pause_s * SECOND == standing.until


def test_a_trial_that_fails_after_five_of_a_minute_suspends_at_once() -> None:
    """Whichever rule suspended it first."""
    standing = after([(second, second % 2 == 1) for second in range(2 * RECENT - 1)])
    assert is_suspended(after_miss(standing, standing.until), standing.until + 119 * SECOND)


def test_a_trial_that_comes_back_forgets_everything() -> None:
    """The next miss is the first."""
    standing = after([*[(0, False)] * 3, (61, True)])
    assert Suspension(app_id=EVERY_APP, handler="follow_up") == standing


def test_a_clock_that_is_set_back_begins_a_new_minute() -> None:
    """Misses of the future are not counted with those of now."""
    standing = after([(100, False), (101, True), (102, False), (103, True), (0, False), (1, True)])
    assert 1 == standing.recent
