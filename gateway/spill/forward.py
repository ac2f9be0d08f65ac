"""
From the spill to the log, in the order of arrival.

Guarantees
    A record leaves the spill when the log has acknowledged it, or when it was parked because the brokers refuse it
    for good. Records go out in the order in which they lie in the spill: what fails is sent again from the oldest
    one on, so the first delivery of each record lies behind those of all older ones with its key.
    *Crash, time-out*: records are sent again; the worker decides each once.
"""

from collections.abc import Sequence
from typing import Final

from gateway.bounded import append_within, at_most
from gateway.spill.rejected import Rejected
from gateway.spill.spill import Spill
from gateway.spill.spilled import Spilled, SpillUnreadable
from shared.clock import Clock
from shared.core.errors import LogUnavailable, RecordRefused
from shared.eventlog.port import EventLog
from shared.observability.metrics import SPILLED, Metrics

MOST: Final = 128
"""
Records of one append. More would only be sent again when it fails, and whoever clicks meanwhile would wait for it: with
512, 20,000 records at 500 clicks/s were drained no sooner, and clicks took 110 ms (p99) until then instead of 25.
"""

LEAST: Final = 16
"""However slow the log is."""


class Forwarder:
    """
    Drains one spill.

    Attributes:
        limit: Records of the next append: halved when one fails, one when one is refused, doubled when one succeeds.
    """

    def __init__(
        self, spill: Spill, event_log: EventLog, rejected: Rejected, *, clock: Clock, metrics: Metrics
    ) -> None:
        self._spill, self._log, self._rejected = spill, event_log, rejected
        self._clock, self._metrics = clock, metrics
        self.limit = MOST

    async def forward(self, *, within_s: float) -> int:
        """
        Append the oldest records to the log, and return how many left the spill.

        Raises:
            LogUnavailable: The log did not take them within ``within_s``, or one that it refuses cannot be parked.
            SpillUnreadable: The spill cannot be read.
        """
        try:
            rows = await at_most(within_s, self._spill.head(self.limit))
        except TimeoutError as error:
            raise SpillUnreadable("its disk did not answer in time") from error
        if not rows:
            return 0
        try:
            await self._append(rows, within_s)
        except RecordRefused as error:
            # One of them is to blame; those beside it may be in the log by now, and are sent again.
            self.limit = 1
            if len(rows) > 1:
                return 0
            await self._rejected.park(rows[0], str(error))
            await self._spill.forwarded(rows)
        except LogUnavailable:
            self.limit = max(LEAST, self.limit // 2)
            raise
        else:
            self.limit = min(MOST, self.limit * 2)
            self._metrics.count(SPILLED, "forwarded", by=len(rows))
            await self._spill.forwarded(rows)
        return len(rows)

    async def _append(self, rows: Sequence[Spilled], within_s: float) -> None:
        records = [row.record for row in rows]
        await append_within(within_s, self._log, records, clock=self._clock, metrics=self._metrics)
