"""Logs that misbehave on demand, around a real one in memory."""

import asyncio
from collections.abc import Sequence

from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord, Record


class TestableLog(MemoryLog):
    """
    A log in memory whose appends can be watched, held and broken.

    Attributes:
        appends: The records of every call, in order, those that failed included.
        gate: While it is cleared, appends wait.
        error: Raised by every append, instead of appending.
    """

    __test__ = False

    def __init__(self, *, max_record_bytes: int = 1_000_000) -> None:
        super().__init__(max_record_bytes=max_record_bytes)
        self.appends: list[Sequence[NewRecord]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def append(self, records: Sequence[NewRecord]) -> None:
        self.appends.append(records)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        await super().append(records)

    async def all(self, topic: str) -> list[Record]:
        """Return everything in a topic, partition by partition, in order."""
        spans = await self.spans(topic)
        return [record for number in spans for record in await self.read(topic, number, 0, limit=100_000)]


def record(key: str = "cli_a1:om_1", value: bytes = b"{}", topic: str = "t") -> NewRecord:
    """Return a record to append."""
    return NewRecord(topic=topic, key=key, value=value, headers=(), timestamp=0)
