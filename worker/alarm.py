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
        self._changed = asyncio.Event()

    def learn(self, ledger_now: EpochMs) -> None:
        """Note what the ledger's clock shows at this moment."""
        self.ahead_ms = ledger_now - self._clock.now()

    def ledger_now(self) -> EpochMs:
        """Return the ledger's time, as far as the last answer tells."""
        return self._clock.now() + self.ahead_ms

    def at(self, due: EpochMs) -> None:
        """Wake at this time."""
        if not self._times or due < self._times[0]:
            self._changed.set()
        heapq.heappush(self._times, due)

    def now(self) -> None:
        """Wake at once."""
        self._changed.set()

    async def wait(self) -> None:
        """Return when a time has come, when told, or after the sweep's period."""
        while not self._changed.is_set():
            wait_s = SWEEP_S
            if self._times:
                wait_s = min(wait_s, (self._times[0] - self.ledger_now()) / 1000)
            if wait_s <= 0 or await self._sleep(wait_s):
                break
        self._changed.clear()
        now = self.ledger_now()
        while self._times and self._times[0] <= now:
            heapq.heappop(self._times)

    async def _sleep(self, seconds: float) -> bool:
        """Sleep; return False if something changed first."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait([sleeping, changed], return_when=asyncio.FIRST_COMPLETED)
            return sleeping.done() and not self._changed.is_set()
        finally:
            sleeping.cancel()
            changed.cancel()
