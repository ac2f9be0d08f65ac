"""A driver's error is told as what it means to the worker, without the values that drivers quote."""

import asyncio
import sqlite3
import ssl

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.core.errors import ConfigError, LedgerRefused, LedgerUnavailable
from tests.support.documents import is_documented
from worker.ledger.port import DataRefused
from worker.ledger.refusals import meaning


def _wrapped(error: Exception) -> DBAPIError:
    return DBAPIError("INSERT INTO claims", {"event_id": "secret"}, error)


def _timed_out() -> TimeoutError:
    error = TimeoutError()
    error.__cause__ = asyncio.CancelledError()
    return error


def _untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def _no_pem() -> ssl.SSLError:
    error = ssl.SSLError(136, "[X509] no certificate or crl found")
    error.reason = "NO_CERTIFICATE_OR_CRL_FOUND"
    return error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (_timed_out(), "no answer in time"),
        (PoolTimeout("QueuePool limit reached"), "all connections are busy"),
        (ConnectionRefusedError(111, "Connect call failed"), "ConnectionRefusedError: [Errno 111] Connect call failed"),
        (_wrapped(sqlite3.OperationalError("database is locked")), "OperationalError: database is locked"),
        (_wrapped(asyncpg.DeadlockDetectedError("secret")), "DeadlockDetectedError, SQLSTATE 40P01"),
        (_wrapped(asyncpg.AdminShutdownError("bye")), "AdminShutdownError, SQLSTATE 57P01"),
        (_wrapped(asyncpg.UndefinedTableError("claims")), "UndefinedTableError, SQLSTATE 42P01"),
    ],
)
def test_an_outage_is_the_databases(error: Exception, why: str) -> None:
    """It names the place and the reason, so that an operator knows where to look."""
    found = meaning(error, "db.example:5432/cards")
    assert isinstance(found, LedgerUnavailable)
    assert f"the ledger at db.example:5432/cards does not take part: {why}" == str(found)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (_untrusted(), "has a certificate that does not do (self-signed certificate)"),
        (asyncpg.InvalidPasswordError("secret"), "does not let this user in (SQLSTATE 28P01)"),
        (asyncpg.InvalidAuthorizationSpecificationError("secret"), "does not let this user in (SQLSTATE 28000)"),
        (_wrapped(asyncpg.InsufficientPrivilegeError("secret")), "does not allow this user what it must do (SQLSTATE"),
    ],
)
def test_a_database_that_does_not_let_us_in_is_no_outage(error: Exception, why: str) -> None:
    """The line names the setting and an example, and stands in the documents."""
    found = meaning(error, "db.example:5432/cards")
    assert isinstance(found, LedgerRefused)
    assert str(found).startswith(f"CARDWIRE_LEDGER: the database at db.example:5432/cards {why}")
    assert is_documented(str(found))
    assert "secret" not in str(found)


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file or directory"), _no_pem()])
def test_a_file_of_certificates_that_cannot_be_read_is_a_setting(error: Exception) -> None:
    """The database was never asked."""
    found = meaning(error, "db.example:5432/cards")
    assert isinstance(found, ConfigError)
    assert is_documented(str(found))


@pytest.mark.parametrize(
    "error",
    [
        OverflowError("secret"),
        UnicodeEncodeError("utf-8", "secret", 0, 1, "surrogates not allowed"),
        _wrapped(sqlite3.IntegrityError("CHECK constraint failed: secret")),
        _wrapped(asyncpg.CharacterNotInRepertoireError("secret")),
        _wrapped(asyncpg.NumericValueOutOfRangeError("secret")),
        _wrapped(asyncpg.ProgramLimitExceededError("secret")),
    ],
)
def test_a_refused_value_is_the_datas(error: Exception) -> None:
    """It is told apart from an outage, and not repeated."""
    found = meaning(error, "db.example:5432/cards")
    assert isinstance(found, DataRefused)
    assert "secret" not in str(found)
