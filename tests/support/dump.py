"""Everything of the ledger that the log can restore, for comparing the two: its tables, row by row."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, select

from worker.ledger.engine import Database
from worker.ledger.tables import apps, card_tokens, cards, claims, dead_letters, effects, faces, positions

Row = dict[str, Any]
"""A row's columns by name; JSON as bytes, times in ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """The rows of the tables that a fold makes, each list in key order, all as of one moment."""

    claims: list[Row]
    cards: list[Row]
    faces: list[Row]
    effects: list[Row]
    tokens: list[Row]
    letters: list[Row]
    apps: list[Row]
    positions: list[Row]


async def dump(database: Database) -> Dump:
    """Return all rows. They all go into memory."""
    return await database.snapshot(
        lambda connection: Dump(
            claims=_rows(connection, claims),
            cards=_rows(connection, cards),
            faces=_rows(connection, faces),
            effects=_rows(connection, effects),
            tokens=_rows(connection, card_tokens),
            letters=_rows(connection, dead_letters),
            apps=_rows(connection, apps),
            positions=_rows(connection, positions),
        )
    )


def _rows(connection: Connection, of: Table) -> list[Row]:
    found = connection.execute(select(*of.c).order_by(*of.primary_key.columns))
    return [dict(row) for row in found.mappings()]
