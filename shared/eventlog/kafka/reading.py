"""
Reading without a group: spans, and records from any offset.

One group-less aiokafka consumer, because on a member of a group the same questions wait behind its long polls. It is
used by one caller at a time, keeps its place between calls that go on where the last one ended, and is thrown away
when anything fails.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.eventlog.kafka.failures import FAILURES, pass_cancellation, stop
from shared.eventlog.kafka.options import KafkaOptions, connection
from shared.eventlog.kafka.refusals import refuse_hidden, unavailable
from shared.eventlog.port import Record, Span

FETCH_WAIT_MS = 50
STOP_S = 2.0


class Reading:
    """Answers `EventLog.spans` and `EventLog.read`."""

    def __init__(self, bootstrap: str, options: KafkaOptions) -> None:
        self._bootstrap = bootstrap
        self._options = options
        self._lock = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._place: tuple[TopicPartition, int] | None = None

    async def partitions(self, topic: str) -> Sequence[int]:
        """Return a topic's partitions; empty when there is no such topic."""
        async with self._reader(topic) as consumer:
            return await _partitions(consumer, topic)

    async def spans(self, topic: str) -> Mapping[int, Span]:
        async with self._reader(topic) as consumer:
            # Of a topic that is not there aiokafka would ask for ever.
            asked = [TopicPartition(topic, number) for number in await _partitions(consumer, topic)]
            if not asked:
                return {}
            begins, ends = await asyncio.gather(consumer.beginning_offsets(asked), consumer.end_offsets(asked))
            return {each.partition: Span(begin=begins[each], end=ends[each]) for each in asked}

    async def read(self, topic: str, partition: int, offset: int, *, limit: int) -> Sequence[Record]:
        wanted = TopicPartition(topic, partition)
        async with self._reader(topic) as consumer:
            if partition not in await _partitions(consumer, topic):
                return []
            begins, ends = await asyncio.gather(consumer.beginning_offsets([wanted]), consumer.end_offsets([wanted]))
            start = max(offset, begins[wanted])
            if start >= ends[wanted] or limit <= 0:
                return []
            self._move(consumer, wanted, start)
            found = await _read(consumer, wanted, ends[wanted], limit)
            self._place = wanted, await consumer.position(wanted)
            consumer.pause(wanted)  # or it would go on fetching until somebody reads again
            return found

    async def close(self) -> None:
        """End the consumer. Never raises."""
        consumer, self._consumer, self._place = self._consumer, None, None
        if consumer is not None:
            await stop(consumer, timeout_s=STOP_S)

    @contextlib.asynccontextmanager
    async def _reader(self, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
        try:
            async with asyncio.timeout(self._options.read_timeout_s), self._lock:
                try:
                    yield self._consumer or await self._start()
                except BaseException:
                    self._place = None
                    await self.close()
                    raise
        except FAILURES as error:
            pass_cancellation(error)
            right = f"--operation Read --topic {topic}"
            raise await unavailable(
                error, self._bootstrap, self._options.security, cannot_be="read", right=right
            ) from error

    async def _start(self) -> AIOKafkaConsumer:
        self._consumer = consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=self._options.read_request_timeout_ms,
            **connection(self._bootstrap, self._options.security),
        )
        await consumer.start()
        return consumer

    def _move(self, consumer: AIOKafkaConsumer, wanted: TopicPartition, offset: int) -> None:
        if self._place == (wanted, offset):
            consumer.resume(wanted)
        else:
            consumer.assign([wanted])
            consumer.seek(wanted, offset)
        self._place = None


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> Sequence[int]:
    # All topics are asked for, because asking for one by name could make it where brokers are set to do so.
    # The public topics() asks the same, and drops the partitions.
    cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001
    found = sorted(cluster.partitions_for_topic(topic) or ())
    if not found:
        await refuse_hidden(consumer._client, topic)  # noqa: SLF001
    return found


async def _read(consumer: AIOKafkaConsumer, wanted: TopicPartition, end: int, limit: int) -> Sequence[Record]:
    found: list[Record] = []
    while len(found) < limit and await consumer.position(wanted) < end:
        batches = await consumer.getmany(wanted, timeout_ms=FETCH_WAIT_MS, max_records=limit - len(found))
        found.extend(_records(batches.values()))
    return found


def _records(batches: Iterable[Sequence[Any]]) -> Iterable[Record]:
    return (record_of(each) for batch in batches for each in batch)


def record_of(consumed: Any) -> Record:
    """Return an aiokafka record as ours. What only other programs write (no key, no value) becomes empty."""
    return Record(
        topic=consumed.topic,
        partition=consumed.partition,
        offset=consumed.offset,
        key=(consumed.key or b"").decode(errors="replace"),
        value=consumed.value or b"",
        headers=tuple((name, value or b"") for name, value in consumed.headers),
        timestamp=consumed.timestamp,
    )
