"""
The one thread of a log that writes: what many callers append at a time becomes one transaction.

A commit costs an fsync, whatever it holds. While one is under way, further appends queue up, and the next commit takes
them all: under load the cost is shared, and a lone append waits for nobody.
"""

import asyncio
import contextlib
import errno
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.clock import Clock
from shared.core.errors import LogUnavailable
from shared.core.json_text import EpochMs
from shared.eventlog.port import NewRecord
from shared.eventlog.sqlite import file
from shared.eventlog.sqlite.file import REAL, Disk

COMMIT_RECORDS: Final = 2_000
"""Records after which a commit waits for no more callers: more would only lengthen everybody's wait."""

PRUNE_EVERY_MS: Final = 60_000
PRUNE_RECORDS: Final = 500
"""Few at a time, so that no append waits long: 500 a minute are more than 8/s, day and night, for each topic."""

PRUNE_MORE_MS: Final = 1_000
"""Where more is old than that."""

_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
"""No room for a page, or for the index of the write-ahead log."""

Connect = Callable[[str], sqlite3.Connection]
Delete = Callable[[sqlite3.Connection], int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """
    What one caller wants done to one topic; ``done`` is its loop's.

    Attributes:
        records: To append; none means: say whether the topic can be written.
        delete: Instead of that: deletes records in a transaction of its own, and returns how many.
        done: Says how many records were deleted.
    """

    topic: str
    records: Sequence[NewRecord] = ()
    delete: Delete | None = None
    done: "asyncio.Future[int]"


class LogFull(LogUnavailable):
    """The disk has no room for what was to be written."""


class Writer:
    """
    A thread that commits what is handed to `write`, in the order it was handed over.

    Attributes:
        listeners: Called in the writer's thread after each commit.
    """

    def __init__(self, connect: Connect, *, clock: Clock, retention_ms: int, disk: Disk = REAL) -> None:
        self.listeners: set[Callable[[], None]] = set()
        self._disk = disk
        self._connect = connect
        self._clock = clock
        self._retention_ms = retention_ms
        self._connections: dict[str, sqlite3.Connection] = {}
        self._pruned: dict[str, EpochMs] = {}
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def write(self, topic: str, records: Sequence[NewRecord]) -> "asyncio.Future[int]":
        """Return a future that is done when the records are on the disk, or fails with `LogUnavailable`."""
        return self._hand_over(Job(topic=topic, records=records, done=asyncio.get_running_loop().create_future()))

    def forget(self, topic: str, partition: int, *, before: int) -> "asyncio.Future[int]":
        """Return a future that is done when the records before an offset are deleted, or fails likewise."""
        return self._delete(topic, partial(file.forget, partition=partition, before=before))

    def prune(self, topic: str) -> "asyncio.Future[int]":
        """Return a future of how many records were deleted for their age: the oldest, at most `PRUNE_RECORDS`."""
        return self._delete(topic, partial(file.prune, before=self.kept_since(), limit=PRUNE_RECORDS))

    def kept_since(self) -> EpochMs:
        """Return when the oldest records were appended that are kept."""
        return self._clock.now() - self._retention_ms

    def close(self, timeout_s: float) -> None:
        """Commit what is queued and end the thread; blocks. Nothing may be handed over afterwards."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _delete(self, topic: str, delete: Delete) -> "asyncio.Future[int]":
        future = asyncio.get_running_loop().create_future()
        return self._hand_over(Job(topic=topic, delete=delete, done=future))

    def _hand_over(self, job: Job) -> "asyncio.Future[int]":
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sqlite-log-writer", daemon=True)
            self._thread.start()
        job.done.add_done_callback(_seen)
        self._queue.put(job)
        return job.done

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            jobs, ended = self._gather(job)
            for topic in dict.fromkeys(each.topic for each in jobs):
                appends = [each for each in jobs if each.topic == topic and each.delete is None]
                if appends:
                    self._commit(topic, appends)
            for each in jobs:
                if each.delete is not None:
                    self._deleted(each, each.delete)
            if ended:
                break
        for connection in self._connections.values():
            connection.close()

    def _gather(self, first: Job) -> tuple[list[Job], bool]:
        """Return ``first`` and what queued up behind it, and whether the end did too."""
        jobs, records = [first], len(first.records)
        while records < COMMIT_RECORDS:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
            records += len(job.records)
        return jobs, False

    def _commit(self, topic: str, jobs: Sequence[Job]) -> None:
        try:
            connection = self._connection(topic)
            if any(job.records for job in jobs):
                self._disk.check()
                if self._disk.before_commit is not None:
                    self._disk.before_commit()
            file.append(connection, (record for job in jobs for record in job.records), now=self._clock.now())
        except (sqlite3.Error, OSError, LogUnavailable) as error:
            self._drop(topic)
            _finish(jobs, unavailable(topic, error))
            return
        _finish(jobs, 0)
        for listener in tuple(self.listeners):
            listener()
        self._prune(topic, connection)

    def _deleted(self, job: Job, delete: Delete) -> None:
        """In a transaction of its own: where there is no room to delete, that is no append's fault."""
        try:
            connection = self._connection(job.topic)
            self._disk.check()
            gone = delete(connection)
        except (sqlite3.Error, OSError, LogUnavailable) as error:
            self._drop(job.topic)
            _finish([job], unavailable(job.topic, error))
            return
        _finish([job], gone)

    def _connection(self, topic: str) -> sqlite3.Connection:
        if topic not in self._connections:
            self._connections[topic] = self._connect(topic)
        return self._connections[topic]

    def _drop(self, topic: str) -> None:
        """Close a connection on which something failed: a fresh one has no memory of it."""
        connection = self._connections.pop(topic, None)
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _prune(self, topic: str, connection: sqlite3.Connection) -> None:
        now = self._clock.now()
        if now - self._pruned.get(topic, 0) < PRUNE_EVERY_MS:
            return
        self._pruned[topic] = now
        try:
            gone = file.prune(connection, before=self.kept_since(), limit=PRUNE_RECORDS)
        except sqlite3.Error:  # the next round will do it
            self._drop(topic)
            return
        if gone == PRUNE_RECORDS:
            # There are more: soon again, so that a log that grows faster than that does not grow for ever.
            self._pruned[topic] = now - PRUNE_EVERY_MS + PRUNE_MORE_MS


def unavailable(topic: str, error: Exception) -> LogUnavailable:
    """Return ``error`` as what it means to a caller: the log did not take, or give, records."""
    if isinstance(error, LogUnavailable):
        return error
    kind = LogFull if _is_full(error) else LogUnavailable
    return kind(f"the SQLite log of {topic}: {error}")


def _is_full(error: Exception) -> bool:
    match error:
        case OSError():
            return error.errno in {errno.ENOSPC, errno.EDQUOT}
        case sqlite3.Error():
            return getattr(error, "sqlite_errorcode", None) in _FULL
        case _:
            return False


def _seen(done: "asyncio.Future[int]") -> None:
    """Take note of an error, so that one whose caller has given up is not reported as forgotten."""
    if not done.cancelled():
        done.exception()


def _finish(jobs: Iterable[Job], end: int | LogUnavailable) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[int]]] = {}
    for job in jobs:
        by_loop.setdefault(job.done.get_loop(), []).append(job.done)
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, futures, end)


def _settle(futures: Iterable["asyncio.Future[int]"], end: int | LogUnavailable) -> None:
    for future in futures:
        if future.done():
            continue
        if isinstance(end, int):
            future.set_result(end)
        else:
            future.set_exception(type(end)(*end.args))  # each caller's own: raising it writes into it
