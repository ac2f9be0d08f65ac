"""
Where spilled records end that the brokers refuse for good: a file for a person to look at, so that nothing waits.

Guarantees
    *park* returned: the record is in the file, or waits for room on a full disk. Only spill files that are drained
    make that room, so their records must not stop at it. *Crash*: one that waits for room is lost.
"""

from collections import deque
from pathlib import Path
from typing import Final

import structlog
from msgspec.structs import replace

from gateway.spill.spilled import FOR_TOPIC, Spilled, weight_of
from shared.clock import Clock
from shared.core.errors import LogUnavailable
from shared.eventlog.port import MAX_RECORD_BYTES, NewRecord, Topics
from shared.eventlog.sqlite.file import REAL, Disk
from shared.eventlog.sqlite.log import SqliteLog
from shared.eventlog.sqlite.writing import LogFull
from shared.observability.metrics import SPILLED, Metrics

TOPIC: Final = "spill_rejected"
REASON: Final = "rejected_reason"
MOST_WAITING: Final = 64 << 20
"""Bytes of records that may wait for room."""

_WRAPPING: Final = 8_000
_REASON_CHARACTERS: Final = 1_000

log = structlog.get_logger("cardwire.gateway")


class Rejected:
    """The file of all gateways of a folder; made when the first record is parked, pruned like any log."""

    def __init__(self, path: Path, *, clock: Clock, metrics: Metrics, disk: Disk = REAL) -> None:
        self._path, self._metrics = path, metrics
        self._waiting: deque[NewRecord] = deque()
        self._log = SqliteLog(
            path,
            topics=Topics(interactions=TOPIC),
            partitions=1,
            max_record_bytes=MAX_RECORD_BYTES + _WRAPPING,
            clock=clock,
            disk=disk,
        )

    async def park(self, spilled: Spilled, reason: str) -> None:
        """
        Keep a record, with the topic that it was for and why it did not get there.

        Raises:
            LogUnavailable: It is not kept.
        """
        record = spilled.record
        why = reason[:_REASON_CHARACTERS].encode("utf-8", "replace")
        headers = ((FOR_TOPIC, record.topic.encode()), (REASON, why), *record.headers)
        await self._keep(replace(record, topic=TOPIC, headers=headers))
        self._metrics.count(SPILLED, "rejected")
        log.error("spill_rejected", file=str(self._path), topic=record.topic, key=record.key, reason=reason)

    async def retry(self) -> None:
        """Put into the file what waits for room, if there is some now. Never raises."""
        while self._waiting:
            record = self._waiting.popleft()
            try:
                await self._log.append([record])
            except BaseException as error:
                self._waiting.appendleft(record)
                if isinstance(error, LogUnavailable):
                    return
                raise

    async def close(self) -> None:
        """Release the file. Never raises."""
        await self.retry()
        if self._waiting:
            log.error("spill_rejected_lost", file=str(self._path), records=len(self._waiting), reason="no room")
        await self._log.close()

    async def _keep(self, record: NewRecord) -> None:
        try:
            await self._log.append([record])
        except LogFull as error:
            if sum(map(weight_of, self._waiting)) + weight_of(record) > MOST_WAITING:
                raise
            self._waiting.append(record)
            log.warning("spill_rejected_waits", file=str(self._path), records=len(self._waiting), reason=str(error))
