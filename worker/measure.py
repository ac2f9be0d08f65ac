"""What nobody else would notice: how far behind this worker is, what is due and not done, what it lacks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from shared.clock import Clock
from shared.core.errors import LedgerUnavailable, LogUnavailable
from shared.eventlog.port import EventLog
from shared.feishu.limits import Limits
from shared.lacks import Lack
from worker.alarm import woken_within
from worker.ledger.port import WatchedLedger
from worker.meter import Meter

EVERY_S: Final = 5.0
"""How old a number may be that has to be asked for. Prometheus looks every 15 s or more, as a rule."""


class Measure:
    """
    Asks log and ledger now and then.

    Attributes:
        lacks: Says what keeps the worker from being ready.
    """

    def __init__(
        self,
        *,
        event_log: EventLog,
        ledger: WatchedLedger,
        topic: str,
        positions: Callable[[], Mapping[int, int]],
        limits: Limits,
        clock: Clock,
        meter: Meter,
    ) -> None:
        """
        Measure nothing yet.

        Args:
            topic: Of the interactions.
            positions: Returns the next offset of each partition that is this worker's.
        """
        self._log, self._ledger, self._topic, self._positions = event_log, ledger, topic, positions
        self._limits, self._clock, self._meter = limits, clock, meter
        self._stopping = asyncio.Event()
        self.lacks: Callable[[], Awaitable[Sequence[Lack]]] | None = None

    def stop(self) -> None:
        """Return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Measure until stopped. What is away keeps its last number: what the worker lacks tells of it."""
        while not await woken_within(self._clock, EVERY_S, self._stopping):
            await self.once()

    async def once(self) -> None:
        """Measure."""
        if self.lacks is not None:
            self._meter.lacks(await self.lacks())
        try:
            pulse = await self._ledger.pulse()
            self._meter.budget_use(self._meter.use.shares(self._limits, pulse.now / 1000))
            waits_since = min(at for at in (pulse.now, pulse.next_due, pulse.tried_since) if at is not None)
            self._meter.oldest_due((pulse.now - waits_since) / 1000)
            self._meter.suspended(pulse.suspended)
            await self._measure_lag()
        except (LedgerUnavailable, LogUnavailable):
            return

    async def _measure_lag(self) -> None:
        positions = dict(self._positions())
        spans = await self._log.spans(self._topic) if positions else {}
        self._meter.lag(
            {
                partition: max(0, spans[partition].end - max(following, spans[partition].begin))
                for partition, following in positions.items()
                if partition in spans
            }
        )
