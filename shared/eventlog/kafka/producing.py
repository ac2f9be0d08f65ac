"""
Appending through one aiokafka producer for as long as it works.

A producer that failed once is not trusted again: it may hold records that it delivers much later, retry without a
pause, or wait for ever. `Producing` fails everything that waits for it, and is thrown away; the log makes a new one.

Each partition has a *lane*: while one batch of it is under way, what arrives queues up, and the next batch takes it
all. So records of a key keep their order, a lone append waits for nobody, and under load a record costs a few
microseconds instead of a `send`. Idempotence stays off: aiokafka's jams for good on an ordinary broker restart
(https://github.com/aio-libs/aiokafka/issues/1017), and duplicates are the worker's business anyway. Order within a
partition does not need it: only one batch of a partition is ever under way.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    CorruptRecordException,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from shared.core.errors import LogRefused, LogUnavailable, RecordRefused
from shared.eventlog.kafka.failures import FAILURES, close, end, pass_cancellation
from shared.eventlog.kafka.options import KafkaOptions, connection
from shared.eventlog.kafka.refusals import not_allowed, unavailable
from shared.eventlog.partition import partition_of
from shared.eventlog.port import NewRecord
from shared.settings.sections import KafkaSecurity

BATCH_BYTES: Final = 128 * 1024
START_S: Final = 5.0

_REFUSALS: Final = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTimestampError,
    CorruptRecordException,
)


class Producing:
    """
    A started producer.

    Attributes:
        failed: It gave up; every append raises, and nothing is left to do but `discard`.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        bootstrap: str,
        security: KafkaSecurity,
        given_up: Callable[["Producing"], None],
    ) -> None:
        self.failed = False
        self.producer = producer
        self._bootstrap, self._security = bootstrap, security
        self._given_up = given_up
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._partitions: dict[str, int] = {}

    @classmethod
    async def start(
        cls, bootstrap: str, options: KafkaOptions, *, given_up: Callable[["Producing"], None]
    ) -> "Producing":
        """
        Connect a new producer to all brokers.

        Args:
            bootstrap: ``host:port,…``
            given_up: Called once, when it has failed; to `discard` it and not to use it again.

        Raises:
            LogUnavailable: No broker can be reached within `START_S`, or none lets us in.
        """
        producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=False,
            linger_ms=0,
            request_timeout_ms=options.request_timeout_ms,
            max_batch_size=BATCH_BYTES,
            # Only our own limit counts, which has been checked: this one would refuse after other records went.
            max_request_size=2 * options.max_record_bytes,
            **connection(bootstrap, options.security),
        )
        producing = cls(producer, bootstrap, options.security, given_up)
        try:
            async with asyncio.timeout(START_S):
                await producer.start()
                # aiokafka connects one broker at a time, and late; a slow one would hold up the first append.
                for broker in producer.client.cluster.brokers():
                    await producer.client.ready(broker.nodeId)
        except FAILURES as error:
            await producing.discard()
            pass_cancellation(error)
            right = "--operation Describe --cluster"
            raise await unavailable(error, bootstrap, options.security, cannot_be="reached", right=right) from error
        return producing

    async def append(self, records: Sequence[NewRecord]) -> None:
        """
        Return when all records are acknowledged. Bounded by nothing but the batches' own time-out.

        Raises:
            LogUnavailable: This producer failed, or the brokers' rules do not allow us to write there.
            RecordRefused: The brokers will not take a record.
        """
        call = _Call(left=len(records), done=asyncio.get_running_loop().create_future())
        lanes = [
            self._lane(topic, number).put(group, call)
            for (topic, number), group in (await self._placed(records)).items()
        ]
        for lane in lanes:
            await lane.send()
        if records:
            await call.done

    def fail(self, error: BaseException) -> LogUnavailable:
        """Fail everything that waits, and return the error to raise."""
        reason = f"Kafka at {self._bootstrap} did not acknowledge: {error!r}"
        if not self.failed:
            self.failed = True
            for lane in self._lanes.values():
                lane.fail(reason)
            self._given_up(self)
        return LogUnavailable(reason)

    def not_allowed(self, topic: str) -> LogRefused:
        """Return the error for a topic that we may not write. The producer is none the worse for it."""
        return not_allowed(f"Kafka at {self._bootstrap}", self._security, f"--operation Write --topic {topic}")

    async def discard(self) -> None:
        """End the producer without waiting for what it still holds. Never raises; takes two seconds at most."""
        producer = self.producer
        # Its own stop() would wait for what it still holds, without limit, and there is no other public way.
        producer._closed = True  # noqa: SLF001
        await close(producer.client)  # what is under way fails
        await end(producer._sender.sender_task)  # noqa: SLF001
        await close(producer.client)  # the sender may have connected once more

    async def _placed(self, records: Sequence[NewRecord]) -> dict[tuple[str, int], list[NewRecord]]:
        placed: dict[tuple[str, int], list[NewRecord]] = {}
        for record in records:
            count = self._partitions.get(record.topic) or await self._count(record.topic)
            placed.setdefault((record.topic, partition_of(record.key, count)), []).append(record)
        return placed

    async def _count(self, topic: str) -> int:
        try:
            found = await self.producer.partitions_for(topic)
        except UnknownTopicOrPartitionError as error:
            raise LogUnavailable(f"Kafka has no topic {topic}: run `cardwire topics create`") from error
        except TopicAuthorizationFailedError as error:
            raise self.not_allowed(topic) from error
        except (KafkaError, OSError) as error:
            raise self.fail(error) from error
        self._partitions[topic] = len(found)
        return len(found)

    def _lane(self, topic: str, number: int) -> "_Lane":
        lane = self._lanes.get((topic, number))
        if lane is None:
            lane = self._lanes[topic, number] = _Lane(self, topic, number)
        return lane


