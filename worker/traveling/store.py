"""
A table of values in a temporary file: what does not fit into memory, until the walk ends.

The file holds what people typed: its folder is nobody else's to read, and is deleted with all that is in it.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

_T = TypeVar("_T")
_ENCODER: Final = msgspec.msgpack.Encoder()

BUSY_S: Final = 60.0
"""How long one process waits while another writes to the same file."""


@contextmanager
def temporary(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file that need not outlive this program: nothing is synced, nothing can be rolled back."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        yield connection
    finally:
        connection.close()


class Table(Generic[_T]):
    """
    Values by their key, an app's id and another one's.

    Args:
        file: A temporary one; the table is made in it if it is not there.
        of: What the values are.
    """

    def __init__(self, file: sqlite3.Connection, name: str, of: type[_T]) -> None:
        self._file = file
        self._decoder = msgspec.msgpack.Decoder(of)
        file.execute(
            f"CREATE TABLE IF NOT EXISTS {name} (app TEXT, id TEXT, value BLOB, PRIMARY KEY (app, id)) WITHOUT ROWID"
        )
        self._put = f"INSERT OR REPLACE INTO {name} VALUES (?, ?, ?)"  # noqa: S608 (our own names)
        self._get = f"SELECT value FROM {name} WHERE app = ? AND id = ?"  # noqa: S608
        self._is_empty = file.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() is None  # noqa: S608

    def put(self, values: Iterable[tuple[tuple[str, str], _T]]) -> None:
        """Store values, in place of those of the same keys."""
        rows = [(*key, _ENCODER.encode(value)) for key, value in values]
        if not rows:
            return
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany(self._put, rows)
        self._file.execute("COMMIT")
        self._is_empty = False

    def get(self, key: tuple[str, str]) -> _T | None:
        """Return the value of a key, if there is one."""
        if self._is_empty:
            return None
        found = self._file.execute(self._get, key).fetchone()
        return None if found is None else self._decoder.decode(found[0])
