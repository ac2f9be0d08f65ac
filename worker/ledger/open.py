"""From a URL to a ledger."""

from shared.clock import Clock
from worker.ledger.engine import Database
from worker.ledger.sql_ledger import SqlLedger
from worker.settings import SETTLE_MS


def open_ledger(url: str, *, clock: Clock | None = None, settle_ms: int = SETTLE_MS) -> SqlLedger:
    """
    Return the ledger at ``postgresql://…`` or ``sqlite:///path``; nothing is connected to or made yet.

    Call `SqlLedger.check` first: it reaches the database, and makes or upgrades a SQLite file.

    Args:
        clock: The ledger's time; the database's own unless given.
        settle_ms: From an answered mark to the effects that waited for it.

    Raises:
        ConfigError: The URL names no database that can be used.
    """
    return SqlLedger(Database(url, clock), settle_ms=settle_ms)
