"""What a database's refusal means to the worker (pure): the data's fault, or the database's."""

import sqlite3
from collections.abc import Sequence
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.core.errors import CardwireError, ConfigError, LedgerUnavailable
from worker.ledger.port import DataRefused

FOREIGN: Final = (
    DBAPIError,
    PoolTimeout,
    OSError,
    OverflowError,
    UnicodeError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    sqlite3.Error,
)
"""What drivers raise; whatever else is raised is a mistake of ours and stays what it is."""

_DATA: Final = (OverflowError, UnicodeError, sqlite3.IntegrityError, sqlite3.DataError)
_DATA_STATES: Final = ("22", "23", "54")
"""SQLSTATE classes: data exception, integrity violation, a limit of the program (a key too long for an index)."""


def meaning(error: BaseException, place: str) -> CardwireError:
    """
    Return the error to raise instead, for a database at ``place``.

    Its text never holds a value: rows are other people's business.

    A DataRefused is to be raised ``from None``, since drivers quote the value they refuse.
    """
    chain = _chain(error)
    name = type(chain[-1]).__name__
    state = next((found for each in chain if (found := getattr(each, "sqlstate", None))), None)
    if any(isinstance(each, asyncpg.ClientConfigurationError) for each in chain):
        return ConfigError(
            "CARDWIRE_LEDGER holds an option that PostgreSQL's driver does not accept, like sslmode=maybe"
        )
    if any(map(_is_data, chain)) or (state or "").startswith(_DATA_STATES):
        return DataRefused(f"the database refuses a value ({_named(name, state)})")
    return LedgerUnavailable(f"the ledger at {place} does not take part: {_why(chain, _named(name, state))}")


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and what it wraps, innermost last: the driver's own."""
    chain = [error]
    if isinstance(error, DBAPIError) and error.orig is not None:
        chain.append(error.orig)
    if chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return chain


def _is_data(cause: BaseException) -> bool:
    # asyncpg's error for a value that its encoder refuses is both, and is not exported under a name of its own.
    return isinstance(cause, _DATA) or (isinstance(cause, asyncpg.InterfaceError) and isinstance(cause, ValueError))


def _why(chain: Sequence[BaseException], name: str) -> str:
    if any(isinstance(each, PoolTimeout) for each in chain):
        return "all connections are busy"
    if any(isinstance(each, TimeoutError) for each in chain):
        return "no answer in time"
    if isinstance(chain[-1], sqlite3.Error | OSError):
        return f"{name}: {chain[-1]}"  # these name a file or an address, never a row
    return name


def _named(name: str, state: str | None) -> str:
    return f"{name}, SQLSTATE {state}" if state else name
