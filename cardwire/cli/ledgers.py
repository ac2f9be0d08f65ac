"""The ledger, for commands that look at it: beside running workers, and never made by looking."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shared.core.errors import ConfigError

if TYPE_CHECKING:
    from worker.ledger.sql_ledger import SqlLedger


class NoLedger(ConfigError):
    """There is no file where the ledger's should be, or no folder for it."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator["SqlLedger"]:
    """
    Open a ledger that is there, with this program's schema, as long as the block lasts.

    Raises:
        NoLedger: There is no such file; opening it would make one.
        LedgerUnavailable: The database cannot be reached.
        SchemaMismatch: It is not this program's.
    """
    from worker.ledger.open import open_ledger

    _is_there(url)
    ledger = open_ledger(url)
    try:
        await ledger.look()
        yield ledger
    finally:
        await ledger.close()


def refuse_without_folder(url: str) -> None:
    """
    Look whether a ledger can be made where there is none yet.

    Raises:
        NoLedger: It is a SQLite file, and its folder is not there.
    """
    file = _file(url)
    if file is not None and not file.parent.is_dir():
        raise NoLedger(
            f"CARDWIRE_LEDGER names {file}, whose folder is not there: expected a file in a folder that is, for "
            "example CARDWIRE_LEDGER=sqlite:///cardwire-data/ledger.db"
        )


def _is_there(url: str) -> None:
    file = _file(url)
    if file is not None and not file.exists():
        raise NoLedger(
            f"CARDWIRE_LEDGER names {file}, where no file is: expected the ledger of a worker, for example "
            "CARDWIRE_LEDGER=sqlite:///cardwire-data/ledger.db"
        )


def _file(url: str) -> Path | None:
    from worker.ledger.sqlite import sqlite_file

    file = sqlite_file(url) if url.startswith("sqlite:") else None
    return None if file is None else Path(str(file.database))
