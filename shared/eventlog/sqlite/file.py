"""
One topic as one SQLite file: its schema and every statement. Synchronous; each thread has its own connection.

Rows are kept in order of arrival, because appending at the end of one tree is what SQLite does fastest; partition and
offset are an index beside it. The next offset of a partition is a row of its own, so a log whose records are all gone
does not begin again at 0. ``synchronous=FULL`` in WAL mode means that a committed record survives the loss of power:
https://www.sqlite.org/pragma.html#pragma_synchronous.
"""

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from shared.core.errors import LogUnavailable
from shared.core.json_text import EpochMs
from shared.eventlog.partition import partition_of
from shared.eventlog.port import NewRecord, Record, Span
from shared.eventlog.sqlite.place import network_file_system

APPLICATION_ID: Final = 0x4C524B43
"""Marks a SQLite file as a log of ours ("LRKC"), so that a ledger or a stranger's file is not taken for one."""

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = (
    """
    CREATE TABLE records (
        arrival   INTEGER PRIMARY KEY,
        partition INTEGER NOT NULL,
        "offset"  INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        appended  INTEGER NOT NULL,
        key       TEXT NOT NULL,
        headers   BLOB NOT NULL,
        value     BLOB NOT NULL
    )
    """,
    'CREATE UNIQUE INDEX records_by_offset ON records (partition, "offset")',
    "CREATE TABLE partitions (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
_INSERT: Final = (
    'INSERT INTO records (partition, "offset", timestamp, appended, key, headers, value) VALUES (?, ?, ?, ?, ?, ?, ?)'
)
_SELECT: Final = (
    'SELECT "offset", key, value, headers, timestamp FROM records'
    ' WHERE partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?'
)
_SPANS: Final = (
    'SELECT partition, (SELECT min("offset") FROM records WHERE records.partition = partitions.partition), next'
    " FROM partitions"
)
_OLDEST: Final = "SELECT arrival, appended FROM records ORDER BY arrival LIMIT ?"
_SIZE: Final = (
    "SELECT count(*), coalesce(sum(length(CAST(key AS BLOB)) + length(headers) + length(value)), 0) FROM records"
)

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """
    What a log's disk is like, where that is to be tried out: nothing that anybody would want in production.

    Attributes:
        max_pages: No file grows larger than so many pages of 4 KiB; after that the disk is full.
        before_commit: Called in the writing thread before each commit of records; may sleep, or raise `OSError`.
        free: Returns how many bytes are free. Where none are, nothing can be written, be it to make a file, to append
            or to delete; only whole files can be deleted.
    """

    max_pages: int | None = None
    before_commit: Callable[[], None] | None = None
    free: Callable[[], int] | None = None

    def check(self) -> None:
        """
        Find out whether something can be written now.

        Raises:
            OSError: It is full.
        """
        if self.free is not None and not self.free():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


REAL: Final = Disk()
"""Whatever disk there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a topic's file holds: its records, and the bytes of their keys, headers and values."""

    rows: int
    bytes: int


def connect(path: Path, *, partitions: int, busy_ms: int, disk: Disk = REAL) -> sqlite3.Connection:
    """
    Open a topic's file for this thread, making it first if it is not there.

    Raises:
        LogUnavailable: It is not a log of ours, is of a newer Cardwire, has another number of partitions, or lies on
            a network file system.
        sqlite3.Error: SQLite cannot open or make it.
        OSError: Its disk cannot be written to.
    """
    kind = network_file_system(path)
    if kind is not None:
        raise LogUnavailable(
            f"{path} is on a network file system ({kind}), where SQLite loses records;"
            " name a local folder (CARDWIRE_LOG=sqlite:////var/lib/cardwire/log.db) or use Kafka"
        )
    connection = sqlite3.connect(path, isolation_level=None, timeout=busy_ms / 1000, check_same_thread=False)
    try:
        if _application_id(connection) != APPLICATION_ID:
            disk.check()
            with _setting_up(path):
                _set_up(connection, path, partitions)
        connection.execute("PRAGMA synchronous = FULL")
        if disk.max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {disk.max_pages:d}")
        _check(connection, path, partitions)
    except BaseException:
        connection.close()
        raise
    return connection


def append(connection: sqlite3.Connection, records: Iterable[NewRecord], *, now: EpochMs) -> None:
    """Add records in one transaction, which is on the disk when this returns."""
    with _writing(connection):
        before = dict(connection.execute("SELECT partition, next FROM partitions"))
        after = dict(before)
        rows = [_row(new, after, now) for new in records]
        connection.executemany(_INSERT, rows)
        moved = [(end, number) for number, end in after.items() if end != before[number]]
        connection.executemany("UPDATE partitions SET next = ? WHERE partition = ?", moved)


def read(connection: sqlite3.Connection, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
    """Return up to ``limit`` records of a partition from ``offset`` on."""
    return [
        Record(
            topic=topic,
            partition=partition,
            offset=at,
            key=key,
            value=value,
            headers=_unpack(headers),
            timestamp=timestamp,
        )
        for at, key, value, headers, timestamp in connection.execute(_SELECT, (partition, offset, limit))
    ]


def spans(connection: sqlite3.Connection) -> dict[int, Span]:
    """Return what each partition holds."""
    return {number: Span(begin=end if begin is None else begin, end=end) for number, begin, end in _spans(connection)}


def ends(connection: sqlite3.Connection) -> Mapping[int, int]:
    """Return each partition's next offset."""
    return dict(connection.execute("SELECT partition, next FROM partitions"))


def data_version(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another connection has committed something."""
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


def forget(connection: sqlite3.Connection, partition: int, *, before: int) -> int:
    """Delete the records of a partition before an offset, whose next offset stays what it is; return how many."""
    with _writing(connection):
        gone = connection.execute('DELETE FROM records WHERE partition = ? AND "offset" < ?', (partition, before))
    return gone.rowcount


def expired(connection: sqlite3.Connection, *, before: EpochMs) -> int:
    """Return how many records were appended before a time."""
    number: int = connection.execute("SELECT count(*) FROM records WHERE appended < ?", (before,)).fetchone()[0]
    return number


def size(connection: sqlite3.Connection) -> Size:
    """Return how much there is."""
    rows, held = connection.execute(_SIZE).fetchone()
    return Size(rows=rows, bytes=held)


def prune(connection: sqlite3.Connection, *, before: EpochMs, limit: int) -> int:
    """Delete the oldest records if they were appended before a time, at most ``limit``; return how many."""
    oldest = connection.execute(_OLDEST, (limit,)).fetchall()
    old = [arrival for arrival, appended in oldest if appended < before]
    if old:
        with _writing(connection):
            connection.execute("DELETE FROM records WHERE arrival <= ?", (old[-1],))
    return len(old)


@contextlib.contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    # Never a deferred transaction: one that reads first and writes then fails at once when somebody wrote between.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def _setting_up(path: Path) -> Iterator[None]:
    """Hold the lock under which whichever process starts first makes the files of a folder's log."""
    lock = os.open(path.with_name(f"{path.name}.setup.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _set_up(connection: sqlite3.Connection, path: Path, partitions: int) -> None:
    if _application_id(connection) == APPLICATION_ID:
        return  # another process was first
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise LogUnavailable(
            f"{path} is a SQLite file, but not a Cardwire log;"
            " the log and the ledger need files of their own (CARDWIRE_LOG=sqlite:///log.db)"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    with _writing(connection):
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.executemany("INSERT INTO partitions VALUES (?, 0)", [(number,) for number in range(partitions)])


def _check(connection: sqlite3.Connection, path: Path, partitions: int) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise LogUnavailable(f"{path} was written by a newer Cardwire (file version {version}): upgrade this one")
    count = connection.execute("SELECT count(*) FROM partitions").fetchone()[0]
    if count != partitions:
        raise LogUnavailable(f"{path} has {count} partitions, not {partitions}: it was made by another version")


def _application_id(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("PRAGMA application_id").fetchone()[0]
    return number


def _row(new: NewRecord, ends: dict[int, int], now: EpochMs) -> tuple[object, ...]:
    number = partition_of(new.key, len(ends))
    offset = ends[number]
    ends[number] = offset + 1
    return number, offset, new.timestamp, now, new.key, _pack(new.headers), new.value


def _spans(connection: sqlite3.Connection) -> Sequence[tuple[int, int | None, int]]:
    return connection.execute(_SPANS).fetchall()
