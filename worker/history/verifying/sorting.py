"""
Facts are filed under what they are about, in any order, and read back together: an external sort.

The database is a private one of SQLite's, made without a name: where ``TMPDIR`` (or ``SQLITE_TMPDIR``) says, gone when
it is closed, and after a crash as well. Nothing in it outlives the process, so nothing is flushed or logged. Memory
holds its cache, of a fixed size; a few hundred bytes of disk are taken for each record of the log.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

import msgspec

CACHE_KIB: Final = 32_768

_T = TypeVar("_T")
_FIRST: Final = itemgetter(0)


class Scratch:
    """The database; for one thread at a time."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in (f"cache_size = -{CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
            self._connection.execute(f"PRAGMA {pragma}")

    def filing(self, name: str, of: Any) -> "Filing[Any]":
        """Return a new file of facts of this type, or of this union of tagged types."""
        return Filing(self._connection, name, of)

    def close(self) -> None:
        """Leave nothing."""
        self._connection.close()


class Filing(Generic[_T]):
    """Facts that are read back in the order of their keys, and of their ranks within a key."""

    def __init__(self, connection: sqlite3.Connection, name: str, of: Any) -> None:
        self._connection, self._name = connection, name
        self._encode: Callable[[_T], bytes] = msgspec.msgpack.Encoder().encode
        self._decode: Callable[[bytes], _T] = msgspec.msgpack.Decoder(of).decode
        connection.execute(f"CREATE TABLE {name} (key TEXT, rank INTEGER, fact BLOB)")

    def file(self, facts: Iterable[tuple[str, int, _T]]) -> None:
        """Take facts, each with its key and its rank."""
        self._connection.execute("BEGIN")
        self._connection.executemany(
            f"INSERT INTO {self._name} VALUES (?, ?, ?)",  # noqa: S608 (a name of ours)
            ((key, rank, self._encode(fact)) for key, rank, fact in facts),
        )
        self._connection.execute("COMMIT")

    def groups(self) -> Iterator[tuple[str, Iterator[_T]]]:
        """Yield each key with its facts, which are read while they are asked for: one group before the next."""
        rows = self._connection.execute(f"SELECT key, fact FROM {self._name} ORDER BY key, rank")  # noqa: S608
        for key, group in groupby(rows, _FIRST):
            yield key, map(self._decode, map(itemgetter(1), group))

    def drop(self) -> None:
        """Give its room back."""
        self._connection.execute(f"DROP TABLE {self._name}")
