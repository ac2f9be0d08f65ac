"""
An empty ledger that is being rebuilt: what `worker.rebuilding` has the database read and write.

Guarantees: a piece and how far it brought the rebuild are one transaction, so whoever goes on after a crash goes on
behind the last piece that was stored. Positions come with the last transaction: until then no worker starts here.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select, update

from shared.clock import Clock
from shared.core.folded import EventKey, Folded
from shared.core.ids import AppId, DeliveryKey
from shared.core.json_text import EpochMs
from shared.feishu.limits import UUID_VALID_MS
from worker.ledger import schema
from worker.ledger.engine import Database, in_snapshot, in_transaction
from worker.ledger.restored import (
    AlreadyRebuilding,
    Changes,
    Decisions,
    Finished,
    Found,
    NotEmpty,
    Progress,
    Reached,
    Stage,
    Step,
    Touched,
)
from worker.ledger.restoring_end import Ending
from worker.ledger.restoring_folds import Folds
from worker.ledger.restoring_inputs import Inputs
from worker.ledger.sql import greatest, insert_into
from worker.ledger.tables import (
    apps,
    card_tokens,
    cards,
    claims,
    dead_letters,
    effects,
    faces,
    outbox,
    positions,
    rebuilds,
    targets,
)

ANSWER_S: Final = 600.0
"""How long one statement may take: the last ones go through a month's effects."""

_HOLDING: Final = (positions, claims, cards, faces, effects, card_tokens, dead_letters, targets, apps, outbox)


class Restoring:
    """A ledger in the making."""

    def __init__(self, database: Database, *, settle_ms: int) -> None:
        self._database = database
        self._folds = Folds(database.dialect, settle_ms=settle_ms)
        self._inputs = Inputs(database.dialect, settle_ms=settle_ms)
        self._ending = Ending(database.dialect, unknown_after_ms=UUID_VALID_MS)

    @property
    def place(self) -> str:
        """Where the database is, for people; no password."""
        return self._database.place

    async def check(self) -> None:
        """Reach the database and compare its schema; a SQLite file is made or upgraded. Raises `SchemaMismatch`."""
        await schema.check(self._database)

    async def close(self) -> None:
        """Release all connections. Never raises."""
        await self._database.close()

    @in_snapshot
    def now(self, connection: Connection) -> EpochMs:
        """Return the ledger's time (ms)."""
        return int(connection.execute(select(self._database.now)).scalar_one())

    @in_snapshot
    def reached(self, connection: Connection) -> Reached:
        """
        Return how far an earlier run has come.

        Raises:
            NotEmpty: This is no ledger in the making, and it holds something.
        """
        found: dict[Stage, dict[int, Progress]] = {}
        for row in connection.execute(select(*rebuilds.c)):
            found.setdefault(row.stage, {})[row.partition] = _progress(row)
        if not found or _has_positions(connection):
            self._refuse_any(connection)
        return found

    def _refuse_any(self, connection: Connection) -> None:
        held = [table.name for table in _HOLDING if connection.execute(select(*table.c).limit(1)).first() is not None]
        if held:
            raise NotEmpty(
                f"CARDWIRE_LEDGER: the ledger at {self.place} is not empty, it holds {', '.join(held)}: expected "
                f"{self._empty_one()}"
            )

    def _empty_one(self) -> str:
        if self._database.dialect == "postgresql":
            return "an empty one, for example a new PostgreSQL database after `cardwire db upgrade`"
        file = Path(self.place)
        return (
            f"an empty one: with `cardwire run` stopped, move {file.name}* elsewhere, or name a new file, for example "
            f"CARDWIRE_LEDGER=sqlite:///{file.with_stem(f'{file.stem}-rebuilt')}, and the same one for `cardwire run`"
        )

    @in_transaction
    def start(self, connection: Connection, stage: Stage, begins: Mapping[int, int]) -> Mapping[int, Progress]:
        """Begin a stage in the partitions where it was not begun, and return how far it has come in each."""
        rows = [{"stage": stage, "partition": partition, "next": begin} for partition, begin in begins.items()]
        if rows:
            begun = insert_into(self._database.dialect, rebuilds)
            kept = {"next": greatest(rebuilds.c.next, begun.excluded.next)}
            connection.execute(begun.on_conflict_do_update(index_elements=["stage", "partition"], set_=kept), rows)
        found = connection.execute(select(*rebuilds.c).where(rebuilds.c.stage == stage))
        return {row.partition: _progress(row) for row in found}

    @in_snapshot
    def known(self, connection: Connection, touched: Touched) -> Folded:
        """Return the rows that a piece of outcomes may change."""
        return self._folds.known(connection, touched)

    @in_transaction
    def store(self, connection: Connection, changes: Changes, step: Step) -> None:
        """
        Write what a piece of outcomes changes; what was found among the inputs is looked for again then.

        Raises:
            AlreadyRebuilding: Somebody else has stored this piece.
        """
        self._advance(connection, step)
        # All but that the log was moved: what shows it is in its place by now, and will not be found again.
        again = update(rebuilds).where(rebuilds.c.stage == "inputs")
        connection.execute(again.values(next=0, position=None, last_id=None))
        self._folds.store(connection, changes)

    @in_snapshot
    def decisions(
        self,
        connection: Connection,
        events: Collection[EventKey],
        deliveries: Collection[tuple[AppId, DeliveryKey]],
        marked: Collection[EventKey],
    ) -> Decisions:
        """Return what was decided of inputs; of those ``marked``, which have work that comes back."""
        return self._inputs.decisions(connection, events, deliveries, marked)

    @in_transaction
    def add(self, connection: Connection, found: Found, step: Step) -> None:
        """Write what a piece of inputs adds. Raises `AlreadyRebuilding`."""
        self._advance(connection, step)
        self._inputs.add(connection, found)

    @in_transaction
    def finish(self, connection: Connection, reached: Mapping[int, Progress]) -> Finished:
        """
        Write targets and positions, given how far the inputs are read: from now on this is a ledger.

        Raises:
            NotEmpty: It has become one meanwhile: workers began it, or another rebuild was faster.
        """
        if _has_positions(connection):
            self._refuse_any(connection)
        now = int(connection.execute(select(self._database.now)).scalar_one())
        return self._ending.run(connection, reached, now)

    def _advance(self, connection: Connection, step: Step) -> None:
        here = (rebuilds.c.stage == step.stage, rebuilds.c.partition == step.partition)
        to = {name: getattr(step.to, name) for name in ("next", "position", "last_id", "moved")}
        moved = connection.execute(update(rebuilds).where(*here, rebuilds.c.next == step.expected).values(to))
        if moved.rowcount != 1:
            raise AlreadyRebuilding(
                f"another `cardwire rebuild` is at work on the ledger at {self.place}: let one of them end"
            )


def open_restoring(url: str, *, settle_ms: int, clock: Clock | None = None) -> Restoring:
    """
    Return the ledger at ``url`` as one that is to be rebuilt; nothing is connected to or made yet.

    Args:
        settle_ms: From an answered mark to the effects that waited for it.
        clock: The ledger's time; the database's own unless given.

    Raises:
        ConfigError: The URL names no database that can be used.
    """
    return Restoring(Database(url, clock, answer_s=ANSWER_S), settle_ms=settle_ms)


def _has_positions(connection: Connection) -> bool:
    return connection.execute(select(positions.c.partition).limit(1)).first() is not None


def _progress(row: Any) -> Progress:
    return Progress(next=row.next, position=row.position, last_id=row.last_id, moved=bool(row.moved))
