"""When to look next: one time, the earliest, and a wait that ends at it or when somebody has news."""

import asyncio

from shared.clock import Clock
from shared.core.json_text import EpochMs

SWEEP_S = 1.0
"""The longest wait: what a dead worker left behind, or one whose news never came, is found within it."""


class Alarm:
    """
    Wakes one waiter. Times are the ledger's, counted on from its last answer by the clock that never goes back.

    Only the earliest time is kept, whatever is asked for: whoever wakes looks, and is told what is due after that.
    Who cannot look just then rings when it can, or finds it with the next sweep.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._earliest: EpochMs | None = None
        self._sweep_at = clock.monotonic()
        self._news = asyncio.Event()
        self.learn(clock.now())

    def learn(self, ledger_now: EpochMs) -> None:
        """Note what the ledger's clock shows at this moment."""
        self._learned, self._learned_at = ledger_now, self._clock.monotonic()

    def ledger_now(self) -> EpochMs:
        """Return the ledger's time, as the last answer tells; a step of this machine's clock does not move it."""
        return self._learned + round((self._clock.monotonic() - self._learned_at) * 1000)

    def at(self, due: EpochMs) -> None:
        """Wake at this time, or before it."""
        if self._earliest is None or due < self._earliest:
            self._earliest = due
            self._news.set()

    async def wait(self) -> None:
        """Return when the earliest time has come, or after the sweep's period."""
        while (wait_s := self._wait_s()) > 0:
            await woken_within(self._clock, wait_s, self._news)
            self._news.clear()
        if self._earliest is not None and self._earliest <= self.ledger_now():
            self._earliest = None
        self._sweep_at = self._clock.monotonic() + SWEEP_S

    def _wait_s(self) -> float:
        sweep_s = self._sweep_at - self._clock.monotonic()
        return sweep_s if self._earliest is None else min(sweep_s, (self._earliest - self.ledger_now()) / 1000)


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
