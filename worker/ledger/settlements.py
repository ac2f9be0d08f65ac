"""
What became of leased targets, in one transaction for many of them.

The targets are locked in key order, with those that effects move to; what is no longer ours is left as it is, except
for the wish to send its newest state again. Then effects, tokens, faces, outbox; and last, in a statement of its own,
the look for what is due next.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, String, and_, case, func, null, select, update

from shared.core.json_text import EpochMs
from worker.ledger.engine import Database, in_transaction
from worker.ledger.leased import EffectChange, EffectKey, FaceRow, Settled, Settlement, TargetKey
from worker.ledger.outbox import Telling
from worker.ledger.reads import bytes_of
from worker.ledger.sql import Dialect, Given, earliest, greatest, insert_given, keys, rows
from worker.ledger.tables import Key, effects, faces, targets
from worker.ledger.targets import Looking, Making, Releasing, settled
from worker.ledger.tokens import Tokens

_FACE_NAMES: Final = tuple(each.name for each in fields(FaceRow))


class Settlements:
    """The transaction in which a pump lets go of targets."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._making = Making(database)
        self._locking, self._lock = _lock(database)
        self._changing, self._change = _change(dialect)
        self._unbeginning, self._unbegin = _unbegin(dialect)
        self._moving, self._move = _move(dialect)
        self._facing, self._face = _face(dialect)
        self._tokens = Tokens(database)
        self._telling = Telling(database)
        self._waking, self._wake = _wake(database)
        self._releasing = Releasing(database)
        self._looking = Looking(database)

    async def settle(self, owner: str, settlements: Sequence[Settlement]) -> Settled:
        moved = {
            EffectKey(*key): TargetKey(each.key.app_id, target)
            for each in settlements
            for key, target in each.moved.items()
        }
        if moved:
            # Beforehand, because a row that is made cannot be locked in order with those that exist.
            await self._make(set(moved.values()))
        return await self._settle(owner, settlements, set(moved.values()))

    @in_transaction
    def _make(self, connection: Connection, wanted: Collection[TargetKey]) -> None:
        self._making.run(connection, wanted)

    @in_transaction
    def _settle(
        self, connection: Connection, owner: str, settlements: Sequence[Settlement], moved: Collection[TargetKey]
    ) -> Settled:
        touched = {each.key for each in settlements} | set(moved)
        found = self._locking.fetch(connection, self._lock, sorted(touched))
        held = {(TargetKey(row.app_id, row.target), row.leased_at) for row in found if row.owner == owner}
        ours = [each for each in settlements if (each.key, each.leased_at) in held]
        lost = [each for each in settlements if (each.key, each.leased_at) not in held]
        if ours:
            self._store(connection, ours, now=int(found[0].now))
        self._resend(connection, lost)
        self._releasing.run(connection, [settled(each) for each in ours])
        return Settled(lost=[each.key for each in lost], next_due=self._looking.run(connection))

    def _store(self, connection: Connection, ours: Sequence[Settlement], *, now: EpochMs) -> None:
        changes = [_changed(change, now) for each in ours for change in each.changes]
        self._changing.execute(connection, self._change, sorted(changes, key=lambda row: tuple(row[:3])))
        unbegun = sorted({each.unbegun for each in ours if each.unbegun is not None})
        self._unbeginning.execute(connection, self._unbegin, unbegun)
        moved = {key: target for each in ours for key, target in each.moved.items()}
        self._moving.execute(connection, self._move, [(*key, target) for key, target in sorted(moved.items())])
        self._tokens.give_back(connection, {each.refund for each in ours if each.refund is not None})
        self._facing.execute(connection, self._face, _face_values(ours))
        self._telling.run(connection, [record for each in ours for record in each.outbox])
        woken = {TargetKey(key.app_id, target) for key, target in moved.items()}
        self._waking.execute(connection, self._wake, [(*key, 0) for key in sorted(woken)])

    def _resend(self, connection: Connection, lost: Iterable[Settlement]) -> None:
        called = sorted(each.key for each in lost if each.called)
        self._waking.execute(connection, self._wake, [(*key, 1) for key in called])


