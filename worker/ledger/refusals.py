"""What a database's refusal means to the worker: the data's fault, or the database's."""

import sqlite3
import ssl
from collections.abc import Sequence
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.core.errors import CardwireError, ConfigError, LedgerRefused, LedgerUnavailable
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
_NO_ENTRY: Final = frozenset({"28000", "28P01"})
_NO_RIGHT: Final = "42501"
_NO_PEM: Final = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM_LIB"})
_ADDRESS: Final = "CARDWIRE_LEDGER=postgresql://cardwire_worker:password@db:5432/cardwire"
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
    if (refused := _refused(chain, state or "", place)) is not None:
        return refused
    if any(isinstance(each, asyncpg.ClientConfigurationError) for each in chain):
        return ConfigError(
            "CARDWIRE_LEDGER holds an option that PostgreSQL's driver does not accept, like sslmode=maybe"
        )
    if (file := next((each for each in chain if _is_of_a_file(each)), None)) is not None:
        return ConfigError(
            f"CARDWIRE_LEDGER names a file that cannot be used ({_file_trouble(file)}): expected PEM files, for "
            f"example {_ADDRESS}?sslmode=verify-full&sslrootcert=/etc/cardwire/ca.pem"
        )
    if any(map(_is_data, chain)) or (state or "").startswith(_DATA_STATES):
        return DataRefused(f"the database refuses a value ({_named(name, state)})")
    return LedgerUnavailable(f"the ledger at {place} does not take part: {_why(chain, _named(name, state))}")


def _refused(chain: Sequence[BaseException], state: str, place: str) -> LedgerRefused | None:
    """Return what an error means, if it means that the database does not let us in, or do what we must."""
    certificate = next((each for each in chain if isinstance(each, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return LedgerRefused(
            f"CARDWIRE_LEDGER: the database at {place} has a certificate that does not do ("
            f"{certificate.verify_message}): expected one for the name in the address, by an authority in sslrootcert, "
            f"for example {_ADDRESS}?sslmode=verify-full&sslrootcert=/etc/cardwire/ca.pem"
        )
    if state in _NO_ENTRY:
        return LedgerRefused(
            f"CARDWIRE_LEDGER: the database at {place} does not let this user in (SQLSTATE {state}): expected a user, "
            f"a password and the encryption that it takes, for example {_ADDRESS}?sslmode=verify-full"
        )
    if state == _NO_RIGHT:
        return LedgerRefused(
            f"CARDWIRE_LEDGER: the database at {place} does not allow this user what it must do (SQLSTATE {state}): "
            "expected a user who may read and write the tables, and for `cardwire db upgrade` their owner, for example "
            f"{_ADDRESS}"
        )
    return None


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


def _is_of_a_file(cause: BaseException) -> bool:
    """Say whether it comes of reading certificates: Python's TLS does not name the file."""
    unread = isinstance(cause, FileNotFoundError | PermissionError) and cause.filename is None
    return unread or (isinstance(cause, ssl.SSLError) and cause.reason in _NO_PEM)


def _file_trouble(cause: BaseException) -> str:
    return "it is no PEM" if isinstance(cause, ssl.SSLError) else str(getattr(cause, "strerror", cause))


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
