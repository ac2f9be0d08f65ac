"""Where spilled records end that the brokers refuse for good: a file for a person to look at, so that nothing waits."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from gateway.spilled import FOR_TOPIC, Spilled
from shared.clock import Clock
from shared.eventlog.port import MAX_RECORD_BYTES, Topics
from shared.eventlog.sqlite.log import SqliteLog
from shared.observability.metrics import SPILLED, Metrics

TOPIC: Final = "spill_rejected"
REASON: Final = "rejected_reason"

_WRAPPING: Final = 8_000
_REASON_CHARACTERS: Final = 1_000

log = structlog.get_logger("cardwire.gateway")


class Rejected:
    """The file of all gateways of a folder; made when the first record is parked, pruned like any log."""

    def __init__(self, path: Path, *, clock: Clock, metrics: Metrics) -> None:
        self._path, self._metrics = path, metrics
        self._log = SqliteLog(
            path,
            topics=Topics(interactions=TOPIC),
            partitions=1,
            max_record_bytes=MAX_RECORD_BYTES + _WRAPPING,
            clock=clock,
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
        await self._log.append([replace(record, topic=TOPIC, headers=headers)])
        self._metrics.count(SPILLED, "rejected")
        log.error("spill_rejected", file=str(self._path), topic=record.topic, key=record.key, reason=reason)

    async def close(self) -> None:
        """Release the file. Never raises."""
        await self._log.close()
