"""Deadlines by one timer: who is served in time hears nothing of it, and who is not is told in time."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from gateway.deadlines import SLACK_S, Deadlines
from shared.core.errors import LogUnavailable


def _futures(count: int) -> Sequence[asyncio.Future[None]]:
    return [asyncio.get_running_loop().create_future() for _ in range(count)]


@pytest.mark.parametrize("lefts", [(0.05, 0.1, 0.15), (0.2, 0.05, 0.1), (0.1, 0.09, 0.1)])
async def test_each_ends_at_its_time(lefts: Sequence[float]) -> None:
    """Or shortly after, whatever order they came in."""
    deadlines, began = Deadlines("too late"), time.monotonic()
    waits = _futures(len(lefts))
    for done, left_s in zip(waits, lefts, strict=True):
        deadlines.add(done, left_s)
    for left_s, done in sorted(zip(lefts, waits, strict=True), key=lambda pair: pair[0]):
        with pytest.raises(LogUnavailable, match="too late"):
            await done
        assert time.monotonic() - began >= left_s - 0.005
    assert time.monotonic() - began < max(lefts) + SLACK_S + 0.5


async def test_who_is_served_hears_nothing_and_is_forgotten() -> None:
    """Thousands that were served leave nothing behind, and the next one's time counts."""
    deadlines = Deadlines("too late")
    for done in _futures(5_000):
        deadlines.add(done, 0.05)
        done.set_result(None)
    (late,) = _futures(1)
    deadlines.add(late, 0.1)
    assert 1 == len(deadlines._waits)  # noqa: SLF001 -- nobody else could tell
    with pytest.raises(LogUnavailable):
        await late


async def test_what_became_ready_on_a_busy_loop_is_not_too_late() -> None:
    """The result arrived in the turn in which the time was up: it counts."""
    deadlines = Deadlines("too late")
    (done,) = _futures(1)
    deadlines.add(done, 0.01)
    asyncio.get_running_loop().call_later(0.01, done.set_result, None)
    time.sleep(0.05)  # noqa: ASYNC251 -- the loop is busy
    await done
