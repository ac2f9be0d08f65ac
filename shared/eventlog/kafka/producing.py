"""
Appending through one Kafka client for as long as it works.

A client that failed once is not trusted again: its connections may hold what is delivered much later, or wait for
ever. `Producing` fails everything that waits for it, and is thrown away; the log makes a new one.

Each partition has a *lane*: while one batch of it is under way, what arrives queues up, and the next batch takes it
all; the batches that are ready go to each leader in one request. So records of a key keep their order, a lone append
waits for nobody, and under load a record costs a few microseconds. Nothing here is idempotent in Kafka's sense:
duplicates are the worker's business anyway, and order within a partition does not need it, as only one batch of a
partition is ever under way. What a broker may take later (its partition has just got another leader) is sent again,
unchanged, until its time is up.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaClient, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    InvalidTimestampError,
    KafkaError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownError,
)

from shared.core.errors import LogRefused, LogUnavailable, RecordRefused
from shared.eventlog.kafka.failures import FAILURES, close, end, pass_cancellation
from shared.eventlog.kafka.options import RETRY_BACKOFF_MS, KafkaOptions, connection
from shared.eventlog.kafka.produce import Place, Produce, batch_of, errors_of
from shared.eventlog.kafka.refusals import not_allowed, unavailable
from shared.eventlog.partition import partition_of
from shared.eventlog.port import NewRecord

_T = TypeVar("_T")

START_S: Final = 5.0
BACKOFF_S: Final = RETRY_BACKOFF_MS / 1000
NO_LEADER: Final = -1

_REFUSALS: Final = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTimestampError,
    CorruptRecordException,
)


class Producing:
    """
    A connected client that appends.

    Attributes:
        client: For questions beside: see `ask`.
        failed: It gave up; every append raises, and nothing is left to do but `discard`.
    """

    def __init__(
        self, client: AIOKafkaClient, bootstrap: str, options: KafkaOptions, given_up: Callable[["Producing"], None]
    ) -> None:
        self.failed = False
        self.client = client
        self._bootstrap, self._options = bootstrap, options
        self._given_up = given_up
        self._lanes: dict[Place, _Lane] = {}
        self._partitions: dict[str, int] = {}
        self._requests: set[asyncio.Task[Any]] = set()

    @classmethod
    async def start(
        cls, bootstrap: str, options: KafkaOptions, *, given_up: Callable[["Producing"], None]
    ) -> "Producing":
        """
        Connect a new client to all brokers.

        Args:
            bootstrap: ``host:port,…``
            given_up: Called once, when it has failed; to `discard` it and not to use it again.

        Raises:
            LogUnavailable: No broker can be reached within `START_S`, or none lets us in.
        """
        client = AIOKafkaClient(
            request_timeout_ms=options.request_timeout_ms, **connection(bootstrap, options.security)
        )
        producing = cls(client, bootstrap, options, given_up)
        try:
            async with asyncio.timeout(START_S):
                await client.bootstrap()
                # aiokafka connects one broker at a time, and late; a slow one would hold up the first append.
                for broker in client.cluster.brokers():
                    await client.ready(broker.nodeId)
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
            LogUnavailable: This client failed, or the brokers' rules do not allow us to write there.
            RecordRefused: The brokers will not take a record.
        """
        call = _Call(left=len(records), done=asyncio.get_running_loop().create_future())
        lanes = [self._lane(place).put(group, call) for place, group in (await self._placed(records)).items()]
        self._send([lane for lane in lanes if lane.is_ready])
        if records:
            await call.done

    async def ask(self, question: Callable[[AIOKafkaClient], Coroutine[Any, Any, _T]]) -> _T:
        """
        Return what a question beside comes to.

        It ends with the client: else aiokafka goes on connecting, and nobody closes what it has opened then.

        Raises:
            LogUnavailable: This client failed, perhaps meanwhile.
        """
        if not self.failed:
            asking = asyncio.create_task(question(self.client))
            self._requests.add(asking)
            asking.add_done_callback(self._requests.discard)
            try:
                return await asking
            except asyncio.CancelledError as error:
                pass_cancellation(error)
        raise LogUnavailable(f"Kafka at {self._bootstrap}: this client failed")

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
        """Return the error for a topic that we may not write. The client is none the worse for it."""
        return not_allowed(f"Kafka at {self._bootstrap}", self._options.security, f"--operation Write --topic {topic}")

    async def discard(self) -> None:
        """End the client without waiting for what is under way. Never raises; takes a second or so at most."""
        self.failed = True
        for request in [*self._requests]:  # first, or one of them would connect once more, or still
            await end(request)
        await close(self.client)

    async def _placed(self, records: Sequence[NewRecord]) -> Mapping[Place, list[NewRecord]]:
        placed: dict[Place, list[NewRecord]] = {}
        for record in records:
            count = self._partitions.get(record.topic) or await self._count(record.topic)
            placed.setdefault((record.topic, partition_of(record.key, count)), []).append(record)
        return placed

    async def _count(self, topic: str) -> int:
        """Return how many partitions a topic has; one that was made just now may not be known everywhere yet."""
        until = self._until()
        cluster = self.client.cluster
        try:
            await self.client.add_topic(topic)
            while not (found := cluster.partitions_for_topic(topic)):
                if topic in cluster.unauthorized_topics:
                    raise self.not_allowed(topic)
                if time.monotonic() > until:
                    raise LogUnavailable(f"Kafka has no topic {topic}: run `cardwire topics create`")
                await asyncio.sleep(BACKOFF_S)
                await self.client.force_metadata_update()
        except (KafkaError, OSError) as error:
            raise self.fail(error) from error
        self._partitions[topic] = len(found)
        return len(found)

    def _until(self) -> float:
        return time.monotonic() + self._options.request_timeout_ms / 1000

    def _lane(self, place: Place) -> "_Lane":
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = _Lane(self, *place)
        return lane

    def _send(self, lanes: "Sequence[_Lane]") -> None:
        """Send a batch of each of these lanes, in one request for each leader."""
        until = self._until()
        led: dict[int | None, list[_Lane]] = {}
        for lane in lanes:
            lane.fill(until=until)
            led.setdefault(self.client.cluster.leader_for_partition(TopicPartition(*lane.place)), []).append(lane)
        for leader, of_leader in led.items():
            request = asyncio.create_task(self._produce(leader, of_leader))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)

    async def _produce(self, leader: int | None, lanes: "Sequence[_Lane]") -> None:
        """Send what lanes hold to a leader; then let follow what was queued meanwhile, and what is to be repeated."""
        errors = await self._asked(leader, lanes)
        now = time.monotonic()
        later = [lane for lane, error in zip(lanes, errors, strict=True) if lane.end(error, now=now)]
        if self.failed:
            return
        self._send([lane for lane in lanes if lane.is_ready])
        if later:
            self.client.force_metadata_update()
            await asyncio.sleep(BACKOFF_S)
            if not self.failed:
                self._send(later)

    async def _asked(self, leader: int | None, lanes: "Sequence[_Lane]") -> Sequence[BaseException | None]:
        """Return what became of each lane's batch."""
        try:
            if leader is None or leader == NO_LEADER:
                raise LeaderNotAvailableError
            request = Produce({lane.place: lane.batch for lane in lanes}, timeout_ms=self._options.request_timeout_ms)
            errors = dict(errors_of(await self.client.send(leader, request)))
        except FAILURES as error:
            pass_cancellation(error)
            return [error] * len(lanes)
        return [errors.get(lane.place, UnknownError("no answer about a partition")) for lane in lanes]


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
    """
    One partition's queue, of which one batch at a time is under way.

    Attributes:
        batch: What is under way, as it is sent.
    """

    def __init__(self, owner: Producing, topic: str, number: int) -> None:
        self._owner = owner
        self.place = (topic, number)
        self.batch = bytearray()
        self._queue: deque[_Entry] = deque()
        self._sending: list[_Entry] = []
        self._until = 0.0
        self._most = sys.maxsize

    @property
    def is_ready(self) -> bool:
        """Whether something waits to be sent, and nothing is under way."""
        return bool(self._queue) and not self._sending

    def put(self, records: Sequence[NewRecord], call: _Call) -> "_Lane":
        """Queue records."""
        self._queue.extend([(record, call) for record in records])
        if self._owner.failed:
            self.fail("this client failed")
        return self

    def fail(self, reason: str) -> None:
        """Fail all who wait here; what is under way may be delivered all the same."""
        given_up = [*self._sending, *self._queue]
        self._sending = []
        self._queue.clear()
        for _, call in given_up:
            call.settle(LogUnavailable(reason))

    def fill(self, *, until: float) -> None:
        """Make a batch from the front of the queue, to be repeated until then; or keep the one that is to be."""
        if not self._sending:
            entries = list(islice(self._queue, min(len(self._queue), self._most)))
            self.batch, count = batch_of([record for record, _ in entries])
            self._sending, self._until = entries[:count], until
            for _ in range(count):
                self._queue.popleft()

    def end(self, error: BaseException | None, *, now: float) -> bool:
        """Tell what became of the batch under way; say whether it is to be repeated."""
        if isinstance(error, KafkaError) and error.retriable and now < self._until and not self._owner.failed:
            return True
        entries, self._sending, self.batch = self._sending, [], bytearray()
        match error:
            case None:
                self._most *= 2
                for _, call in entries:
                    call.settle()
            case _ if isinstance(error, _REFUSALS):
                self._refused(entries, error)
            case TopicAuthorizationFailedError():
                for _, call in entries:
                    call.settle(self._owner.not_allowed(self.place[0]))
            case _:
                self._sending = entries
                self._owner.fail(error)
        return False

    def _refused(self, entries: list[_Entry], error: KafkaError) -> None:
        """Brokers judge whole batches: send smaller ones, in the same order, until the record to blame is alone."""
        if len(entries) == 1:
            entries[0][1].settle(RecordRefused(f"Kafka refuses a record for {self.place[0]}: {error!r}"))
        else:
            self._most = len(entries) // 2
            self._queue.extendleft(reversed(entries))
