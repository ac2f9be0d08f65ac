"""By which id a record of the log is known to the ledger."""

from shared.core.codec import header
from shared.eventlog.port import Record


def record_id(record: Record) -> str | None:
    """Return a record's ``ce_id`` as it can be stored: no database takes NUL, and positions move past anything."""
    found = header(record.headers, "ce_id")
    return None if found is None else without_nul(found)


def without_nul(text: str) -> str:
    """Return a text with NUL shown as a symbol."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}")
