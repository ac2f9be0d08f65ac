"""
SQLite: one file, and threads of its own that work on it.

One thread writes, so that the writers of this process queue in order instead of trying again and again, and every
writing transaction begins with ``BEGIN IMMEDIATE``: a reading one that turns into a writing one may be refused at
once, whatever the busy time-out says. Readers have their own connections and see the last commit.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from shared.core.errors import ConfigError
from shared.eventlog.sqlite.file import APPLICATION_ID as LOG

_T = TypeVar("_T")

Begin = Literal["BEGIN IMMEDIATE", "BEGIN"]

POOL_S: Final = 10.0
BUSY_MS: Final = 5_000
"""How long to wait for another process that writes."""


class SqliteThreads:
    """As many threads as transactions may run at once, each with its connection."""

    def __init__(self, url: URL, *, threads: int, begin: Begin) -> None:
        self._number = threads
        self._engine = _engine(url, connections=threads, begin=begin)
        self._threads = self._new_threads()

    async def run(self, do: Callable[[Connection], _T]) -> _T:
        """Run a transaction in a thread, begin to commit; it goes on if nobody waits for it any more."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, do)

    async def close(self) -> None:
        """Finish what runs and close the file. Whoever comes later finds it open again."""
        ending, self._threads = self._threads, self._new_threads()
        await asyncio.to_thread(ending.shutdown)
        self._engine.dispose()

    def _run(self, do: Callable[[Connection], _T]) -> _T:
        with self._engine.begin() as connection:
            return do(connection)

    def _new_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._number, thread_name_prefix="cardwire-ledger")


def sqlite_file(url: str) -> URL | None:
    """Return the URL of a SQLite file as the driver wants it; ``None`` if it names no file."""
    try:
        path = make_url(url)
    except ArgumentError:
        return None
    if not path.database or path.database == ":memory:":
        return None
    return path.set(drivername="sqlite+pysqlite")


def _engine(url: URL, *, connections: int, begin: Begin) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_S,
        hide_parameters=True,
        # A connection is used by one thread at a time, but not always by the same one.
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin as we say, not when the driver thinks so
        _refuse_log(connection, url)
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _refuse_log(connection: Any, url: URL) -> None:
    """Tables of a ledger in the log's own file would be lost with it, and each would stand in the other's way."""
    if connection.execute("PRAGMA application_id").fetchone()[0] == LOG:
        connection.close()
        raise ConfigError(
            f"CARDWIRE_LEDGER names {url.database}, which is a Cardwire log: expected a file of the ledger's own, "
            "for example CARDWIRE_LEDGER=sqlite:///cardwire-data/ledger.db"
        )
