"""
A rebuild's second stage in the database: what only inputs hold joins what was decided about them.

When a click was received and answered, what a failed input says, the rights that callbacks gave; and where an input
lies, if the log was moved since it was decided.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Integer,
    LargeBinary,
    String,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    update,
)

from shared.core.effects import ANSWERED_CARD
from shared.core.eligibility import marked_ms
from shared.core.events import EFFECTS_PER_DECISION
from shared.core.folded import EventKey
from shared.core.ids import AppId, DeliveryKey
from worker.ledger.restored import Decision, Decisions, Found, Heard, Place
from worker.ledger.sql import Dialect, Given, keys, rows
from worker.ledger.tables import PENDING, Key, card_tokens, claims, dead_letters, effects
from worker.ledger.writes import RETURNING, app_values, due_by_mark, first_answers, newest_of_apps

_TIMING: Final = ("CancelReminder", "Remind")
_ZERO: Final = literal_column("0", Integer())


class Inputs:
    """Inputs, and what was decided about them."""

    def __init__(self, dialect: Dialect, *, settle_ms: int) -> None:
        self._events = keys(dialect, app_id=Key, event_id=Key)
        event = self._events.table.c
        claimed = and_(claims.c.app_id == event.app_id, claims.c.event_id == event.event_id)
        asked = ("app_id", "event_id", "result", "redrive", "partition", "offset")
        self._claims = select(*(claims.c[name] for name in asked)).join(self._events.table, claimed)
        delivered = and_(claims.c.app_id == event.app_id, claims.c.delivery_key == event.event_id)
        self._deliveries = select(claims.c.app_id, claims.c.delivery_key).join(self._events.table, delivered)
        of_event = and_(effects.c.app_id == event.app_id, effects.c.event_id == event.event_id)
        returning = select(effects.c.app_id, effects.c.event_id).join(self._events.table, of_event)
        self._returning = returning.where(effects.c.kind.in_(sorted(RETURNING))).distinct()
        self._settle_ms = settle_ms
        self._heard, self._hear = _heard(dialect)
        self._answered, self._answer = first_answers(dialect)
        self._letters, self._fill = _letters(dialect)
        self._rights, self._give = _rights(dialect)
        self._homes, self._house, self._reorder = _homes(dialect)
        self._apps, self._of_app = newest_of_apps(dialect)

    def decisions(
        self,
        connection: Connection,
        events: Collection[EventKey],
        deliveries: Collection[tuple[AppId, DeliveryKey]],
        marked: Collection[EventKey],
    ) -> Decisions:
        """Return what was decided of inputs; of those ``marked``, which have work that comes back."""
        found = self._events.fetch(connection, self._claims, sorted(events))
        by_event = {
            (row.app_id, row.event_id): Decision(
                result=row.result, redrive=row.redrive, place=Place(row.partition, row.offset)
            )
            for row in found
        }
        delivered = self._events.fetch(connection, self._deliveries, sorted(deliveries)) if deliveries else []
        returning = self._events.fetch(connection, self._returning, sorted(marked)) if marked else []
        return Decisions(
            by_event=by_event,
            deliveries=frozenset((row.app_id, row.delivery_key) for row in delivered),
            returning=frozenset((row.app_id, row.event_id) for row in returning),
        )

    def add(self, connection: Connection, found: Found) -> None:
        """Write what a piece of inputs adds."""
        self._move(connection, found)
        heard = [(*key, *_told(one, self._settle_ms)) for key, one in sorted(found.heard.items())]
        self._heard.execute(connection, self._hear, heard)
        self._answered.execute(connection, self._answer, [(*key, at) for key, at in sorted(found.answered.items())])
        letters = [(*key, one.interaction, one.kind, one.offset) for key, one in sorted(found.letters.items())]
        self._letters.execute(connection, self._fill, letters)
        rights = [(*key, one.token.reveal().encode(), one.received_at) for key, one in sorted(found.rights.items())]
        self._rights.execute(connection, self._give, rights)
        self._apps.execute(connection, self._of_app, app_values(found.new_style_at, found.tickets))

    def _move(self, connection: Connection, found: Found) -> None:
        homes = [(*key, *place) for key, place in sorted({**found.homes, **found.redriven}.items())]
        if homes:
            self._homes.execute(connection, self._house, homes)
        for of, kinds in ((found.homes, "all"), (found.redriven, "rest"), (found.timings, "timing")):
            if of:
                values = [(*key, *place) for key, place in sorted(of.items())]
                self._homes.execute(connection, self._reorder[kinds], values)


def _told(heard: Heard, settle_ms: int) -> tuple[int | bool | None, ...]:
    """Return what effects are told of their event, then when they are due by its mark: the answered card last."""
    at, delivered = heard.answered_at, heard.delivered
    if at is None or delivered is None:
        return heard.received_at, None, None, None, None
    dues = (at + marked_ms(is_answered_card=of, delivered=delivered, settle_ms=settle_ms) for of in (False, True))
    return heard.received_at, at, delivered, *dues


def _heard(dialect: Dialect) -> tuple[Given, Any]:
    """
    Return the statement that tells effects when their click was received and answered.

    A mark counts where it was seen: by an outcome, or by what still waits for it. Of one that is done and was not told
    of a mark, it came too late.
    """
    times = {name: BigInteger() for name in ("received_at", "answered_at")}
    dues = {name: BigInteger() for name in ("due", "card_due")}
    given = rows(dialect, app_id=Key, event_id=Key, **times, delivered=Boolean(), **dues)
    row, old = given.table.c, effects.c
    waits = and_(old.status == PENDING, old.eligibility == _word("after_answer"), old.marked_at.is_(None))
    counts = and_(row.answered_at.is_not(None), or_(waits, and_(old.marked_at.is_not(None), old.delivered.is_(None))))
    due = due_by_mark(case((old.kind == _word(ANSWERED_CARD), row.card_due), else_=row.due))
    changed = update(effects).where(old.app_id == row.app_id, old.event_id == row.event_id)
    return given, changed.values(
        received_at=func.coalesce(row.received_at, old.received_at),
        due=case((and_(row.answered_at.is_not(None), waits), due), else_=old.due),
        marked_at=case((counts, func.coalesce(old.marked_at, row.answered_at)), else_=old.marked_at),
        delivered=case((counts, row.delivered), else_=old.delivered),
    )


def _letters(dialect: Dialect) -> tuple[Given, Any]:
    given = rows(dialect, app_id=Key, event_id=Key, interaction=LargeBinary(), kind=String(), offset=BigInteger())
    row, old = given.table.c, dead_letters.c
    open_ = and_(old.app_id == row.app_id, old.event_id == row.event_id, func.length(old.interaction) == _ZERO)
    filled = {name: row[name] for name in ("interaction", "kind", "offset")}
    return given, update(dead_letters).where(open_).values(filled)


def _rights(dialect: Dialect) -> tuple[Given, Any]:
    given = rows(dialect, app_id=Key, event_id=Key, kind=Key, token=LargeBinary(), received_at=BigInteger())
    row, old = given.table.c, card_tokens.c
    open_ = and_(
        old.app_id == row.app_id, old.event_id == row.event_id, old.kind == row.kind, func.length(old.token) == _ZERO
    )
    return given, update(card_tokens).where(open_).values(token=row.token, received_at=row.received_at)


def _homes(dialect: Dialect) -> tuple[Given, Any, Mapping[str, Any]]:
    given = keys(dialect, app_id=Key, event_id=Key, partition=Integer(), offset=BigInteger())
    row = given.table.c
    claimed = and_(claims.c.app_id == row.app_id, claims.c.event_id == row.event_id)
    housed = update(claims).where(claimed).values(partition=row.partition, offset=row.offset)
    order = row.offset * EFFECTS_PER_DECISION + effects.c.order % EFFECTS_PER_DECISION
    of_event = and_(effects.c.app_id == row.app_id, effects.c.event_id == row.event_id)
    timing = effects.c.kind.in_(_TIMING)
    kinds = {"all": of_event, "rest": and_(of_event, ~timing), "timing": and_(of_event, timing)}
    return given, housed, {name: update(effects).where(which).values(order=order) for name, which in kinds.items()}


def _word(text: str) -> Any:
    """Return a text that is written out: a statement that is repeated for each row has no other parameters."""
    return literal_column(f"'{text}'", String())
