"""
The log on Kafka (see the port for its guarantees).

An append is acknowledged by all in-sync replicas, or raises within its time-out; then the producer is thrown away and
the next append begins a new one. Topics are never made unasked.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from shared.core.errors import LogRefused, LogUnavailable
from shared.eventlog.fit import refuse_unfit
from shared.eventlog.kafka import topics as our_topics
from shared.eventlog.kafka.consuming import KafkaConsumer
from shared.eventlog.kafka.options import KafkaOptions
from shared.eventlog.kafka.producing import Producing
from shared.eventlog.kafka.quiet import quiet_aiokafka
from shared.eventlog.kafka.reading import Reading
from shared.eventlog.kafka.refusals import refuse_hidden
from shared.eventlog.port import PARTITIONS, TOPICS, Features, NewRecord, Record, Span, Topics

READY_S: Final = 0.9
CREATE_POLL_S: Final = 0.05
TELL_AGAIN_S: Final = 60.0

_log = structlog.get_logger("cardwire.log")


class KafkaLog:
    """
    See `EventLog`. Connects when it is first used; belongs to one event loop.

    Args:
        bootstrap: Brokers to begin with, as ``host:port,host:port``.
        topics: The deployment's topics.
        options: Time-outs, security, what new topics are like.
    """

    features: Final = Features(shares=True, outlives_processes=True, makes_topics=False)

    def __init__(
        self,
        bootstrap: str,
        *,
        topics: Topics = TOPICS,
        options: KafkaOptions | None = None,
        partitions: int = PARTITIONS,
    ) -> None:
        quiet_aiokafka()
        self._bootstrap = bootstrap
        self._topics = topics
        self._options = options or KafkaOptions()
        self._partitions = partitions
        self._producing: Producing | None = None
        self._starting: asyncio.Task[Producing] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._reading = Reading(bootstrap, self._options)
        self._consumers: set[KafkaConsumer] = set()
        self._appending = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._told_at = float("-inf")

    async def append(self, records: Sequence[NewRecord]) -> None:
        refuse_unfit(records, self._options.max_record_bytes)
        if self._closed:
            raise LogUnavailable("the Kafka log is closed")
        self._appending += 1
        self._idle.clear()
        try:
            await self._append(records)
        finally:
            self._appending -= 1
            if not self._appending:
                self._idle.set()

    async def spans(self, topic: str) -> Mapping[int, Span]:
        return await self._reading.spans(topic)

    async def read(self, topic: str, partition: int, offset: int, *, limit: int) -> Sequence[Record]:
        return await self._reading.read(topic, partition, offset, limit=limit)

    async def consume(self, topic: str, *, group: str) -> KafkaConsumer:
        # A member whose topic is not there waits for it without end.
        if not await self._reading.partitions(topic):
            raise LogUnavailable(f"Kafka has no topic {topic}: run `cardwire topics create`")
        consumer = await KafkaConsumer.join(self._bootstrap, topic, group, self._options)
        self._consumers.add(consumer)
        return consumer

    async def create(self, topics: Sequence[str]) -> None:
        await our_topics.create(self._bootstrap, self._options, topics, partitions=self._partitions)
        await self._served(topics)

    async def ready(self) -> bool:
        try:
            async with asyncio.timeout(READY_S):
                if self._closed:
                    return False
                producing = self._producing or await self._started()
                return await _has_leaders(producing, self._topics.interactions)
        except LogRefused as refused:
            self._tell(refused)
            return False
        except (LogUnavailable, TimeoutError, KafkaError, OSError):
            return False

    async def close(self) -> None:
        self._closed = True
        for consumer in self._consumers:
            await consumer.close()
        await self._idle.wait()  # every append is bounded
        if self._starting is not None:  # bounded, too; cancelled, aiokafka would leave its first connection open
            await asyncio.wait([self._starting])
        if self._producing is not None:
            self._discard(self._producing)
        if self._ending:
            await asyncio.wait(self._ending)
        await self._reading.close()

    async def differences(self, topics: Sequence[str]) -> Sequence[str]:
        """
        Return, in a line each, what of the topics is not as Cardwire needs it; empty when all is well.

        Raises:
            LogUnavailable: The brokers cannot be reached or refuse.
        """
        return await our_topics.check(self._bootstrap, self._options, topics, partitions=self._partitions)

    async def prune(self, topic: str, *, dry: bool = False) -> int:  # noqa: ARG002
        """Return that nothing went: the brokers delete what is old."""
        return 0

    async def _served(self, topics: Sequence[str]) -> None:
        """Wait until the brokers that lead the partitions of new topics know it, as the controller does at once."""
        deadline = time.monotonic() + self._options.read_timeout_s
        for topic in topics:
            while not await self._reading.spans(topic):
                if time.monotonic() > deadline:
                    raise LogUnavailable(f"Kafka at {self._bootstrap} has made {topic}, but does not serve it")
                await asyncio.sleep(CREATE_POLL_S)

    async def _append(self, records: Sequence[NewRecord]) -> None:
        producing = self._producing
        try:
            async with asyncio.timeout(self._options.append_timeout_s):
                producing = producing or await self._started()
                await producing.append(records)
        except TimeoutError as error:
            if producing is not None:
                raise producing.fail(error) from error
            raise LogUnavailable(
                f"Kafka at {self._bootstrap} cannot be reached within {self._options.append_timeout_s} s"
            ) from error

    async def _started(self) -> Producing:
        """Return the producer, started once for all who ask; one who gives up waiting does not stop it."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(_seen)
        starting = self._starting
        await asyncio.wait([starting])
        if starting.cancelled():
            raise LogUnavailable("the Kafka log is closed")
        return starting.result()

    async def _start(self) -> Producing:
        try:
            self._producing = await Producing.start(self._bootstrap, self._options, given_up=self._discard)
            return self._producing
        except LogRefused as refused:
            self._tell(refused)
            raise
        finally:
            self._starting = None

    def _tell(self, refused: LogRefused) -> None:
        """Write a line now and then: a gateway goes on without its log, and nobody else would say what is wrong."""
        now = time.monotonic()
        if now - self._told_at >= TELL_AGAIN_S:
            self._told_at = now
            _log.error("log_refused", reason=str(refused))

    def _discard(self, producing: Producing) -> None:
        if self._producing is producing:
            self._producing = None
        task = asyncio.create_task(producing.discard())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _has_leaders(producing: Producing, topic: str) -> bool:
    """Ask the brokers whether every partition of a topic can be written."""
    cluster: ClusterMetadata = await producing.ask(AIOKafkaClient.fetch_all_metadata)
    every = cluster.partitions_for_topic(topic)
    if not every:
        try:
            await producing.ask(lambda client: refuse_hidden(client, topic))
        except TopicAuthorizationFailedError as error:
            raise producing.not_allowed(topic) from error
        return False
    all_led: bool = every == cluster.available_partitions_for_topic(topic)
    return all_led


def _seen(task: "asyncio.Task[Producing]") -> None:
    """Take note of an error, so that one for which nobody waits any more is not reported as forgotten."""
    if not task.cancelled():
        task.exception()