@dataclass(slots=True, eq=False)
class _Call:
    """One append, and who waits for it: done when each of its records is acknowledged, refused or given up."""

    left: int
    done: "asyncio.Future[None]"
    error: Exception | None = None

    def settle(self, error: Exception | None = None) -> None:
        """Note what became of one record; of several errors "perhaps later" goes before "never"."""
        self.left -= 1
        if error is not None and (self.error is None or isinstance(self.error, RecordRefused)):
            self.error = error
        if self.left or self.done.done():
            return
        if self.error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(self.error)
            self.done.exception()  # its caller may have given up already: not to be reported as forgotten


_Entry = tuple[NewRecord, _Call]


class _Lane:
    """One partition's queue, of which one batch at a time is under way."""

    def __init__(self, owner: Producing, topic: str, number: int) -> None:
        self._owner = owner
        self._topic = topic
        self._number = number
        self._queue: deque[_Entry] = deque()
        self._sending: list[_Entry] = []
        self._is_busy = False
        self._most = sys.maxsize
        self._task: asyncio.Task[None] | None = None

    def put(self, records: Sequence[NewRecord], call: _Call) -> "_Lane":
        """Queue records; they go with the next `send`, or when what is under way is done."""
        self._queue.extend((record, call) for record in records)
        if self._owner.failed:
            self.fail("this producer failed")
        return self

    def fail(self, reason: str) -> None:
        """Fail all who wait here; what is under way may be delivered all the same."""
        given_up = [*self._sending, *self._queue]
        self._sending = []
        self._queue.clear()
        for _, call in given_up:
            call.settle(LogUnavailable(reason))

    async def send(self) -> None:
        """Send one batch from the front of the queue, unless one is under way: then more follow by themselves."""
        if self._is_busy or not self._queue or self._owner.failed:
            return
        self._is_busy = True
        batch = self._owner.producer.create_batch()
        entries = self._sending
        while self._queue and len(entries) < self._most and _add(batch, self._queue[0][0]):
            entries.append(self._queue.popleft())
        batch.close()
        try:
            acknowledged = await self._owner.producer.send_batch(batch, self._topic, partition=self._number)
        except FAILURES as error:
            self._end(error)
            pass_cancellation(error)
        else:
            acknowledged.add_done_callback(self._ended)

    def _ended(self, acknowledged: "asyncio.Future[Any]") -> None:
        self._end(asyncio.CancelledError() if acknowledged.cancelled() else acknowledged.exception())

    def _end(self, error: BaseException | None) -> None:
        """Tell what became of a batch, and let the next one follow."""
        entries, self._sending, self._is_busy = self._sending, [], False
        match error:
            case None:
                self._most *= 2
                for _, call in entries:
                    call.settle()
            case _ if isinstance(error, _REFUSALS):
                self._refused(entries, error)
            case TopicAuthorizationFailedError():
                for _, call in entries:
                    call.settle(self._owner.not_allowed(self._topic))
            case _:
                self._sending = entries
                self._owner.fail(error)
        if self._queue and not self._owner.failed:
            self._task = asyncio.create_task(self.send())

    def _refused(self, entries: list[_Entry], error: KafkaError) -> None:
        """Brokers judge whole batches: send smaller ones, in the same order, until the record to blame is alone."""
        if len(entries) == 1:
            entries[0][1].settle(RecordRefused(f"Kafka refuses a record for {self._topic}: {error!r}"))
        else:
            self._most = len(entries) // 2
            self._queue.extendleft(reversed(entries))


def _add(batch: Any, record: NewRecord) -> bool:
    """Add a record to an aiokafka batch; say whether there was room (for the first there always is)."""
    added = batch.append(
        timestamp=record.timestamp, key=record.key.encode(), value=record.value, headers=list(record.headers)
    )
    return added is not None
