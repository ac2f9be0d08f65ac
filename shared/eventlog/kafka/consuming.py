"""
One member of a consumer group.

aiokafka rebalances when it likes, in a task of its own, and swallows what its listener raises. So the listener only
takes notes, pauses what was assigned and gives it a position, lest aiokafka look for a committed one; `poll` tells,
and `seek` lets go. Each assignment has a number: a seek that answers to an older one is ignored.

Kafka's eager protocol takes all partitions from everybody at each rebalance; the same ones may come back. Somebody
else may have had them in between, so they are told as both revoked and assigned.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from shared.core.errors import LogRefused, LogUnavailable
from shared.eventlog.kafka.failures import FAILURES, pass_cancellation, stop
from shared.eventlog.kafka.options import KafkaOptions, connection
from shared.eventlog.kafka.reading import record_of
from shared.eventlog.kafka.refusals import FORBIDDEN, not_allowed, unavailable
from shared.eventlog.port import Polled, Record

FETCH_WAIT_MS = 100
"""How long a broker holds a fetch when there is nothing; also how long a partition waits that was just sought."""

STOP_S = 3.0
PAUSE_S = 0.1
"""How long a poll looks at records alone before it looks whether partitions came or went."""

_log = logging.getLogger(__name__)


class KafkaConsumer:
    """See `Consumer`."""

    def __init__(
        self, consumer: AIOKafkaConsumer, bootstrap: str, topic: str, group: str, options: KafkaOptions
    ) -> None:
        self._consumer = consumer
        self._bootstrap = bootstrap
        self._topic, self._group = topic, group
        self._options = options
        self._membership = _Membership(consumer)
        self._closed = False

    @classmethod
    async def join(cls, bootstrap: str, topic: str, group: str, options: KafkaOptions) -> "KafkaConsumer":
        """
        Connect and ask for membership; partitions come with later polls.

        Raises:
            LogUnavailable: No broker can be reached in time, or none lets us in.
        """
        consumer = AIOKafkaConsumer(
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            session_timeout_ms=options.session_timeout_ms,
            rebalance_timeout_ms=options.rebalance_timeout_ms,
            heartbeat_interval_ms=options.heartbeat_ms,
            # The answer to a join waits until a dead member's session is over.
            request_timeout_ms=options.session_timeout_ms + 10_000,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            **connection(bootstrap, options.security),
        )
        joined = cls(consumer, bootstrap, topic, group, options)
        try:
            async with asyncio.timeout(options.read_timeout_s):
                await consumer.start()
        except FAILURES as error:
            await joined.close()
            pass_cancellation(error)
            right = f"--operation Read --group {group}"
            raise await unavailable(error, bootstrap, options.security, cannot_be="reached", right=right) from error
        consumer.subscribe((topic,), listener=joined._membership)
        return joined

    async def poll(self, *, max_records: int, wait_s: float) -> Polled:
        if self._closed:
            raise LogUnavailable("this consumer is closed")
        deadline = time.monotonic() + wait_s
        found = await self._fetch(max_records, 0)
        while not found and not self._membership.has_news and (left := deadline - time.monotonic()) > 0:
            found = await self._fetch(max_records, min(left, PAUSE_S))
        revoked, assigned = self._membership.tell()
        records = {each.partition: _records(batch) for each, batch in found.items() if each.partition not in assigned}
        return Polled(records=records, assigned=assigned, revoked=revoked)

    def seek(self, partition: int, offset: int) -> None:
        self._membership.seek(TopicPartition(self._topic, partition), offset)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await stop(self._consumer, timeout_s=STOP_S)

    async def _fetch(self, max_records: int, wait_s: float) -> Mapping[TopicPartition, Sequence[object]]:
        try:
            # getmany first waits until a rebalance is over, whatever its time-out.
            async with asyncio.timeout(wait_s + PAUSE_S):
                found: Mapping[TopicPartition, Sequence[object]] = await self._consumer.getmany(
                    timeout_ms=round(wait_s * 1000), max_records=max_records
                )
                return found
        except (TimeoutError, NoOffsetForPartitionError):
            return {}
        except OffsetOutOfRangeError as error:
            await self._start_at_the_oldest(error.args[0])
            return {}
        except ConsumerStoppedError as error:
            raise LogUnavailable("this consumer is closed") from error
        except FORBIDDEN as error:
            raise self._not_allowed(error) from error
        except KafkaError as error:
            if not error.retriable:
                raise LogUnavailable(f"the Kafka consumer of {self._topic} is broken: {error!r}") from error
            _log.info("kafka_poll_failed", extra={"error": repr(error)})
            await asyncio.sleep(min(wait_s, PAUSE_S))
            return {}

    def _not_allowed(self, error: KafkaError) -> LogRefused:
        of_group = isinstance(error, GroupAuthorizationFailedError)
        what = f"--group {self._group}" if of_group else f"--topic {self._topic}"
        return not_allowed(f"Kafka at {self._bootstrap}", self._options.security, f"--operation Read {what}")

    async def _start_at_the_oldest(self, out_of_range: Mapping[TopicPartition, int]) -> None:
        """Move positions that retention has passed to the oldest kept record."""
        try:
            async with asyncio.timeout(self._options.read_timeout_s):
                oldest = await self._consumer.beginning_offsets(list(out_of_range))
        except FAILURES as error:
            pass_cancellation(error)
            return  # the fetch fails again, and we come back
        for partition, offset in out_of_range.items():
            if offset > oldest[partition]:
                raise LogUnavailable(
                    f"{self._topic}, partition {partition.partition}: offset {offset} lies beyond the end;"
                    " the topic has lost records or was made anew"
                )
            self._membership.move(partition, oldest[partition])


class _Membership(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """What is ours, as the listener notes it and the consumer tells it."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._held = False
        self._ours: frozenset[TopicPartition] = frozenset()
        self._unsought: set[TopicPartition] = set()
        self._told: frozenset[TopicPartition] = frozenset()
        self._revoked: set[TopicPartition] = set()

    @property
    def has_news(self) -> bool:
        """Something was revoked, or waits to be sought and has not been told."""
        return bool(self._revoked or self._unsought - self._told)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._revoked |= revoked
        self._ours, self._told = frozenset(), frozenset()
        self._unsought.clear()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._ours = frozenset(assigned)
        self._unsought = set(assigned)
        self._told = frozenset()
        for partition in assigned:
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)  # any position: without one aiokafka looks for a committed one

    def tell(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return what was revoked and what waits to be sought; from now on it may be."""
        revoked = frozenset(each.partition for each in self._revoked)
        self._revoked.clear()
        self._told = frozenset(self._unsought)
        return revoked, frozenset(each.partition for each in self._unsought)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Let go of a partition that was told; another is not ours any more, or not again yet."""
        if partition in self._told or (partition in self._ours and partition not in self._unsought):
            self._move(partition, offset)
            self._unsought.discard(partition)

    def move(self, partition: TopicPartition, new: int) -> None:
        """Replace a position, unless the partition has gone or waits to be sought."""
        if partition in self._ours and partition not in self._unsought:
            self._move(partition, new)

    def _move(self, partition: TopicPartition, offset: int) -> None:
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, offset)
            self._consumer.resume(partition)


def _records(batch: Sequence[object]) -> Sequence[Record]:
    return [record_of(each) for each in batch]
