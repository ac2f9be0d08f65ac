"""A pump takes what is due: targets for a bounded time, and what it must know to choose the next call."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, String, and_, bindparam, func, select, update

from shared.core.ids import MessageId
from shared.core.json_text import EpochMs
from shared.core.targets import card_in, card_of_unknown_chat
from worker.ledger.decided import CardKey
from worker.ledger.engine import Database, in_snapshot, in_transaction
from worker.ledger.leased import Applied, Beginning, Begun, EffectKey, FaceRow, Head, Lease, Leased, TargetKey
from worker.ledger.performed import HEAD, Performed, head
from worker.ledger.reads import FACE_COLUMNS, face
from worker.ledger.sql import Given, keys
from worker.ledger.tables import PENDING, Key, effects, faces, targets
from worker.ledger.targets import Looking, Releasing, Resuming, unchanged
from worker.ledger.tokens import Tokens

HEADS: Final = 2_000
"""Pending effects that are shown of one target. A hot card's older updates are superseded this many at a time."""


class Leases:
    """The transaction in which a pump takes targets, and what it asks about them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._targets = keys(dialect, app_id=Key, target=Key)
        self._effects = keys(dialect, app_id=Key, event_id=Key, index=Integer())
        self._cards = keys(dialect, app_id=Key, message_id=Key)
        self._pick = _pick(database)
        self._take = _take(self._targets, database)
        self._prolong = _prolong(database)
        self._heads = _heads(self._targets)
        self._performed = Performed(dialect)
        row = self._effects.table.c
        same = and_(effects.c.app_id == row.app_id, effects.c.event_id == row.event_id, effects.c.index == row.index)
        self._applied = select(*HEAD).join(self._effects.table, same)
        self._payloads = select(effects.c.app_id, effects.c.event_id, effects.c.index, effects.c.payload).join(
            self._effects.table, same
        )
        self._hold = _hold(self._effects, same)
        begun_at = func.coalesce(effects.c.begun_at, database.now)
        self._begin = update(effects).where(same).values(begun_at=begun_at)
        card = self._cards.table.c
        self._faces = select(*FACE_COLUMNS).join(
            self._cards.table, and_(faces.c.app_id == card.app_id, faces.c.message_id == card.message_id)
        )
        # A target is one card's, and leased by one: no two operations take one sequence.
        stepped = update(faces).where(faces.c.app_id == card.app_id, faces.c.message_id == card.message_id)
        stepped = stepped.values(sequence=func.coalesce(faces.c.sequence, 0) + 1)
        self._step = stepped.returning(faces.c.app_id, faces.c.message_id, faces.c.sequence)
        self._tokens = Tokens(database)
        self._releasing, self._resuming = Releasing(database), Resuming(database)
        self._looking = Looking(database)

    @in_transaction
    def lease(self, connection: Connection, owner: str, *, limit: int, ttl_ms: int) -> Lease:
        picked = connection.execute(self._pick, {"limit": limit}).all()
        if not picked:
            at = connection.execute(select(self._database.now)).scalar_one()
            return Lease(now=int(at), next_due=self._looking.run(connection))
        chosen = [TargetKey(row.app_id, row.target) for row in picked]
        parameters = {"by": owner, "ttl_ms": ttl_ms, **self._targets.parameters(chosen)}
        taken = {TargetKey(row.app_id, row.target): row for row in connection.execute(self._take, parameters)}
        now = int(taken[chosen[0]].leased_at)
        leased = self._look(connection, {key: taken[key] for key in chosen}, now)
        idle = [one.key for one in leased if _is_idle(one, now)]
        self._releasing.run(connection, [unchanged(key) for key in idle])
        others = self._looking.run(connection) if len(picked) < limit else now
        return Lease(now=now, targets=[one for one in leased if one.key not in set(idle)], next_due=others)

    @in_transaction
    def prolong(self, connection: Connection, owner: str, key: TargetKey, leased_at: EpochMs, *, ttl_ms: int) -> bool:
        parameters = {"of": key.app_id, "which": key.target, "by": owner, "since": leased_at, "ttl_ms": ttl_ms}
        return connection.execute(self._prolong, parameters).first() is not None

    @in_transaction
    def resume(self, connection: Connection, wanted: Collection[TargetKey]) -> None:
        self._resuming.run(connection, wanted)

    @in_snapshot
    def payloads(self, connection: Connection, wanted: Iterable[EffectKey]) -> Mapping[EffectKey, bytes]:
        found = self._effects.fetch(connection, self._payloads, sorted(wanted))
        return {EffectKey(*row[:3]): row.payload for row in found}  # a row's `index` is a method

    @in_transaction
    def begun(self, connection: Connection, beginnings: Sequence[Beginning]) -> Mapping[EffectKey, Begun]:
        values = sorted(each.key for each in beginnings)
        self._effects.fetch(connection, self._hold, values)
        self._effects.execute(connection, self._begin, values)
        left = self._tokens.use(connection, {each.token for each in beginnings if each.token is not None})
        of_entities = {each.entity for each in beginnings if each.entity is not None}
        next_of = self._cards.fetch(connection, self._step, sorted(of_entities)) if of_entities else []
        sequences = {(row.app_id, row.message_id): row.sequence for row in next_of}
        return {
            each.key: Begun(
                uses_left=left.get(each.token) if each.token else None,
                sequence=sequences.get(each.entity) if each.entity else None,
            )
            for each in beginnings
        }

    def _look(self, connection: Connection, taken: Mapping[TargetKey, Any], now: EpochMs) -> Sequence[Leased]:
        heads: dict[TargetKey, list[Head]] = {key: [] for key in taken}
        for row in self._targets.fetch(connection, self._heads, list(taken)):
            heads[TargetKey(row.app_id, row.target)].append(head(row))
        applied = {key: _applied(row) for key, row in taken.items()}
        resends = self._resends(connection, taken, applied, now)
        of_cards = self._faces_of(connection, taken)
        performed = self._performed.since(connection, heads)
        return [
            Leased(
                key=key,
                leased_at=now,
                heads=heads[key][:HEADS],
                more=len(heads[key]) > HEADS,
                performed=performed.get(key, ()),
                applied=applied[key],
                resend=resends.get(key),
                face=of_cards.get(key),
                called_at=taken[key].called_at,
            )
            for key in taken
        ]

    def _resends(
        self,
        connection: Connection,
        taken: Mapping[TargetKey, Any],
        applied: Mapping[TargetKey, Applied | None],
        now: EpochMs,
    ) -> Mapping[TargetKey, Head]:
        wanted = {
            EffectKey(key.app_id, newest.event_id, newest.index): key
            for key, row in taken.items()
            if (newest := applied[key]) is not None and row.resend_at is not None and row.resend_at <= now
        }
        found = map(head, self._effects.fetch(connection, self._applied, list(wanted)))
        return {wanted[head.key]: head for head in found}

    def _faces_of(self, connection: Connection, taken: Mapping[TargetKey, Any]) -> Mapping[TargetKey, FaceRow]:
        of = {key: CardKey(key.app_id, card) for key in taken if (card := _card_of(key)) is not None}
        found = self._cards.fetch(connection, self._faces, list(of.values()))
        known = {CardKey(row.app_id, row.message_id): face(row) for row in found}
        return {key: known[card] for key, card in of.items() if card in known}


def _is_idle(leased: Leased, now: EpochMs) -> bool:
    """Say whether nothing can be done now: everything was done, or an answered mark put it off."""
    return leased.resend is None and not leased.more and all(head.due > now for head in leased.heads)


def _card_of(key: TargetKey) -> MessageId | None:
    return card_in(key.target) or card_of_unknown_chat(key.target)


def _applied(row: Any) -> Applied | None:
    if row.applied_event_id is None:
        return None
    return Applied(
        occurred_at=row.applied_occurred_at,
        order=row.applied_order,
        event_id=row.applied_event_id,
        index=row.applied_index,
    )


def _pick(database: Database) -> Any:
    free = and_(targets.c.due <= database.now, targets.c.until <= database.now)
    picked = select(targets.c.app_id, targets.c.target).where(free).order_by(targets.c.due)
    return picked.limit(bindparam("limit", type_=Integer())).with_for_update(skip_locked=True)


def _take(given: Given, database: Database) -> Any:
    here = and_(targets.c.app_id == given.table.c.app_id, targets.c.target == given.table.c.target)
    until = database.now + bindparam("ttl_ms", type_=BigInteger())
    taken = update(targets).where(here)
    taken = taken.values(owner=bindparam("by", type_=String()), until=until, leased_at=database.now)
    return taken.returning(*targets.c)


def _prolong(database: Database) -> Any:
    # Known by its beginning, as when it is settled: nobody has had the target since.
    mine = and_(
        targets.c.app_id == bindparam("of", type_=Key),
        targets.c.target == bindparam("which", type_=Key),
        targets.c.owner == bindparam("by", type_=String()),
        targets.c.leased_at == bindparam("since", type_=BigInteger()),
    )
    until = database.now + bindparam("ttl_ms", type_=BigInteger())
    return update(targets).where(mine).values(until=until).returning(targets.c.until)


def _heads(given: Given) -> Any:
    here = and_(effects.c.app_id == given.table.c.app_id, effects.c.target == given.table.c.target)
    in_order = (effects.c.order, effects.c.event_id, effects.c.index)
    number = func.row_number().over(partition_by=(effects.c.app_id, effects.c.target), order_by=in_order)
    numbered = (
        select(*HEAD, number.label("number"))
        .join(given.table, and_(here, effects.c.status == PENDING))
        .subquery("numbered")
    )
    return select(numbered).where(numbered.c.number <= HEADS + 1).order_by(numbered.c.number)


def _hold(given: Given, same: Any) -> Any:
    """Lock the targets of effects: only so may effects be changed, in whatever order."""
    here = and_(targets.c.app_id == effects.c.app_id, targets.c.target == effects.c.target)
    held = select(targets.c.target).join(effects, here).join(given.table, same)
    return held.order_by(targets.c.app_id, targets.c.target).with_for_update(of=targets)
