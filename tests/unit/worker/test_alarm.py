"""What wakes the pump: one time, the earliest, by the ledger's clock; and that nothing due is forgotten by it."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, cast

import pytest

from shared.clock import ManualClock
from shared.core.json_text import EpochMs
from shared.eventlog.port import Topics
from shared.feishu.limits import DAY_MS, Limits
from worker.alarm import SWEEP_S, Alarm
from worker.ledger.leased import EffectKey, Lease
from worker.ledger.port import Ledger
from worker.meter import Meter
from worker.performing.errands import Errands
from worker.performing.ports import Performing
from worker.performing.pump import Pump
from worker.performing.reporting import Reporting
from worker.performing.throttle import Throttle
from worker.platform.client import Platform
from worker.relay import Relay

NOW: EpochMs = 1_750_000_000_000


class Stepped(ManualClock):
    """A clock whose time of day somebody sets."""

    step_ms = 0

    def now(self) -> EpochMs:
        """Return the time of day as it was set."""
        return super().now() + self.step_ms


async def settled() -> None:
    """Let everybody run who can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def at_rest(clock: ManualClock) -> Alarm:
    """Return an alarm whose first wait, which is none, is over."""
    alarm = Alarm(clock)
    await alarm.wait()
    return alarm


async def woken_after(clock: ManualClock, waiting: Awaitable[Any], *, step_s: float = 0.05) -> float:
    """Return after how many seconds a wait ends."""
    began, task = clock.monotonic(), asyncio.ensure_future(waiting)
    await settled()
    for _ in range(100):
        if task.done():
            break
        clock.advance(step_s)
        await settled()
    assert task.done()
    return round(clock.monotonic() - began, 3)


async def test_whoever_starts_looks_at_once() -> None:
    """What a process left behind that ended a moment ago is due."""
    clock = ManualClock(NOW)
    assert 0 == await woken_after(clock, Alarm(clock).wait())


@pytest.mark.parametrize("times", [(200, 600), (600, 200), (200, 200, 900)])
async def test_a_wait_ends_at_the_earliest_time(times: tuple[int, ...]) -> None:
    """In whatever order they are told."""
    clock = ManualClock(NOW)
    alarm = await at_rest(clock)
    for after_ms in times:
        alarm.at(NOW + after_ms)
    assert 0.2 == await woken_after(clock, alarm.wait())


async def test_an_earlier_time_ends_a_wait_that_has_begun() -> None:
    """What was just decided is performed when it is due, not with the next sweep."""
    clock = ManualClock(NOW)
    alarm = await at_rest(clock)
    alarm.at(NOW + 900)
    waiting = asyncio.ensure_future(alarm.wait())
    await settled()
    alarm.at(NOW + 100)
    assert 0.1 == await woken_after(clock, waiting)


async def test_without_any_time_a_sweep_ends_the_wait() -> None:
    """A worker that died told nobody."""
    clock = ManualClock(NOW)
    alarm = await at_rest(clock)
    assert SWEEP_S == await woken_after(clock, alarm.wait())


async def test_a_time_that_has_come_wakes_once() -> None:
    """However often it was told; then the next sweep is waited for."""
    clock = ManualClock(NOW)
    alarm = await at_rest(clock)
    for _ in range(3):
        alarm.at(NOW + 200)
    assert 0.2 == await woken_after(clock, alarm.wait())
    assert SWEEP_S == await woken_after(clock, alarm.wait())


async def test_a_time_to_come_outlives_the_sweeps_before_it() -> None:
    """A sweep looks, and takes nothing away."""
    clock = ManualClock(NOW)
    alarm = await at_rest(clock)
    alarm.at(NOW + 1_300)
    assert 1.0 == await woken_after(clock, alarm.wait())
    assert 0.3 == await woken_after(clock, alarm.wait())


async def test_a_reminder_in_thirty_days_takes_no_more_room_with_every_look() -> None:
    """Every look at the ledger tells when the next target is due: for a month the same time, or ever new ones."""
    alarm = Alarm(ManualClock(NOW))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20_000):
            alarm.at(NOW + 30 * DAY_MS + number)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000


async def test_a_step_of_the_machines_clock_does_not_move_the_ledgers_time() -> None:
    """Whether a lease is still fresh goes by it, and so do all times that are told."""
    clock = Stepped(NOW)
    alarm = Alarm(clock)
    alarm.learn(NOW + 7_000)
    clock.advance(0.25)
    clock.step_ms = -3_600_000
    assert NOW + 7_250 == alarm.ledger_now()
    alarm.learn(NOW + 9_000)
    assert NOW + 9_000 == alarm.ledger_now()


class Telling:
    """A ledger with nothing to lease but a target that is due later; its clock shows less than this machine's."""

    def __init__(self, clock: ManualClock, *, due: EpochMs, behind_ms: int) -> None:
        self._clock, self._due, self._behind_ms = clock, due, behind_ms
        self.asked_at: list[EpochMs] = []

    async def lease(self, owner: str, *, limit: int, ttl_ms: int) -> Lease:
        """Note when it was asked, and tell when the target is due."""
        now = self._clock.now() - self._behind_ms
        self.asked_at.append(now)
        return Lease(now=now, targets=[], next_due=self._due)

    async def payloads(self, keys: Sequence[EffectKey]) -> Mapping[EffectKey, bytes]:
        """Return none: nothing is leased."""
        return {}


class NoErrands:
    """No function of a user's."""

    def too_many(self) -> None:
        """Nothing hangs."""

    async def finish(self) -> None:
        """Nothing is under way."""


async def test_a_pump_that_was_woken_early_hears_again_what_is_due() -> None:
    """Every look that finds room tells the next time, so that one is enough to keep."""
    clock = ManualClock(NOW)
    alarm, meter = Alarm(clock), Meter()
    due = NOW + 400
    ledger = Telling(clock, due=due, behind_ms=100)
    performing = Performing(
        ledger=cast("Ledger", ledger), owner="pump", clock=clock, alarm=alarm, meter=meter, chance=lambda: 0.5
    )
    relay = Relay(
        event_log=cast("Any", None), ledger=cast("Ledger", ledger), inputs="i", owner="p", clock=clock, meter=meter
    )
    pump = Pump(
        performing,
        platform=cast("Platform", None),
        throttle=Throttle(Limits()),
        errands=cast("Errands", NoErrands()),
        reporting=Reporting(cast("Any", None), meter),
        relay=relay,
        topics=Topics(),
        concurrency=4,
        settle_ms=0,
    )
    running = asyncio.ensure_future(pump.run())
    await settled()
    alarm.at(NOW + 50)
    for _ in range(12):
        clock.advance(0.05)
        await settled()
    assert [NOW - 100, NOW + 50, due] == ledger.asked_at[:3]
    pump.stop()
    await settled()
    assert running.done()
