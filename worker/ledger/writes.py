"""
A batch's decisions, in one transaction.

Locks are taken in the ledger's order (`worker/ledger/port.py`): what a mark tells the claim of its click before what it
tells effects, and the targets of new effects and of marks by one statement, before the effects.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Integer,
    String,
    and_,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.types import TypeEngine

from shared.core.effects import ANSWERED_CARD, Remind, Returning, kinds
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.core.races import standings_text
from worker.ledger.decided import AppTicket, ClaimKey, Mark, NewEffect, Write
from worker.ledger.engine import Database, in_transaction
from worker.ledger.leased import EffectKey, TargetKey
from worker.ledger.outbox import Telling
from worker.ledger.port import ClaimRace, Fenced
from worker.ledger.reads import bytes_of
from worker.ledger.sql import Dialect, Given, greatest, insert_given, keys, rows
from worker.ledger.tables import (
    PENDING,
    Key,
    apps,
    cards,
    claims,
    dead_letters,
    effects,
    positions,
    suspensions,
)
from worker.ledger.targets import Waking
from worker.ledger.tokens import Tokens

_CLAIM: Final = attrgetter(
    "app_id", "event_id", "delivery_key", "result", "redrive", "handler", "digest", "reason", "partition", "offset",
    "message_id", "open_id", "occurred_at", "late",
)  # fmt: skip
_REDRIVEN: Final = attrgetter(
    "app_id", "event_id", "result", "redrive", "handler", "digest", "reason", "partition", "offset", "late"
)
_DEAD_NAMES: Final = ("app_id", "event_id", "handler", "reason", "interaction", "kind", "message_id", "offset", "parks")
_DEAD: Final = attrgetter(*_DEAD_NAMES)
_EFFECT_NAMES: Final = (
    "app_id", "event_id", "index", "tenant_key", "message_id", "kind", "target", "audience", "coalesce",
    "eligibility", "order", "occurred_at", "received_at", "payload",
    "traceparent",
)  # fmt: skip
_EFFECT: Final = attrgetter(*_EFFECT_NAMES)
_SUSPENSION: Final = attrgetter("app_id", "handler", "misses", "until", "pause_ms", "recent", "since")

_ZERO: Final = literal_column("0", Integer())

RETURNING: Final = kinds(Returning | Remind)
"""Kinds of effects that bring back an input, which may change a card before its click is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """An effect whose mark has come: when it may start, from the commit on, and whether the answer was delivered."""

    target: TargetKey
    due_in_ms: int
    delivered: bool


