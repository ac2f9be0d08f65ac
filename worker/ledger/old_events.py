"""
Inputs that are old, with all that hangs on them.

A claim is what tells a duplicate, so it goes last: not while an effect of its input is pending, while the input is kept
as a dead letter, or while a target would send one of its effects again. With the claim go its effects, and with the
last claim about a card the card and its face; so a card that anybody touched lives as long as that is remembered.

Locks are taken in the ledger's order (`worker/ledger/port.py`), in all partitions. A claim that somebody holds is
passed over. Two who sweep at once take turns (`worker.ledger.sweeps`): else each could leave a card to the other.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, and_, bindparam, delete, func, select, tuple_

from worker.ledger.decided import CardKey, ClaimKey
from worker.ledger.engine import Database
from worker.ledger.kept import Sweep, Swept, place_after
from worker.ledger.leased import TargetKey
from worker.ledger.old_rows import among, behind, cut, idle, oldest_first
from worker.ledger.sql import keys
from worker.ledger.tables import Key, cards, claims, dead_letters, effects, faces, targets

CLAIM_KEY: Final = 2
"""Columns of a claim's key."""

GOING: Final = tuple(table.name for table in (targets, effects, faces, cards, claims))
"""Where rows of old inputs are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hanging:
    """
    An effect of an old input.

    Attributes:
        holds: Its target would send it again, and is in use.
    """

    event: ClaimKey
    target: TargetKey
    pending: bool
    holds: bool


def finished(events: Iterable[ClaimKey], hanging: Iterable[Hanging], buried: Collection[ClaimKey]) -> set[ClaimKey]:
    """Return the old inputs of which nothing is wanted any more (pure)."""
    wanted = {one.event for one in hanging if one.pending or one.holds}
    return {event for event in events if event not in wanted and event not in buried}


class OldEvents:
    """The sweep of claims and what hangs on them."""

    def __init__(self, database: Database) -> None:
        found = oldest_first(database, claims, claims.c.claimed_at).add_columns(claims.c.message_id)
        self._find = found.with_for_update(of=claims, skip_locked=True)
        self._events = keys(database.dialect, app_id=Key, event_id=Key)
        self._cards = keys(database.dialect, app_id=Key, message_id=Key)
        self._targets = keys(database.dialect, app_id=Key, target=Key)
        event, card = self._events.table.c, self._cards.table.c
        self._about = _about(self._cards)
        here = and_(cards.c.app_id == card.app_id, cards.c.message_id == card.message_id)
        locked = select(cards.c.app_id).join(self._cards.table, here).order_by(cards.c.app_id, cards.c.message_id)
        self._lock_cards = locked.with_for_update(of=cards)
        of_event = and_(effects.c.app_id == event.app_id, effects.c.event_id == event.event_id)
        self._lock_targets = _lock_targets(database, self._events, of_event)
        asked = [effects.c[name] for name in ("app_id", "event_id", "index", "target", "status")]
        self._effects = select(*asked).join(self._events.table, of_event)
        buried = and_(dead_letters.c.app_id == event.app_id, dead_letters.c.event_id == event.event_id)
        self._buried = select(dead_letters.c.app_id, dead_letters.c.event_id).join(self._events.table, buried)
        found_events = select(event.app_id, event.event_id)
        self._drop_targets = delete(targets).where(among(targets, self._targets.table))
        self._drop_effects = delete(effects).where(tuple_(effects.c.app_id, effects.c.event_id).in_(found_events))
        self._drop_claims = delete(claims).where(among(claims, self._events.table))
        self._drop_cards = delete(cards).where(among(cards, self._cards.table))
        shown = and_(faces.c.app_id == card.app_id, faces.c.message_id == card.message_id)
        # Asked first and dropped by key: without statistics, PostgreSQL takes the condition for rare.
        recent = faces.c.sent_at >= cut(database)
        self._faces = select(faces.c.app_id, faces.c.message_id, recent.label("recent")).join(self._cards.table, shown)
        self._drop_faces = delete(faces).where(among(faces, self._cards.table))

    def sweep(self, connection: Connection, sweep: Sweep) -> Swept:
        """Delete old inputs that nothing is wanted of."""
        asked = behind(sweep, CLAIM_KEY)
        found = connection.execute(self._find, asked).all()
        last = place_after([tuple(row)[: 1 + CLAIM_KEY] for row in found], limit=sweep.limit)
        if not found:
            return Swept(rows=dict.fromkeys(GOING, 0))
        about = {ClaimKey(row.app_id, row.event_id): row.message_id for row in found}
        alone = self._alone(connection, about, asked)
        done, old_targets = self._finished(connection, sorted(about), sweep)
        left = Counter(CardKey(event.app_id, about[event]) for event in done)
        gone = sorted(card for card, number in alone.items() if left[card] == number)
        return Swept(rows=self._drop(connection, sorted(done), gone, old_targets, sweep), last=last)

    def _alone(
        self, connection: Connection, about: Mapping[ClaimKey, Any], asked: Mapping[str, Any]
    ) -> Mapping[CardKey, int]:
        """
        Lock the cards that only these inputs are about, and return how many of them are.

        Counted again under the lock: who decided a click on one meanwhile has committed then, or finds it gone and
        writes it anew.
        """
        here = Counter(CardKey(event.app_id, card) for event, card in about.items() if card is not None)
        alone = self._only(connection, here, asked)
        self._cards.fetch(connection, self._lock_cards, sorted(alone))
        return self._only(connection, alone, asked)

    def _only(
        self, connection: Connection, here: Mapping[CardKey, int], asked: Mapping[str, Any]
    ) -> Mapping[CardKey, int]:
        """Return the cards that so many claims are about, and no others."""
        if not here:
            return {}
        place = {name: asked[name] for name in ("since", "after_0", "after_1")}
        most = {"most": max(here.values()) + 1}
        found = connection.execute(self._about, {**self._cards.parameters(sorted(here)), **place, **most})
        counted = {CardKey(row.app_id, row.message_id): int(row.number) for row in found}
        return {card: number for card, number in here.items() if counted[card] == number}

    def _finished(
        self, connection: Connection, events: Sequence[ClaimKey], sweep: Sweep
    ) -> tuple[set[ClaimKey], Mapping[TargetKey, ClaimKey]]:
        """Return the inputs that can go, and the targets that are old, too, with the input whose effect each shows."""
        ages = {**self._events.parameters(events), "older_than_ms": sweep.older_than_ms}
        held = {TargetKey(row.app_id, row.target): row for row in connection.execute(self._lock_targets, ages)}
        hanging = []
        for row in self._events.fetch(connection, self._effects, events):
            event, nth, key = ClaimKey(row.app_id, row.event_id), row[2], TargetKey(row.app_id, row.target)
            target = held.get(key)
            shown = target is not None and (target.applied_event_id, target.applied_index) == (event.event_id, nth)
            holds = shown and target is not None and not target.idle
            hanging.append(Hanging(event=event, target=key, pending=row.status == "pending", holds=holds))
        buried = {ClaimKey(*row) for row in self._events.fetch(connection, self._buried, events)}
        old = {
            key: ClaimKey(key.app_id, row.applied_event_id)
            for key, row in held.items()
            if row.idle and row.applied_event_id is not None
        }
        return finished(events, hanging, buried), old

    def _drop(
        self,
        connection: Connection,
        done: Sequence[ClaimKey],
        gone: Sequence[CardKey],
        old: Mapping[TargetKey, ClaimKey],
        sweep: Sweep,
    ) -> Mapping[str, int]:
        # A target that names an effect does not outlive it.
        with_theirs = sorted(key for key, event in old.items() if event in set(done))
        dropped = self._targets.execute(connection, self._drop_targets, with_theirs)
        return {
            # In a rehearsal the sweep of targets found them, too, and they are counted there.
            targets.name: 0 if sweep.dry else dropped,
            effects.name: self._events.execute(connection, self._drop_effects, done),
            faces.name: self._cards.execute(connection, self._drop_faces, self._old_faces(connection, gone, sweep)),
            cards.name: self._cards.execute(connection, self._drop_cards, gone),
            claims.name: self._events.execute(connection, self._drop_claims, done),
        }

    def _old_faces(self, connection: Connection, gone: Sequence[CardKey], sweep: Sweep) -> Sequence[CardKey]:
        """Return the cards of which a face goes, too: of what was sent since, it goes by that time."""
        if not gone:
            return ()
        asked = {**self._cards.parameters(gone), "older_than_ms": sweep.older_than_ms}
        found = connection.execute(self._faces, asked)
        return sorted(CardKey(row.app_id, row.message_id) for row in found if not row.recent)


def _about(given: Any) -> Any:
    """
    Return the question how many claims are about each card, no more than somebody wants to know.

    Those before the place of the sweep are not counted: they are gone, or would be if it were no rehearsal.
    """
    card = given.table.c
    behind = tuple_(claims.c.claimed_at, claims.c.app_id, claims.c.event_id) > tuple_(
        bindparam("since", type_=BigInteger()), bindparam("after_0", type_=Key), bindparam("after_1", type_=Key)
    )
    here = and_(claims.c.app_id == card.app_id, claims.c.message_id == card.message_id, behind)
    few = select(claims.c.event_id).where(here).limit(bindparam("most", type_=Integer())).correlate(given.table)
    number = select(func.count()).select_from(few.subquery("few")).scalar_subquery()
    return select(card.app_id, card.message_id, number.label("number"))


def _lock_targets(database: Database, given: Any, of_event: Any) -> Any:
    here = and_(targets.c.app_id == effects.c.app_id, targets.c.target == effects.c.target)
    asked = ("app_id", "target", "applied_event_id", "applied_index")
    old = and_(idle(database), targets.c.leased_at < cut(database))
    held = select(*(targets.c[name] for name in asked), old.label("idle"))
    held = held.join(effects, here).join(given.table, of_event).order_by(targets.c.app_id, targets.c.target)
    return held.with_for_update(of=targets)
