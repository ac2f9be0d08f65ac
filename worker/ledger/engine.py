"""
The way to the database: transactions, and errors in our words.

A transaction is a plain function of a connection. On PostgreSQL it runs on the event loop, giving way at every
statement; on SQLite it runs in a thread, from begin to commit in one go, because a switch of threads for each statement
costs more than the statement.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.engine import Connection

from shared.clock import Clock
from shared.core.errors import ConfigError
from worker.ledger import sql
from worker.ledger.port import DataRefused
from worker.ledger.postgres import ANSWER_S, PostgresPool, postgres_place
from worker.ledger.refusals import FOREIGN, meaning
from worker.ledger.sqlite import SqliteThreads, sqlite_file

_T = TypeVar("_T")
_P = ParamSpec("_P")
_S = TypeVar("_S", bound="_OnDatabase")

READERS: Final = 2

_EXAMPLES: Final = "for example postgresql://user:password@host/cardwire or sqlite:///var/lib/cardwire/ledger.db"


class Database:
    """
    One database.

    Attributes:
        dialect: Which of the two it is.
        now: The ledger's time (ms), as an expression.
        place: Where it is, for people; no password.
    """

    def __init__(self, url: str, clock: Clock | None, *, answer_s: float = ANSWER_S) -> None:
        """
        Open nothing yet: connections are made when they are needed.

        Args:
            answer_s: How long PostgreSQL may take for one statement.

        Raises:
            ConfigError: The URL names no database that can be used.
        """
        self._writer: _Engine
        self._reader: _Engine
        self.dialect: sql.Dialect
        scheme = url.partition("://")[0]
        if scheme in {"postgresql", "postgres"} and (place := postgres_place(url)) is not None:
            pool = PostgresPool.at(url, answer_s=answer_s)
            self.dialect, self.place = "postgresql", place
            self._writer, self._reader = pool, pool.reading()
        elif scheme == "sqlite" and (file := sqlite_file(url)) is not None:
            self.dialect, self.place = "sqlite", str(file.database)
            self._writer = SqliteThreads(file, threads=1, begin="BEGIN IMMEDIATE")
            self._reader = SqliteThreads(file, threads=READERS, begin="BEGIN")
        else:
            raise ConfigError(f"CARDWIRE_LEDGER names no database that can be used, {_EXAMPLES}")
        self.now: ColumnElement[int] = sql.now(self.dialect, clock)

    async def transaction(self, do: Callable[[Connection], _T]) -> _T:
        """
        Do all of it or nothing, and return what it returns.

        Raises:
            DataRefused: The database refuses a value.
            LedgerUnavailable: The database cannot be reached, or is too busy.
        """
        return await self._in_our_words(self._writer.run(do))

    async def snapshot(self, do: Callable[[Connection], _T]) -> _T:
        """Read, as of one moment. Raises as `transaction` does."""
        return await self._in_our_words(self._reader.run(do))

    async def close(self) -> None:
        """Release all connections. Never raises."""
        for engine in (self._reader, self._writer):
            try:
                await engine.close()
            except FOREIGN:
                continue

    async def _in_our_words(self, running: Awaitable[_T]) -> _T:
        try:
            return await running
        except FOREIGN as error:
            ours = meaning(error, self.place)
            raise ours from None if isinstance(ours, DataRefused) else error


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


class _Engine(Protocol):
    async def run(self, do: Callable[[Connection], _T]) -> _T: ...

    async def close(self) -> None: ...
