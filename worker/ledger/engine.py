"""
The way to the database: connections, transactions, time-outs, and errors in our words.

A transaction is a plain function of a connection. On PostgreSQL it runs on the event loop, giving way at every
statement; on SQLite it runs in a thread, from begin to commit in one go, because a switch of threads for each statement
costs more than the statement.

SQLite has one writing thread, so that the writers of this process queue in order instead of trying again and
again, and every writing transaction begins with ``BEGIN IMMEDIATE``: a reading one that turns into a writing one may
be refused at once, whatever the busy time-out says. Readers have their own connections and see the last commit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import ColumnElement, create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from shared.clock import Clock
from shared.core.errors import ConfigError
from worker.ledger import sql
from worker.ledger.port import DataRefused
from worker.ledger.refusals import FOREIGN, meaning

_T = TypeVar("_T")
_P = ParamSpec("_P")
_S = TypeVar("_S", bound="_OnDatabase")

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
            self._writer: _Engine = _Postgres(_postgres(url))
            self._reader: _Engine = self._writer.reading()
        elif scheme == "sqlite":
            self.dialect = "sqlite"
            path = _sqlite_path(url)
            self.place = str(path.database)
            self._writer = _Sqlite(path, threads=1, begin="BEGIN IMMEDIATE")
            self._reader = _Sqlite(path, threads=READERS, begin="BEGIN")
        else:
            raise ConfigError(f"CARDWIRE_LEDGER must begin with postgresql:// or sqlite:///, {_EXAMPLES}")
        self.now: ColumnElement[int] = sql.now(self.dialect, clock)

    async def transaction(self, do: Callable[[Connection], _T]) -> _T:
        """
        Do all of it or nothing, and return what it returns.

        Raises:
            DataRefused: The database refuses a value.
            LedgerUnavailable: The database cannot be reached, or is too busy.
        """
        return await _in_our_words(self._writer.run(do))

    async def snapshot(self, do: Callable[[Connection], _T]) -> _T:
        """Read, as of one moment. Raises as `transaction` does."""
        return await _in_our_words(self._reader.run(do))

    async def close(self) -> None:
        """Release all connections. Never raises."""
        for engine in (self._reader, self._writer):
            try:
                await engine.close()
            except FOREIGN:
                continue


class _OnDatabase(Protocol):
    @property
    def _database(self) -> Database: ...


def in_transaction(
    method: Callable[Concatenate[_S, Connection, _P], _T],
) -> Callable[Concatenate[_S, _P], Coroutine[Any, Any, _T]]:
    """Make a method of a connection one that is awaited without it, and that does all or nothing."""

    @wraps(method)
    async def run(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self._database.transaction(lambda connection: method(self, connection, *args, **kwargs))

    return run


def in_snapshot(
    method: Callable[Concatenate[_S, Connection, _P], _T],
) -> Callable[Concatenate[_S, _P], Coroutine[Any, Any, _T]]:
    """Make a method of a connection one that is awaited without it, and that reads as of one moment."""

    @wraps(method)
    async def run(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self._database.snapshot(lambda connection: method(self, connection, *args, **kwargs))

    return run


async def _in_our_words(running: Awaitable[_T]) -> _T:
    try:
        return await running
    except FOREIGN as error:
        raise _ours(error) from _cause(error)


class _Engine(Protocol):
    async def run(self, do: Callable[[Connection], _T]) -> _T: ...

    async def close(self) -> None: ...


class _Postgres:
    """PostgreSQL, on the event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def reading(self) -> "_Postgres":
        return _Postgres(self._engine.execution_options(**_SNAPSHOT))

    async def run(self, do: Callable[[Connection], _T]) -> _T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(do)

    async def close(self) -> None:
        await self._engine.dispose()


class _Sqlite:
    """SQLite, in threads of its own: as many as transactions may run at once."""

    def __init__(self, url: URL, *, threads: int, begin: str) -> None:
        self._number = threads
        self._engine = _sqlite(url, connections=threads, begin=begin)
        self._threads = self._new_threads()

    async def run(self, do: Callable[[Connection], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, do)

    async def close(self) -> None:
        # Whoever comes later finds it open again, as with the other engine.
        ending, self._threads = self._threads, self._new_threads()
        await asyncio.to_thread(ending.shutdown)
        self._engine.dispose()

    def _run(self, do: Callable[[Connection], _T]) -> _T:
        with self._engine.begin() as connection:
            return do(connection)

    def _new_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._number, thread_name_prefix="cardwire-ledger")


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


def _sqlite(url: URL, *, connections: int, begin: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=ANSWER_S,
        hide_parameters=True,
        # A connection is used by one thread at a time, but not always by the same one.
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin as we say, not when the driver thinks so
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
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
    return path.set(drivername="sqlite+pysqlite")


def _postgres_place(url: str) -> str:
    try:
        parts = urlsplit(url)
        where = parts.netloc.rpartition("@")[2]
    except ValueError:
        raise ConfigError(f"CARDWIRE_LEDGER is not a URL that can be read, {_EXAMPLES}") from None
    return f"{where}{parts.path}"
