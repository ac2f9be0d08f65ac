"""When to look next: a heap of times, and a wait that ends at the earliest or when somebody has news."""

import asyncio
import heapq

from shared.clock import Clock
from shared.core.json_text import EpochMs

SWEEP_S = 1.0
"""The longest wait: what a dead worker left behind, or one whose news never came, is found within it."""


class Alarm:
    """Wakes one waiter. Times are the ledger's; the clocks' difference is learned from every answer it gives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead_ms = 0
        self._times: list[EpochMs] = []
        self._sweep_at = clock.monotonic()
        self._news = asyncio.Event()

    def learn(self, ledger_now: EpochMs) -> None:
        """Note what the ledger's clock shows at this moment."""
        self.ahead_ms = ledger_now - self._clock.now()

    def ledger_now(self) -> EpochMs:
        """Return the ledger's time, as far as the last answer tells."""
        return self._clock.now() + self.ahead_ms

    def at(self, due: EpochMs) -> None:
        """Wake at this time."""
        if not self._times or due < self._times[0]:
            self._news.set()
        heapq.heappush(self._times, due)

    async def wait(self) -> None:
        """Return when a time has come, or after the sweep's period."""
        while (wait_s := self._wait_s()) > 0:
            await woken_within(self._clock, wait_s, self._news)
            self._news.clear()
        now = self.ledger_now()
        while self._times and self._times[0] <= now:
            heapq.heappop(self._times)
        self._sweep_at = self._clock.monotonic() + SWEEP_S

    def _wait_s(self) -> float:
        sweep_s = self._sweep_at - self._clock.monotonic()
        return min(sweep_s, (self._times[0] - self.ledger_now()) / 1000) if self._times else sweep_s


async def woken_within(clock: Clock, seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event, so long at the most; return whether it came."""
    if event.is_set():
        return True
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    told = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([sleeping, told], return_when=asyncio.FIRST_COMPLETED)
        return event.is_set()
    finally:
        sleeping.cancel()
        told.cancel()
