"""
Reading a topic file as its group's only consumer.

A thread of the consumer's own does the reading and the waiting. It notices commits of other processes by asking
SQLite for its ``data_version`` every few milliseconds, and those of this process at once.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from shared.core.errors import LogUnavailable
from shared.eventlog.port import Polled, Record
from shared.eventlog.sqlite import file
from shared.eventlog.sqlite.writing import unavailable

POLL_S: Final = 0.005
"""How often other processes' commits are looked for: one takes 3 microseconds, and 50 ms were felt as 27 ms."""

Listeners = set[Callable[[], None]]


class SqliteConsumer:
    """See `Consumer`. All partitions are assigned to it, from its first poll until it is closed."""

    def __init__(
        self,
        topic: str,
        *,
        connect: Callable[[str], sqlite3.Connection],
        lock: "ConsumerLock",
        listeners: Listeners,
        partitions: int,
    ) -> None:
        self._topic = topic
        self._connect = connect
        self._lock = lock
        self._listeners = listeners
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-log-reader")
        self._connection: sqlite3.Connection | None = None
        self._positions: dict[int, int] = {}
        self._unsought = frozenset(range(partitions))
        self._told = False
        self._stirred = threading.Event()
        self._closed = False
        listeners.add(self._stirred.set)

    async def poll(self, *, max_records: int, wait_s: float) -> Polled:
        if self._closed:
            raise LogUnavailable("this consumer is closed")
        given_up = threading.Event()
        deadline = time.monotonic() + (wait_s if self._told else 0)
        fetch = partial(self._fetch, dict(self._positions), max_records, deadline, given_up)
        try:
            records = await asyncio.get_running_loop().run_in_executor(self._thread, fetch)
        finally:
            given_up.set()
            self._stirred.set()
        for number, found in records.items():
            del self._positions[number]  # to the end: where few records are asked for, it is the others' turn
            self._positions[number] = found[-1].offset + 1
        self._told = True
        return Polled(records=records, assigned=self._unsought)

    def seek(self, partition: int, offset: int) -> None:
        if partition in self._unsought or partition in self._positions:
            self._positions[partition] = offset
            self._unsought -= {partition}

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._listeners.discard(self._stirred.set)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)
        self._lock.release()

    def _fetch(
        self, positions: Mapping[int, int], limit: int, deadline: float, given_up: threading.Event
    ) -> dict[int, Sequence[Record]]:
        """Return what is there at these positions, waiting for it until ``deadline``; on the reading thread."""
        while not given_up.is_set():
            self._stirred.clear()
            try:
                connection = self._connected()
                seen = file.data_version(connection)
                records = self._select(connection, positions, limit)
                while not records and not self._is_over(deadline) and seen == file.data_version(connection):
                    if self._stirred.wait(POLL_S):
                        break
            except (sqlite3.Error, LogUnavailable):  # an outage: nothing arrives
                self._disconnect()
                records = {}
                self._stirred.wait(POLL_S)
            if records or self._is_over(deadline):
                return records
        return {}

    def _select(
        self, connection: sqlite3.Connection, positions: Mapping[int, int], limit: int
    ) -> dict[int, Sequence[Record]]:
        ends = file.ends(connection)
        behind = [number for number, position in positions.items() if position < ends[number]]
        # To each its share, so that a partition with much to read does not starve the others.
        share = max(1, limit // max(1, len(behind)))
        found: dict[int, Sequence[Record]] = {}
        for number in behind[:limit]:
            records = file.read(connection, self._topic, number, positions[number], share)
            if records:
                found[number] = records
        return found

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect(self._topic)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @staticmethod
    def _is_over(deadline: float) -> bool:
        return time.monotonic() >= deadline


class ConsumerLock:
    """
    A locked file that says "this group has a consumer". The system unlocks it when its process ends, however.

    Raises:
        LogUnavailable: Another consumer, of this process or another, holds it.
    """

    def __init__(self, path: Path, *, topic: str) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unavailable(topic, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(self._file)
            os.close(self._file)
            raise LogUnavailable(
                f"another worker (process {holder}) reads {topic} already: a SQLite log feeds one worker at a time;"
                " stop that one, or share the work through Kafka (CARDWIRE_LOG=kafka://host:9092)"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next consumer in."""
        os.close(self._file)


def reader_of(locks: Iterable[Path]) -> str | None:
    """Return the process that holds one of these files locked as a group's consumer; ``None`` if none does."""
    for path in locks:
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(lock)
        finally:
            os.close(lock)
    return None


def _holder(lock: int) -> str:
    return os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