class Writes:
    """The transaction of the deciding part."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._moves, self._move = _moves(dialect, database)
        self._claims, self._claim = _claims(dialect)
        self._redriven, self._redrive = _redriven(dialect, database)
        self._answers, self._answer = first_answers(dialect)
        self._revived, self._revive = _revived(dialect)
        self._cards, self._card = _cards(dialect)
        self._waking = Waking(database)
        self._effects, self._effect = _effects(dialect)
        self._events, self._of_events = _marked(dialect)
        self._marks, self._mark = _mark(dialect)
        self._tokens = Tokens(database)
        self._telling = Telling(database)
        self._dead, self._bury = _dead_letters(dialect)
        self._suspended, self._suspend = _suspensions(dialect, database)
        self._apps, self._of_app = newest_of_apps(dialect)

    @in_transaction
    def write(self, connection: Connection, write: Write) -> EpochMs:
        now = self._compare_and_set(connection, write)
        self._claim_inputs(connection, write, now)
        marked = self._events.fetch(connection, self._of_events, sorted((m.app_id, m.event_id) for m in write.marks))
        answered = {(row.app_id, row.event_id) for row in marked if row.kind in RETURNING}
        self._answers.execute(connection, self._answer, [(*key, now) for key in sorted(answered)])
        self._cards.execute(connection, self._card, _card_values(write))
        waiting = _waiting(marked, write.marks)
        self._waking.run(connection, _due(write.effects, now, waiting.values()))
        self._effects.execute(connection, self._effect, _effect_values(write.effects, now))
        values = [(*key, now + one.due_in_ms, now, one.delivered) for key, one in sorted(waiting.items())]
        self._marks.execute(connection, self._mark, values)
        self._tokens.write(connection, write.tokens)
        self._telling.run(connection, write.outbox)
        self._write_the_rare(connection, write, now)
        return now

    def _compare_and_set(self, connection: Connection, write: Write) -> EpochMs:
        values = [(move.partition, move.expected, move.next, move.last_id) for move in write.moves]
        moved = self._moves.fetch(connection, self._move, values)
        if len(moved) != len(values):
            raise Fenced(f"{len(values) - len(moved)} of {len(values)} positions were moved by another worker")
        return int(moved[0].now) if moved else int(connection.execute(select(self._database.now)).scalar_one())

    def _claim_inputs(self, connection: Connection, write: Write, now: EpochMs) -> None:
        first = [claim for claim in write.claims if not claim.redrive]
        claimed = ((*_CLAIM(claim), now, now if claim.answered else None) for claim in first)
        values = sorted(claimed, key=lambda row: tuple(row[:2]))
        made = self._claims.execute(connection, self._claim, values)
        if made != len(values):
            raise ClaimRace(f"{len(values) - made} of {len(values)} claims were made by somebody else meanwhile")
        again = [_REDRIVEN(claim) for claim in write.claims if claim.redrive]
        changed = self._redriven.fetch(connection, self._redrive, sorted(again, key=lambda row: tuple(row[:2])))
        if len(changed) != len(again):
            raise ClaimRace(
                f"{len(again) - len(changed)} of {len(again)} redrives were done by somebody else meanwhile"
            )

    def _write_the_rare(self, connection: Connection, write: Write, now: EpochMs) -> None:
        self._revived.execute(connection, self._revive, sorted(write.revived))
        dead = [(*_DEAD(letter), now) for letter in write.dead_letters]
        self._dead.execute(connection, self._bury, sorted(dead, key=lambda row: tuple(row[:2])))
        self._suspended.execute(connection, self._suspend, sorted(map(_SUSPENSION, write.suspensions)))
        self._apps.execute(connection, self._of_app, app_values(write.new_style_at, write.tickets))


def _moves(dialect: Dialect, database: Database) -> tuple[Given, Any]:
    given = keys(dialect, partition=Integer(), expected=BigInteger(), next=BigInteger(), last_id=Key)
    row = given.table.c
    # Locked in key order first: two workers that overlap in several partitions must not wait for each other.
    held = (
        select(positions.c.partition, row.next, row.last_id)
        .join(given.table, and_(positions.c.partition == row.partition, positions.c.next == row.expected))
        .order_by(positions.c.partition)
        .with_for_update(of=positions)
        .subquery("held")
    )
    moved = update(positions).where(positions.c.partition == held.c.partition)
    return given, moved.values(next=held.c.next, last_id=held.c.last_id).returning(database.now.label("now"))


def _claims(dialect: Dialect) -> tuple[Given, Any]:
    types: dict[str, Any] = {
        "app_id": Key, "event_id": Key, "delivery_key": Key, "result": String(), "redrive": Integer(),
        "handler": String(), "digest": String(), "reason": String(), "partition": Integer(),
        "offset": BigInteger(), "message_id": Key, "open_id": Key, "occurred_at": BigInteger(), "late": Boolean(),
        "claimed_at": BigInteger(), "answered_at": BigInteger(),
    }  # fmt: skip
    given = rows(dialect, **types)
    return given, insert_given(dialect, claims, given, types).on_conflict_do_nothing()


def _cards(dialect: Dialect) -> tuple[Given, Any]:
    types = {name: each.type for name, each in cards.c.items()}
    given = rows(dialect, **types)
    insert = insert_given(dialect, cards, given, types)
    changed = {name: insert.excluded[name] for name in ("version", "state", "content", "newest_at", "rules")}
    return given, insert.on_conflict_do_update(index_elements=["app_id", "message_id"], set_=changed)


def _card_values(write: Write) -> list[tuple[Any, ...]]:
    values = (
        (
            card.app_id,
            card.message_id,
            card.version,
            bytes_of(card.state),
            bytes_of(card.content),
            card.newest_at,
            bytes_of(standings_text(card.rules)),
        )
        for card in write.cards
    )
    return sorted(values, key=lambda row: tuple(row[:2]))


def _effects(dialect: Dialect) -> tuple[Given, Any]:
    names = (*_EFFECT_NAMES, "decided_at", "due", "marked_at", "delivered", "redriven_at")
    given = rows(dialect, **{name: effects.c[name].type for name in names})
    return given, insert_given(dialect, effects, given, names, status=PENDING, k=_ZERO, attempts=_ZERO)


def _waiting(marked: Iterable[Any], marks: Sequence[Mark]) -> "Mapping[EffectKey, _Waiting]":
    """Return the effects that wait for one of these marks, of all effects of their events."""
    by_event = {ClaimKey(mark.app_id, mark.event_id): mark for mark in marks}
    waiting = {}
    for app_id, event_id, index, target, kind, status, eligibility, marked_at in marked:
        if status == "pending" and eligibility == "after_answer" and marked_at is None:
            mark = by_event[ClaimKey(app_id, event_id)]
            waiting[EffectKey(app_id, event_id, index)] = _Waiting(
                target=TargetKey(app_id, target),
                due_in_ms=mark.card_due_in_ms if kind == ANSWERED_CARD else mark.due_in_ms,
                delivered=mark.delivered,
            )
    return waiting


def _due(new: Iterable[NewEffect], now: EpochMs, marked: Iterable[_Waiting]) -> Mapping[TargetKey, EpochMs]:
    """Return when each target has something to do next, as far as this batch knows."""
    work = [(one.target, now + one.due_in_ms) for one in marked]
    work += [(TargetKey(effect.app_id, effect.target), now + effect.due_in_ms) for effect in new]
    due: dict[TargetKey, EpochMs] = {}
    for target, at in work:
        due[target] = min(at, due.get(target, at))
    return due


def _effect_values(new: Sequence[NewEffect], now: EpochMs) -> list[tuple[Any, ...]]:
    return [
        (
            *_EFFECT(effect),
            now,
            now + effect.due_in_ms,
            now if effect.marked else None,
            effect.delivered,
            now if effect.redriven else None,
        )
        for effect in new
    ]


def _marked(dialect: Dialect) -> tuple[Given, Any]:
    """
    Return the question for the effects of events.

    It does not say that they must be waiting: without statistics, PostgreSQL takes such a condition for rare and
    compares all that wait with all events.
    """
    given = keys(dialect, app_id=Key, event_id=Key)
    here = and_(effects.c.app_id == given.table.c.app_id, effects.c.event_id == given.table.c.event_id)
    asked = [effects.c[name] for name in ("index", "target", "kind", "status", "eligibility", "marked_at")]
    return given, select(effects.c.app_id, effects.c.event_id, *asked).join(given.table, here)


def _mark(dialect: Dialect) -> tuple[Given, Any]:
    mark: dict[str, TypeEngine[Any]] = {"due": BigInteger(), "marked_at": BigInteger(), "delivered": Boolean()}
    given = keys(dialect, app_id=Key, event_id=Key, index=Integer(), **mark)
    row = given.table.c
    same = and_(effects.c.app_id == row.app_id, effects.c.event_id == row.event_id, effects.c.index == row.index)
    told = {"due": due_by_mark(row.due), "marked_at": row.marked_at, "delivered": row.delivered}
    return given, update(effects).where(same).values(told)


def due_by_mark(due: Any) -> Any:
    """Return when an effect is due whose mark says ``due``: one that was tried without it keeps its next attempt."""
    return case((effects.c.k == _ZERO, due), else_=greatest(effects.c.due, due))


def _redriven(dialect: Dialect, database: Database) -> tuple[Given, Any]:
    """
    Return the statement that decides an input anew whose claim says that it failed, in its turn of redrives.

    The claim counts as made now: it is kept for as long as that decision is told of.
    """
    given = keys(
        dialect, app_id=Key, event_id=Key, result=String(), redrive=Integer(), handler=String(), digest=String(),
        reason=String(), partition=Integer(), offset=BigInteger(), late=Boolean(),
    )  # fmt: skip
    row = given.table.c
    same = and_(claims.c.app_id == row.app_id, claims.c.event_id == row.event_id)
    changed = update(claims).where(same, claims.c.result == "failed", claims.c.redrive < row.redrive)
    names = ("result", "redrive", "handler", "digest", "reason", "partition", "offset", "late")
    told = {**{name: row[name] for name in names}, "claimed_at": database.now}
    return given, changed.values(told).returning(claims.c.event_id)


def first_answers(dialect: Dialect) -> tuple[Given, Any]:
    """Return the statement that tells claims when their click was answered, once: app, event, time."""
    given = keys(dialect, app_id=Key, event_id=Key, answered_at=BigInteger())
    row = given.table.c
    first = and_(claims.c.app_id == row.app_id, claims.c.event_id == row.event_id, claims.c.answered_at.is_(None))
    return given, update(claims).where(first).values(answered_at=row.answered_at)


def _revived(dialect: Dialect) -> tuple[Given, Any]:
    given = keys(dialect, app_id=Key, event_id=Key)
    row = given.table.c
    found = select(row.app_id, row.event_id)
    return given, delete(dead_letters).where(tuple_(dead_letters.c.app_id, dead_letters.c.event_id).in_(found))


def _dead_letters(dialect: Dialect) -> tuple[Given, Any]:
    types = {name: dead_letters.c[name].type for name in (*_DEAD_NAMES, "died_at")}
    given = rows(dialect, **types)
    insert = insert_given(dialect, dead_letters, given, types)
    # One that fails again keeps its time, and its place among those of its card.
    changed = {name: insert.excluded[name] for name in ("handler", "reason", "interaction", "kind", "parks")}
    return given, insert.on_conflict_do_update(index_elements=["app_id", "event_id"], set_=changed)


def _suspensions(dialect: Dialect, database: Database) -> tuple[Given, Any]:
    types: Mapping[str, Any] = {name: each.type for name, each in suspensions.c.items()}
    given = keys(dialect, **types)
    insert = insert_given(dialect, suspensions, given, types)
    changed = {name: insert.excluded[name] for name in ("misses", "until", "pause_ms", "recent", "since")}
    # Whoever read before somebody else suspended the handler knows nothing of it, and must not lift it.
    newer = or_(suspensions.c.until <= database.now, insert.excluded.until > suspensions.c.until)
    return given, insert.on_conflict_do_update(index_elements=["app_id", "handler"], set_=changed, where=newer)


def newest_of_apps(dialect: Dialect) -> tuple[Given, Any]:
    """Return the statement that tells apps their newest new-style callback and ticket: all their columns, in order."""
    types = {name: each.type for name, each in apps.c.items()}
    given = rows(dialect, **types)
    insert = insert_given(dialect, apps, given, types)
    newer = insert.excluded.ticket_at >= func.coalesce(apps.c.ticket_at, _ZERO)
    changed = {name: case((newer, insert.excluded[name]), else_=apps.c[name]) for name in ("app_ticket", "ticket_at")}
    newest = greatest(apps.c.new_style_at, insert.excluded.new_style_at)
    return given, insert.on_conflict_do_update(index_elements=["app_id"], set_={"new_style_at": newest, **changed})


def app_values(
    new_style_at: Mapping[AppId, EpochMs], tickets: Mapping[AppId, AppTicket]
) -> list[tuple[str, int, bytes | None, int | None]]:
    """Return the rows that `newest_of_apps` is given, in key order."""
    values: list[tuple[str, int, bytes | None, int | None]] = []
    for app_id in sorted({*new_style_at, *tickets}):
        ticket = tickets.get(app_id)
        told = (None, None) if ticket is None else (ticket.ticket.reveal().encode(), ticket.at)
        values.append((app_id, new_style_at.get(app_id, 0), *told))
    return values
