"""From a URL to a ledger."""

from shared.clock import Clock
from worker.ledger.engine import Database
from worker.ledger.sql_ledger import SqlLedger


def open_ledger(url: str, *, clock: Clock | None = None) -> SqlLedger:
    """
    Return the ledger at ``postgresql://…`` or ``sqlite:///path``; nothing is connected to or made yet.

    Call `SqlLedger.check` first: it reaches the database, and makes or upgrades a SQLite file.

    Args:
        clock: The ledger's time; the database's own unless given.

    Raises:
        ConfigError: The URL names no database that can be used.
    """
    return SqlLedger(Database(url, clock))
