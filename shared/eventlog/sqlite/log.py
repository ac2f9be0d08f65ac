"""
The embedded log (see the port for its guarantees).

``sqlite:///dir/log.db`` is the interactions topic; the other topics lie beside it as ``log.<topic>.db``. One thread
writes (`Writer`), another answers `read` and `spans`, each consumer has its own. Files are made by whichever process
comes first; records older than the retention are deleted a few at a time, after commits and by `SqliteLog.prune`.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from shared.clock import Clock, SystemClock
from shared.core.errors import LogUnavailable
from shared.core.json_text import EpochMs
from shared.eventlog.fit import refuse_unfit
from shared.eventlog.port import (
    MAX_RECORD_BYTES,
    PARTITIONS,
    RETENTION_MS,
    TOPICS,
    Features,
    NewRecord,
    Record,
    Span,
    Topics,
)
from shared.eventlog.sqlite import file
from shared.eventlog.sqlite.consuming import ConsumerLock, SqliteConsumer, reader_of
from shared.eventlog.sqlite.file import REAL, Disk, Size
from shared.eventlog.sqlite.place import consumer_lock, consumer_locks, topic_file
from shared.eventlog.sqlite.writing import Writer, unavailable

APPEND_TIMEOUT_S: Final = 1.2
"""Within the platform's 3 s, and with time left to say that it was not recorded."""

BUSY_MS: Final = 1_000
"""How long SQLite waits for another process that writes; less than `APPEND_TIMEOUT_S`, so that its error is told."""

READY_S: Final = 0.9
CLOSE_S: Final = 5.0
ROOM_BYTES: Final = 16 << 20
"""A disk with less room than this is full: the write-ahead log alone needs some megabytes."""

_Answer = TypeVar("_Answer")


