"""Ledgers as older programs left them: their schema, by the migrations of then, and rows in it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, insert, select

from worker.ledger import schema
from worker.ledger.engine import Database
from worker.ledger.tables import METADATA

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""By table; columns that the schema does not have are left out."""


async def make(url: str, version: str, rows: Rows) -> None:
    """Make a ledger of an old schema's version at an empty place, and fill it."""
    await _done(url, lambda connection: _make(connection, version, rows))


async def rows_of(url: str) -> Rows:
    """Return all rows of a ledger of today."""

    def read(connection: Connection) -> Rows:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in METADATA.sorted_tables
        }

    return await _done(url, read)


def _make(connection: Connection, version: str, rows: Rows) -> Rows:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, version)
    of_then = MetaData()
    of_then.reflect(connection)
    for name, table in of_then.tables.items():
        if given := rows.get(name):
            fitting = [{column: row[column] for column in row if column in table.c} for row in given]
            connection.execute(insert(table), fitting)
    return rows


async def _done(url: str, do: Callable[[Connection], Rows]) -> Rows:
    database = Database(url, None)
    try:
        return await database.transaction(do)
    finally:
        await database.close()
