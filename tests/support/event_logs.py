"""
The back ends of the log as the contract suite attacks them: each with its storage, and what only it knows how to do.

A `Backend` opens logs on one storage, as several processes would, and can do to it what retention, transactions and
outages do.
"""

import asyncio
import contextlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from shared.eventlog.kafka.log import KafkaLog
from shared.eventlog.kafka.options import KafkaOptions
from shared.eventlog.memory import MemoryLog
from shared.eventlog.open import OpenedLog
from shared.eventlog.port import TOPICS, Features, NewRecord, Topics
from shared.eventlog.sqlite.log import SqliteLog
from shared.eventlog.sqlite.place import topic_file
from tests.support.kafka import KafkaBroker

FILLER = b"not ours"
"""The value of a record that a gap may need beside it."""

APPEND_TIMEOUT_S = 1.2
BUSY_MS = 300


class Backend(Protocol):
    """A storage that holds a log."""

    features: ClassVar[Features]
    topics: Topics
    url: str

    def open(self) -> OpenedLog:
        """Return a log on this storage, as a process of its own would have it."""

    async def forget(self, topic: str, partition: int, *, before: int) -> None:
        """Drop records before an offset, as retention does."""

    async def gap(self, topic: str, partition: int) -> None:
        """Leave an offset unused; a record with the value `FILLER` may come before it."""

    def outage(self) -> AbstractAsyncContextManager[None]:
        """Make the storage take nothing for as long as this is entered."""

    async def close(self) -> None:
        """Close every log that was opened."""


class _Backend:
    def __init__(self) -> None:
        self._logs: list[OpenedLog] = []

    def _keep(self, log: OpenedLog) -> OpenedLog:
        self._logs.append(log)
        return log

    async def close(self) -> None:
        for log in self._logs:
            await log.close()


class MemoryBackend(_Backend):
    features: ClassVar = MemoryLog.features
    topics = TOPICS
    url = "memory:"

    def __init__(self) -> None:
        super().__init__()
        self._log = MemoryLog()

    def open(self) -> OpenedLog:
        return self._keep(self._log)

    async def forget(self, topic: str, partition: int, *, before: int) -> None:
        self._log.forget(topic, partition, before=before)

    async def gap(self, topic: str, partition: int) -> None:
        self._log.skip(topic, partition, offsets=1)

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._log.available = False
        yield
        self._log.available = True


class SqliteBackend(_Backend):
    features: ClassVar = SqliteLog.features
    topics = TOPICS

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "log.db"
        self.url = f"sqlite:///{self.path}"

    def open(self) -> OpenedLog:
        return self._keep(SqliteLog(self.path, append_timeout_s=APPEND_TIMEOUT_S, busy_ms=BUSY_MS))

    async def forget(self, topic: str, partition: int, *, before: int) -> None:
        with contextlib.closing(self._connect(topic)) as connection, connection:
            connection.execute('DELETE FROM records WHERE partition = ? AND "offset" < ?', (partition, before))

    async def gap(self, topic: str, partition: int) -> None:
        with contextlib.closing(self._connect(topic)) as connection, connection:
            connection.execute("UPDATE partitions SET next = next + 1 WHERE partition = ?", (partition,))

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        with contextlib.closing(self._connect(self.topics.interactions)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def _connect(self, topic: str) -> sqlite3.Connection:
        return sqlite3.connect(topic_file(self.path, topic, first=self.topics.interactions))


class KafkaBackend(_Backend):
    features: ClassVar = KafkaLog.features

    def __init__(self, bootstrap: str, broker: KafkaBroker | None = None) -> None:
        super().__init__()
        self.bootstrap = bootstrap
        self.url = f"kafka://{bootstrap}"
        self.topics = Topics.prefixed(f"t{uuid.uuid4().hex[:12]}.")
        self._broker = broker

    def open(self, options: KafkaOptions | None = None) -> OpenedLog:
        quick = KafkaOptions(append_timeout_s=APPEND_TIMEOUT_S, session_timeout_ms=6_000, heartbeat_ms=200)
        return self._keep(KafkaLog(self.bootstrap, topics=self.topics, options=options or quick))

    async def close(self) -> None:
        """Close every log, and delete the topics: a broker with thousands of partitions starts slowly."""
        await super().close()
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([self.topics.interactions, self.topics.outcomes, self.topics.dead])
        finally:
            await admin.close()

    async def forget(self, topic: str, partition: int, *, before: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=before)})
        finally:
            await admin.close()

    async def gap(self, topic: str, partition: int) -> None:
        """Commit a transaction: its marker takes an offset that nobody is ever given."""
        name = f"gap-{uuid.uuid4()}"
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=name)
        async with producer, producer.transaction():
            await producer.send_and_wait(topic, FILLER, partition=partition)

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        assert self._broker is not None
        self._broker.pause()
        try:
            yield
        finally:
            self._broker.resume()


def record(
    number: int,
    *,
    topic: str = TOPICS.interactions,
    key: str = "cli_a:om_1",
    value: bytes | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
) -> NewRecord:
    """Return a record that tells its number as its value."""
    return NewRecord(
        topic=topic,
        key=key,
        value=str(number).encode() if value is None else value,
        headers=tuple(headers),
        timestamp=1_790_000_000_000 + number,
    )


async def until(happened: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    """Wait until something has happened elsewhere, asking now and then."""
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 (there is no event of another process to wait for)
            await asyncio.sleep(0.02)