class SqliteLog:
    """
    See `EventLog`.

    Args:
        path: The file of the interactions topic; its folder is made if need be.
        topics: The deployment's topics.
        append_timeout_s: After which `append` gives up waiting, whatever the disk does.
        busy_ms: How long a write waits for another process that writes.
    """

    features: Final = Features(shares=False, outlives_processes=True, makes_topics=True)

    def __init__(
        self,
        path: Path,
        *,
        topics: Topics = TOPICS,
        partitions: int = PARTITIONS,
        retention_ms: EpochMs = RETENTION_MS,
        max_record_bytes: int = MAX_RECORD_BYTES,
        append_timeout_s: float = APPEND_TIMEOUT_S,
        busy_ms: int = BUSY_MS,
        clock: Clock | None = None,
        disk: Disk = REAL,
    ) -> None:
        self._path = path
        self._topics = topics
        self._partitions = partitions
        self._max_record_bytes = max_record_bytes
        self._append_timeout_s = append_timeout_s
        self._busy_ms = busy_ms
        self._disk = disk
        self._writer = Writer(self._connect, clock=clock or SystemClock(), retention_ms=retention_ms, disk=disk)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="sqlite-log-reader")
        self._open: dict[str, sqlite3.Connection] = {}
        self._consumers: set[SqliteConsumer] = set()
        self._closed = False

    async def append(self, records: Sequence[NewRecord]) -> None:
        refuse_unfit(records, self._max_record_bytes)
        self._check_open()
        by_topic: dict[str, list[NewRecord]] = {}
        for record in records:
            by_topic.setdefault(record.topic, []).append(record)
        await self._written([self._writer.write(topic, group) for topic, group in by_topic.items()])

    async def spans(self, topic: str) -> Mapping[int, Span]:
        return await self._ask(topic, file.spans, {})

    async def read(self, topic: str, partition: int, offset: int, *, limit: int) -> Sequence[Record]:
        nothing: list[Record] = []
        return await self._ask(topic, lambda found: file.read(found, topic, partition, offset, limit), nothing)

    async def consume(self, topic: str, *, group: str) -> SqliteConsumer:
        self._check_open()
        await self._written([self._writer.write(topic, ())])  # makes the file
        lock = ConsumerLock(consumer_lock(self._file(topic), group), topic=topic)
        consumer = SqliteConsumer(
            topic,
            connect=self._connect,
            lock=lock,
            listeners=self._writer.listeners,
            partitions=self._partitions,
        )
        self._consumers.add(consumer)
        return consumer

    async def create(self, topics: Sequence[str]) -> None:
        self._check_open()
        await self._written([self._writer.write(topic, ()) for topic in topics])

    async def ready(self) -> bool:
        try:
            async with asyncio.timeout(READY_S):
                await self.create([self._topics.interactions])
                return await asyncio.to_thread(_has_room, self._path.parent)
        except (LogUnavailable, TimeoutError, OSError):
            return False

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for consumer in self._consumers:
            await consumer.close()
        await asyncio.to_thread(self._writer.close, CLOSE_S)
        await asyncio.get_running_loop().run_in_executor(self._reader, self._disconnect)
        self._reader.shutdown(wait=False)

    async def differences(self, topics: Sequence[str]) -> Sequence[str]:
        """Return, in a line each, which topics are missing or cannot be used."""
        found: list[str] = []
        for topic in topics:
            try:
                if not await self.spans(topic):
                    found.append(f"{topic}: missing ({self._file(topic)})")
            except LogUnavailable as error:
                found.append(f"{topic}: {error}")
        return found

    async def forget(self, topic: str, partition: int, *, before: int) -> None:
        """
        Delete the records of a partition before an offset. Offsets go on from where they were, also when none is left.

        Raises:
            LogUnavailable: They may be there still.
        """
        self._check_open()
        await self._written([self._writer.forget(topic, partition, before=before)])

    async def prune(self, topic: str, *, dry: bool = False) -> int:
        """
        See `OpenedLog`.

        Raises:
            LogUnavailable: They may be there still.
        """
        if dry:
            return await self._ask(topic, partial(file.expired, before=self._writer.kept_since()), 0)
        self._check_open()
        if not self._file(topic).exists():
            return 0
        return await self._written([self._writer.prune(topic)])

    async def reader(self) -> str | None:
        """Return the process whose consumer, of whatever group, reads the interactions topic now, if there is one."""
        return await asyncio.to_thread(lambda: reader_of(consumer_locks(self._path)))

    async def size(self, topic: str) -> Size:
        """
        Return how much a topic holds; looks at every record.

        Raises:
            LogUnavailable: The file cannot be read.
        """
        return await self._ask(topic, file.size, Size(rows=0, bytes=0))

    def _file(self, topic: str) -> Path:
        return topic_file(self._path, topic, first=self._topics.interactions)

    def _connect(self, topic: str) -> sqlite3.Connection:
        path = self._file(topic)
        path.parent.mkdir(parents=True, exist_ok=True)
        return file.connect(path, partitions=self._partitions, busy_ms=self._busy_ms, disk=self._disk)

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnavailable("the SQLite log is closed")

    async def _written(self, jobs: "Sequence[asyncio.Future[int]]") -> int:
        """Return how many records were deleted, when everything is done."""
        if not jobs:
            return 0
        done, waiting = await asyncio.wait(jobs, timeout=self._append_timeout_s)
        errors = [error for job in done if (error := job.exception()) is not None]
        if errors:
            raise errors[0]
        if waiting:
            raise LogUnavailable(f"the SQLite log {self._path} did not write within {self._append_timeout_s} s")
        return sum(job.result() for job in done)

    async def _ask(self, topic: str, question: Callable[[sqlite3.Connection], _Answer], nothing: _Answer) -> _Answer:
        """Return the answer of a topic's file, or ``nothing`` if there is none, from the reading thread."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._answer, topic, question, nothing)

    def _answer(self, topic: str, question: Callable[[sqlite3.Connection], _Answer], nothing: _Answer) -> _Answer:
        if not self._file(topic).exists():
            return nothing
        try:
            if topic not in self._open:
                self._open[topic] = self._connect(topic)
            return question(self._open[topic])
        except (sqlite3.Error, OSError, LogUnavailable) as error:
            connection = self._open.pop(topic, None)
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
            raise unavailable(topic, error) from error

    def _disconnect(self) -> None:
        for connection in self._open.values():
            connection.close()


def _has_room(folder: Path) -> bool:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= ROOM_BYTES
