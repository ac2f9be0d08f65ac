"""
A rebuild's first stage in the database: rows as the fold knows them, read and written back piece by piece.

What only inputs hold is left open: a dead letter says nothing yet, a right has no token, and what needs one of them is
found by that. An effect's `received_at` is its click's own time until then.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, and_, delete, select, tuple_, update

from shared.core.eligibility import wait_ms
from shared.core.events import EffectOutcome
from shared.core.folded import Folded, FoldedCard, FoldedEffect, FoldedToken, RightKey
from shared.core.json_text import EpochMs
from shared.feishu.limits import CARD_TOKEN_USES
from worker.ledger.restored import Changes, Touched
from worker.ledger.restoring_rows import (
    CLAIM,
    FACE,
    PLANNED,
    STANDING,
    UNREAD,
    card_of,
    card_values,
    claim_of,
    effect_of,
    face_of,
    face_values,
    letter_of,
    letter_values,
    uses,
)
from worker.ledger.sql import Dialect, Given, greatest, insert_given, keys, rows
from worker.ledger.tables import card_tokens, cards, claims, dead_letters, effects, faces

_JSON: Final = msgspec.json.Encoder()

_REDECIDED: Final = ("claimed_at", "result", "redrive", "handler", "digest", "reason", "partition", "offset", "late")


@dataclass(frozen=True, slots=True)
class _Asking:
    """A question for rows by their keys."""

    given: Given
    statement: Any

    @classmethod
    def of(cls, dialect: Dialect, table: Table, columns: Iterable[str]) -> "_Asking":
        key = list(table.primary_key.columns)
        given = keys(dialect, **{each.name: each.type for each in key})
        here = and_(*(each == given.table.c[each.name] for each in key))
        return cls(given, select(*key, *(table.c[name] for name in columns)).join(given.table, here))

    def rows(self, connection: Connection, wanted: Collection[tuple[Any, ...]]) -> list[Any]:
        return self.given.fetch(connection, self.statement, sorted(wanted)) if wanted else []


class Folds:
    """Rows of a fold, in the database."""

    def __init__(self, dialect: Dialect, *, settle_ms: int) -> None:
        self._settle_ms = settle_ms
        self._claims = _Asking.of(dialect, claims, (*CLAIM, "claimed_at"))
        self._cards = _Asking.of(dialect, cards, ("version", "state", "content", "newest_at", "rules"))
        self._faces = _Asking.of(dialect, faces, FACE)
        columns = dict.fromkeys((*PLANNED, *STANDING, "due", "payload"))
        self._effects = _Asking.of(dialect, effects, columns)
        self._tokens = _Asking.of(dialect, card_tokens, ("uses",))
        self._letters = _Asking.of(
            dialect, dead_letters, ("handler", "reason", "message_id", "parks", "offset", "died_at")
        )
        self._claim = _Upsert(dialect, claims, ("claimed_at", *CLAIM), _REDECIDED)
        self._card = _Upsert(dialect, cards, FoldedCard.__struct_fields__, FoldedCard.__struct_fields__)
        self._face = _Upsert(dialect, faces, FACE, FACE)
        self._plan = _Upsert(
            dialect,
            effects,
            (*PLANNED, *STANDING[1:], "due", "outcome", "payload", "kind", "received_at", "traceparent"),
        )
        self._stand = _stand(dialect)
        self._token = _tokens(dialect)
        self._letter = _Upsert(
            dialect,
            dead_letters,
            ("handler", "reason", "message_id", "parks", "offset", "died_at", "interaction"),
            ("handler", "reason", "parks"),
        )
        self._lifted = keys(dialect, app_id=dead_letters.c.app_id.type, event_id=dead_letters.c.event_id.type)
        gone = select(self._lifted.table.c.app_id, self._lifted.table.c.event_id)
        self._lift = delete(dead_letters).where(tuple_(dead_letters.c.app_id, dead_letters.c.event_id).in_(gone))

    def known(self, connection: Connection, touched: Touched) -> Folded:
        """Return the rows that there are."""
        known = Folded()
        for row in self._claims.rows(connection, touched.claims):
            known.claims[row.app_id, row.event_id] = claim_of(row)
        for row in self._cards.rows(connection, touched.cards):
            known.cards[row.app_id, row.message_id] = card_of(row)
        for row in self._faces.rows(connection, touched.faces):
            known.faces[row.app_id, row.message_id] = face_of(row)
        # Of what this piece decides first nothing can be there.
        fresh = set(touched.claims) - known.claims.keys()
        for row in self._effects.rows(connection, [key for key in touched.effects if key[:2] not in fresh]):
            found = row._mapping  # noqa: SLF001  (a row's `index` is a method)
            known.effects[found["app_id"], found["event_id"], found["index"]] = effect_of(found)
        for row in self._tokens.rows(connection, touched.tokens):
            left = None if not row.uses else CARD_TOKEN_USES - row.uses
            known.tokens[RightKey(row.app_id, row.event_id, row.kind)] = FoldedToken(uses_left=left)
        for row in self._letters.rows(connection, touched.letters):
            known.letters[row.app_id, row.event_id] = letter_of(row)
        return known

    def store(self, connection: Connection, changes: Changes) -> None:
        """Write what a piece changes."""
        self._claim(connection, changes.claims, lambda one: (one.decided_at, *(getattr(one, n) for n in CLAIM)))
        self._card(connection, changes.cards, card_values)
        self._face(connection, changes.faces, face_values)
        planned = [
            (*key, *self._planned(one, changes.traceparents.get(key[:2])))
            for key, one in sorted(changes.planned.items())
        ]
        self._plan.write(connection, planned)
        standings = [(*key, *self._standing(one)) for key, one in sorted(changes.standings.items())]
        self._stand[0].execute(connection, self._stand[1], standings)
        tokens = [(*key, UNREAD, 0, uses(one)) for key, one in sorted(changes.tokens.items())]
        self._token[0].execute(connection, self._token[1], tokens)
        self._letter(connection, changes.letters, letter_values)
        self._lifted.execute(connection, self._lift, sorted(changes.lifted))

    def _planned(self, one: FoldedEffect, traceparent: str | None) -> tuple[Any, ...]:
        plan = (getattr(one, name) for name in PLANNED)
        standing = (getattr(one, name) for name in STANDING[1:])
        outcome = None if one.outcome is None else _JSON.encode(one.outcome)
        kind = type(one.effect).__name__
        payload = _JSON.encode(one.effect)
        return (*plan, *standing, self._due(one), outcome, payload, kind, one.occurred_at, traceparent)

    def _standing(self, one: FoldedEffect) -> tuple[Any, ...]:
        outcome: EffectOutcome | None = one.outcome
        stored = None if outcome is None else _JSON.encode(outcome)
        return (*(getattr(one, name) for name in STANDING), self._due(one), stored)

    def _due(self, one: FoldedEffect) -> EpochMs:
        """Return when an effect is due, as far as its decision and its outcomes say: a mark may put it forward."""
        if one.outcome is not None:
            return one.decided_at if one.due is None else one.due
        return one.decided_at + wait_ms(one, since=one.decided_at, delivered=None, settle_ms=self._settle_ms)


class _Upsert:
    """Inserts rows, and of those that are there changes some columns."""

    def __init__(self, dialect: Dialect, table: Table, columns: Collection[str], changed: Collection[str] = ()) -> None:
        key = [each.name for each in table.primary_key.columns]
        names = [*key, *columns]
        self._given = rows(dialect, **{name: table.c[name].type for name in names})
        insert = insert_given(dialect, table, self._given, names)
        values = {name: insert.excluded[name] for name in changed}
        self._statement = insert.on_conflict_do_update(index_elements=key, set_=values) if values else insert

    def __call__(self, connection: Connection, of: Mapping[Any, Any], values: Callable[[Any], tuple[Any, ...]]) -> None:
        self.write(connection, [(*key, *values(row)) for key, row in sorted(of.items(), key=lambda one: one[0])])

    def write(self, connection: Connection, values: list[tuple[Any, ...]]) -> None:
        self._given.execute(connection, self._statement, values)


def _stand(dialect: Dialect) -> tuple[Given, Any]:
    key = [each.name for each in effects.primary_key.columns]
    changed = (*STANDING, "due", "outcome")
    given = rows(dialect, **{name: effects.c[name].type for name in (*key, *changed)})
    here = and_(*(effects.c[name] == given.table.c[name] for name in key))
    return given, update(effects).where(here).values({name: given.table.c[name] for name in changed})


def _tokens(dialect: Dialect) -> tuple[Given, Any]:
    names = [each.name for each in card_tokens.c]
    given = rows(dialect, **{each.name: each.type for each in card_tokens.c})
    insert = insert_given(dialect, card_tokens, given, names)
    uses = greatest(card_tokens.c.uses, insert.excluded.uses)
    key = ["app_id", "event_id", "kind"]
    return given, insert.on_conflict_do_update(index_elements=key, set_={"uses": uses})