def _lock(database: Database) -> tuple[Given, Any]:
    given = keys(database.dialect, app_id=Key, target=Key)
    here = and_(targets.c.app_id == given.table.c.app_id, targets.c.target == given.table.c.target)
    locked = select(targets.c.app_id, targets.c.target, targets.c.owner, targets.c.leased_at, database.now.label("now"))
    locked = locked.join(given.table, here).order_by(targets.c.app_id, targets.c.target)
    return given, locked.with_for_update(of=targets)


def _change(dialect: Dialect) -> tuple[Given, Any]:
    given = rows(
        dialect,
        app_id=Key,
        event_id=Key,
        index=Integer(),
        status=String(),
        k=Integer(),
        attempts=Integer(),
        due=BigInteger(),
        begun_at=BigInteger(),
        outcome=LargeBinary(),
    )
    row = given.table.c
    same = and_(effects.c.app_id == row.app_id, effects.c.event_id == row.event_id, effects.c.index == row.index)
    begun_at = case((row.begun_at.is_not(None), func.coalesce(effects.c.begun_at, row.begun_at)), else_=null())
    changed = update(effects).where(same)
    return given, changed.values(
        status=row.status,
        k=row.k,
        attempts=row.attempts,
        due=func.coalesce(row.due, effects.c.due),
        begun_at=begun_at,
        outcome=row.outcome,
    )


def _changed(change: EffectChange, now: EpochMs) -> tuple[Any, ...]:
    due = None if change.retry_in_ms is None else now + change.retry_in_ms
    begun_at = now if change.begun else None
    return (*change.key, change.status, change.k, change.attempts, due, begun_at, change.outcome)


def _unbegin(dialect: Dialect) -> tuple[Given, Any]:
    given = keys(dialect, app_id=Key, event_id=Key, index=Integer())
    row = given.table.c
    same = and_(effects.c.app_id == row.app_id, effects.c.event_id == row.event_id, effects.c.index == row.index)
    return given, update(effects).where(same).values(begun_at=null())


def _move(dialect: Dialect) -> tuple[Given, Any]:
    given = keys(dialect, app_id=Key, event_id=Key, index=Integer(), target=Key)
    row = given.table.c
    same = and_(effects.c.app_id == row.app_id, effects.c.event_id == row.event_id, effects.c.index == row.index)
    return given, update(effects).where(same).values(target=row.target)


def _face(dialect: Dialect) -> tuple[Given, Any]:
    given = rows(dialect, **{name: faces.c[name].type for name in _FACE_NAMES})
    insert = insert_given(dialect, faces, given, _FACE_NAMES)
    kept = {name: func.coalesce(insert.excluded[name], faces.c[name]) for name in _FACE_NAMES[2:]}
    return given, insert.on_conflict_do_update(index_elements=["app_id", "message_id"], set_=kept)


def _face_values(ours: Iterable[Settlement]) -> list[tuple[Any, ...]]:
    """Return one row for each card in key order; of several, what a later one knows counts."""
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for face in (face for each in ours for face in (each.face, each.linked) if face is not None):
        row = known.setdefault((face.app_id, face.message_id), dict.fromkeys(_FACE_NAMES))
        row.update({name: value for name in _FACE_NAMES if (value := getattr(face, name)) is not None})
    return [tuple({**row, "sent": bytes_of(row["sent"])}.values()) for _, row in sorted(known.items())]


def _wake(database: Database) -> tuple[Given, Any]:
    given = keys(database.dialect, app_id=Key, target=Key, resend=Integer())
    row = given.table.c
    woken = update(targets).where(targets.c.app_id == row.app_id, targets.c.target == row.target)
    due = greatest(targets.c.paced_until, earliest(targets.c.due, database.now))
    resend_at = case((row.resend == 1, database.now), else_=targets.c.resend_at)
    called_at = case((row.resend == 1, database.now), else_=targets.c.called_at)
    return given, woken.values(due=due, resend_at=resend_at, called_at=called_at)
