"""
A log in this process's memory, for tests: same laws, nothing survives.

Groups share partitions as Kafka's eager protocol does: whenever a member comes or goes, every member loses all its
partitions and is dealt new ones, which hand out nothing before `Consumer.seek`. Use one log on one event loop.
"""

import asyncio
import contextlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from shared.core.errors import LogUnavailable
from shared.eventlog.fit import refuse_unfit
from shared.eventlog.partition import partition_of
from shared.eventlog.port import MAX_RECORD_BYTES, PARTITIONS, Features, NewRecord, Polled, Record, Span


class MemoryLog:
    """
    See `EventLog`.

    Attributes:
        available: Set it to ``False`` and the log is in an outage: `append` and the like raise `LogUnavailable`,
            consumers are given nothing.
    """

    features: Final = Features(shares=True, outlives_processes=False, makes_topics=True)

    def __init__(self, *, partitions: int = PARTITIONS, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self.available = True
        self._partitions = partitions
        self._max_record_bytes = max_record_bytes
        self._topics: dict[str, list[_Partition]] = {}
        self._groups: defaultdict[tuple[str, str], list[MemoryConsumer]] = defaultdict(list)

    async def append(self, records: Sequence[NewRecord]) -> None:
        refuse_unfit(records, self._max_record_bytes)
        self._check_available()
        for new in records:
            number = partition_of(new.key, self._partitions)
            self._topic(new.topic)[number].append(new, number)
        self._wake(frozenset(new.topic for new in records))

    async def spans(self, topic: str) -> Mapping[int, Span]:
        self._check_available()
        return {number: partition.span for number, partition in enumerate(self._topics.get(topic, ()))}

    async def read(self, topic: str, partition: int, offset: int, *, limit: int) -> Sequence[Record]:
        self._check_available()
        return self._topics[topic][partition].read(offset, limit) if topic in self._topics else []

    async def consume(self, topic: str, *, group: str) -> "MemoryConsumer":
        self._check_available()
        self._topic(topic)
        members = self._groups[topic, group]
        consumer = MemoryConsumer(self, topic, group)
        members.append(consumer)
        _deal(members, self._partitions)
        return consumer

    async def create(self, topics: Sequence[str]) -> None:
        self._check_available()
        for topic in topics:
            self._topic(topic)

    async def ready(self) -> bool:
        return self.available

    async def close(self) -> None:
        for members in self._groups.values():
            for consumer in tuple(members):
                await consumer.close()

    async def differences(self, topics: Sequence[str]) -> Sequence[str]:
        """Return, in a line each, which topics are missing."""
        return [f"{topic}: missing" for topic in topics if topic not in self._topics]

    async def prune(self, topic: str, *, dry: bool = False) -> int:  # noqa: ARG002
        """Return that nothing went: what is in memory goes with the process."""
        return 0

    def forget(self, topic: str, partition: int, *, before: int) -> None:
        """Drop the records before an offset, as retention would."""
        self._topics[topic][partition].forget(before)

    def skip(self, topic: str, partition: int, *, offsets: int) -> None:
        """Leave a gap of so many offsets before the next record, as transactions and compaction do elsewhere."""
        self._topics[topic][partition].end += offsets

    def fetch(self, topic: str, positions: dict[int, int], limit: int) -> dict[int, Sequence[Record]]:
        """Return records from these positions on and move them; for consumers."""
        if not self.available:
            return {}
        partitions = self._topics[topic]
        behind = [number for number, position in positions.items() if position < partitions[number].end]
        share = max(1, limit // max(1, len(behind)))
        found = {number: partitions[number].read(positions[number], share) for number in behind[:limit]}
        found = {number: records for number, records in found.items() if records}
        for number, records in found.items():
            del positions[number]  # to the end: where few records are asked for, it is the others' turn
            positions[number] = records[-1].offset + 1
        return found

    def leave(self, consumer: "MemoryConsumer") -> None:
        """Take a consumer out of its group and deal its partitions to the others; for consumers."""
        members = self._groups[consumer.topic, consumer.group]
        if consumer in members:
            members.remove(consumer)
            _deal(members, self._partitions)

    def _topic(self, topic: str) -> "list[_Partition]":
        return self._topics.setdefault(topic, [_Partition() for _ in range(self._partitions)])

    def _check_available(self) -> None:
        if not self.available:
            raise LogUnavailable("the log in memory is switched off")

    def _wake(self, topics: frozenset[str]) -> None:
        for (topic, _), members in self._groups.items():
            if topic in topics:
                for consumer in members:
                    consumer.stirred.set()


class MemoryConsumer:
    """See `Consumer`."""

    def __init__(self, log: MemoryLog, topic: str, group: str) -> None:
        self.topic = topic
        self.group = group
        self.stirred = asyncio.Event()
        self._log = log
        self._positions: dict[int, int] = {}
        self._unsought: frozenset[int] = frozenset()
        self._told: frozenset[int] = frozenset()
        self._revoked: frozenset[int] = frozenset()
        self._closed = False

    async def poll(self, *, max_records: int, wait_s: float) -> Polled:
        if self._closed:
            raise LogUnavailable("this consumer is closed")
        self.stirred.clear()
        has_news = bool(self._unsought - self._told)
        polled = self._take(max_records)
        if polled.records or polled.revoked or has_news:
            await asyncio.sleep(0)
            return polled
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stirred.wait(), wait_s)
        return self._take(max_records)

    def seek(self, partition: int, offset: int) -> None:
        if partition in self._told or partition in self._positions:
            self._positions[partition] = offset
            self._told -= {partition}
            self._unsought -= {partition}

    async def close(self) -> None:
        self._closed = True
        self._positions.clear()
        self._log.leave(self)

    def dealt(self, partitions: frozenset[int]) -> None:
        """Lose every partition and own these; for the log."""
        self._revoked |= self._unsought | self._positions.keys()
        self._positions.clear()
        self._unsought = partitions
        self._told = frozenset()
        self.stirred.set()

    def _take(self, max_records: int) -> Polled:
        records = self._log.fetch(self.topic, self._positions, max_records)
        revoked, self._revoked = self._revoked, frozenset()
        self._told = self._unsought
        return Polled(records=records, assigned=self._unsought, revoked=revoked)


class _Partition:
    def __init__(self) -> None:
        self.end = 0
        self._records: list[Record] = []

    @property
    def span(self) -> Span:
        return Span(begin=self._records[0].offset if self._records else self.end, end=self.end)

    def append(self, new: NewRecord, number: int) -> None:
        record = Record(
            topic=new.topic,
            partition=number,
            offset=self.end,
            key=new.key,
            value=new.value,
            headers=new.headers,
            timestamp=new.timestamp,
        )
        self._records.append(record)
        self.end += 1

    def read(self, offset: int, limit: int) -> Sequence[Record]:
        start = self._index(offset)
        return self._records[start : start + limit]

    def forget(self, before: int) -> None:
        del self._records[: self._index(before)]

    def _index(self, offset: int) -> int:
        return bisect_left(self._records, offset, key=lambda record: record.offset)


def _deal(members: Sequence[MemoryConsumer], partitions: int) -> None:
    for index, consumer in enumerate(members):
        consumer.dealt(frozenset(range(index, partitions, len(members))))
