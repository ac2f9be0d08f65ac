"""
What is old goes, in short transactions, of which one runs at a time in the fleet.

The worker that keeps the ledger has a role, and somebody may prune by hand beside it. Both lock that role's
row for the length of a transaction, so that what one deletes the other has seen gone.
"""

from typing import Any, Final

from sqlalchemy import Connection, Integer, String, literal_column, select

from worker.ledger.engine import Database, in_snapshot, in_transaction
from worker.ledger.kept import ROLE, Aged, Sweep, Swept
from worker.ledger.old_events import OldEvents
from worker.ledger.old_rows import OldRows
from worker.ledger.sql import insert_into
from worker.ledger.tables import IDLE, SENT, card_tokens, claims, dead_letters, faces, roles, targets

_OLDEST: Final[tuple[tuple[Any, Any], ...]] = (
    (claims, claims.c.claimed_at),
    (dead_letters, dead_letters.c.died_at),
    (card_tokens, card_tokens.c.received_at),
    (targets, targets.c.leased_at),
    (faces, faces.c.sent_at),
)


class Sweeps:
    """All sweeps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._events, self._rows = OldEvents(database), OldRows(database)
        zero = literal_column("0", Integer())
        self._make = (
            insert_into(database.dialect, roles)
            .values(name=ROLE, owner=literal_column("''", String()), until=zero)
            .on_conflict_do_nothing()
        )
        self._turn = select(roles.c.name).where(roles.c.name == ROLE).with_for_update()
        self._now = select(database.now)

    @in_transaction
    def sweep(self, connection: Connection, sweep: Sweep) -> Swept:
        """Delete some rows that are old, and tell how many and where to go on."""
        connection.execute(self._make)
        connection.execute(self._turn).all()
        attempt = connection.begin_nested() if sweep.dry else None
        swept = (self._events if sweep.store == "events" else self._rows).sweep(connection, sweep)
        if attempt is not None:
            attempt.rollback()
        return swept

    @in_snapshot
    def aged(self, connection: Connection) -> Aged:
        """Return how old the oldest rows are."""
        oldest = {}
        for table, at in _OLDEST:
            kept = {"targets": IDLE, "faces": SENT}.get(table.name)
            asked = select(at).order_by(at).limit(1)
            found = connection.execute(asked if kept is None else asked.where(kept)).scalar()
            if found is not None:
                oldest[table.name] = int(found)
        return Aged(now=int(connection.execute(self._now).scalar_one()), oldest=oldest)
