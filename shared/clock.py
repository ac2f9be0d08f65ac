"""Time as a port: what waits asks a clock, so that tests need not wait."""

import asyncio
import heapq
import itertools
import time
from typing import Protocol

from shared.core.json_text import EpochMs


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> EpochMs:
        """Return the time of day (ms since the epoch)."""

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Wait so long by this clock."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> EpochMs:
        """Return the time of day (ms since the epoch)."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to; sleepers wake in order of their time."""

    def __init__(self, now: EpochMs = 1_750_000_000_000) -> None:
        self._now_us = now * 1000
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._ties = itertools.count()

    def now(self) -> EpochMs:
        """Return this clock's time of day (ms since the epoch)."""
        return self._now_us // 1000

    def monotonic(self) -> float:
        """Return this clock's time in seconds."""
        return self._now_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved so far; with 0 only let others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_us + round(seconds * 1_000_000), next(self._ties), future))
        await future

    def advance(self, seconds: float) -> None:
        """Move the clock and wake whoever waited for a time up to the new one."""
        self._now_us += round(seconds * 1_000_000)
        while self._sleepers and self._sleepers[0][0] <= self._now_us:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    def next_wake(self) -> float | None:
        """Return in how many seconds the next sleeper wakes; ``None`` when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return (self._sleepers[0][0] - self._now_us) / 1_000_000 if self._sleepers else None
