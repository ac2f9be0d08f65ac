"""
The way to the database: connections, transactions, time-outs, and errors in our words.

SQLite has one writing connection, so that the writers of this process queue in order instead of trying again and
again, and every writing transaction begins with ``BEGIN IMMEDIATE``: a reading one that turns into a writing one may
be refused at once, whatever the busy time-out says. Readers have their own connections and see the last commit.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import ColumnElement, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.clock import Clock
from shared.core.errors import ConfigError
from worker.ledger import sql
from worker.ledger.port import DataRefused
from worker.ledger.refusals import FOREIGN, meaning

CONNECT_S: Final = 5.0
ANSWER_S: Final = 10.0
"""How long one statement may take. A batch of 2,000 takes a fraction of a second."""

POOL: Final = 10
"""PostgreSQL connections of a worker: the deciding one, the pump's few, budgets, the relay, one to look around."""

BUSY_MS: Final = 5_000
READERS: Final = 2

_POSTGRES: Final = {
    "application_name": "cardwire-worker",
    # Tables of this kind grow from empty to full between two ANALYZE: a plan made once would outlive its reasons.
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
    "lock_timeout": "5000",
    # A worker that freezes in a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "10000",
}

_SNAPSHOT: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_EXAMPLES: Final = "for example postgresql://user:password@host/cardwire or sqlite:///var/lib/cardwire/ledger.db"


class Database:
    """
    One database.

    Attributes:
        dialect: Which of the two it is.
        now: The ledger's time (ms), as an expression.
        place: Where it is, for people; no password.
    """

    def __init__(self, url: str, clock: Clock | None) -> None:
        """
        Open nothing yet: connections are made when they are needed.

        Raises:
            ConfigError: The URL names no database that can be used.
        """
        scheme = url.partition("://")[0]
        if scheme in {"postgresql", "postgres"}:
            self.dialect: sql.Dialect = "postgresql"
            self.place = _postgres_place(url)
            self._writer = _postgres(url)
            self._reader = self._writer.execution_options(**_SNAPSHOT)
        elif scheme == "sqlite":
            self.dialect = "sqlite"
            path = _sqlite_path(url)
            self.place = str(path.database)
            self._writer = _sqlite(path, connections=1, begin="BEGIN IMMEDIATE")
            self._reader = _sqlite(path, connections=READERS, begin="BEGIN")
        else:
            raise ConfigError(f"CARDWIRE_LEDGER must begin with postgresql:// or sqlite:///, {_EXAMPLES}")
        self.now: ColumnElement[int] = sql.now(self.dialect, clock)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """
        Do all of the body or nothing.

        Raises:
            DataRefused: The database refuses a value.
            LedgerUnavailable: The database cannot be reached, or is too busy.
        """
        try:
            async with self._writer.begin() as connection:
                yield connection
        except FOREIGN as error:
            raise _ours(error) from _cause(error)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Read, as of one moment. Raises as `transaction` does."""
        try:
            async with self._reader.connect() as connection:
                yield connection
        except FOREIGN as error:
            raise _ours(error) from _cause(error)

    async def close(self) -> None:
        """Release all connections. Never raises."""
        for engine in {self._writer, self._reader}:
            try:
                await engine.dispose()
            except FOREIGN:
                continue


def _ours(error: BaseException) -> Exception:
    return meaning(error)


def _cause(error: BaseException) -> BaseException | None:
    return None if isinstance(meaning(error), DataRefused) else error


def _postgres(url: str) -> AsyncEngine:
    async def connect() -> Any:
        return await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=ANSWER_S, server_settings=_POSTGRES)

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=ANSWER_S,
        hide_parameters=True,
    )


def _sqlite(url: URL, *, connections: int, begin: str) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=connections, max_overflow=0, pool_timeout=ANSWER_S, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin as we say, not when the driver thinks so
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _sqlite_path(url: str) -> URL:
    try:
        path = make_url(url)
    except ArgumentError:
        raise ConfigError(f"CARDWIRE_LEDGER is not a URL that can be read, {_EXAMPLES}") from None
    if not path.database or path.database == ":memory:":
        raise ConfigError(f"CARDWIRE_LEDGER names no file, {_EXAMPLES}")
    return path.set(drivername="sqlite+aiosqlite")


def _postgres_place(url: str) -> str:
    try:
        parts = urlsplit(url)
        where = parts.netloc.rpartition("@")[2]
    except ValueError:
        raise ConfigError(f"CARDWIRE_LEDGER is not a URL that can be read, {_EXAMPLES}") from None
    return f"{where}{parts.path}"
