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

from shared.core.effects import StoredEffect
from shared.core.events import EffectOutcome
from shared.core.folded import (
    Folded,
    FoldedCard,
    FoldedClaim,
    FoldedEffect,
    FoldedFace,
    FoldedLetter,
    FoldedToken,
    RightKey,
)
from shared.core.json_text import EpochMs
from shared.feishu.limits import CALLBACK_DEADLINE_S, CARD_TOKEN_USES
from worker.ledger.decided import REQUEST, ROUTING
from worker.ledger.reads import bytes_of, text_of
from worker.ledger.restored import Changes, Touched
from worker.ledger.sql import Dialect, Given, greatest, insert_given, keys, rows
from worker.ledger.tables import card_tokens, cards, claims, dead_letters, effects, faces

UNREAD: Final = b""
"""What stands for what only an input holds, until that is read."""

UNANSWERED_MS: Final = round(CALLBACK_DEADLINE_S * 1000)

_EFFECT: Final = msgspec.json.Decoder(StoredEffect)
_JSON: Final = msgspec.json.Encoder()

_CLAIM: Final = (
    "delivery_key", "result", "redrive", "handler", "digest", "reason", "partition", "offset", "message_id", "open_id",
    "occurred_at", "late",
)  # fmt: skip
_REDECIDED: Final = ("result", "redrive", "handler", "digest", "reason", "partition", "offset", "late")
_FACE: Final = FoldedFace.__struct_fields__
_PLANNED: Final = (
    "tenant_key", "message_id", "target", "audience", "coalesce", "eligibility", "order", "occurred_at", "decided_at",
)  # fmt: skip
_STANDING: Final = ("target", "status", "k", "attempts", "begun_at", "marked_at", "redriven_at")


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
        self._claims = _Asking.of(dialect, claims, (*_CLAIM, "claimed_at"))
        self._cards = _Asking.of(dialect, cards, ("version", "state", "content", "newest_at", "rules"))
        self._faces = _Asking.of(dialect, faces, _FACE)
        columns = dict.fromkeys((*_PLANNED, *_STANDING, "due", "payload"))
        self._effects = _Asking.of(dialect, effects, columns)
        self._tokens = _Asking.of(dialect, card_tokens, ("uses",))
        self._letters = _Asking.of(
            dialect, dead_letters, ("handler", "reason", "message_id", "parks", "offset", "died_at")
        )
        self._claim = _upsert(dialect, claims, ("claimed_at", *_CLAIM), _REDECIDED)
        self._card = _upsert(dialect, cards, FoldedCard.__struct_fields__, FoldedCard.__struct_fields__)
        self._face = _upsert(dialect, faces, _FACE, _FACE)
        self._plan = _upsert(
            dialect,
            effects,
            (*_PLANNED, *_STANDING[1:], "due", "outcome", "payload", "kind", "received_at", "traceparent"),
        )
        self._stand = _stand(dialect)
        self._token = _tokens(dialect)
        self._letter = _upsert(
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
            known.claims[row.app_id, row.event_id] = _claim(row)
        for row in self._cards.rows(connection, touched.cards):
            known.cards[row.app_id, row.message_id] = _card(row)
        for row in self._faces.rows(connection, touched.faces):
            known.faces[row.app_id, row.message_id] = _face(row)
        # Of what this piece decides first nothing can be there.
        fresh = set(touched.claims) - known.claims.keys()
        for row in self._effects.rows(connection, [key for key in touched.effects if key[:2] not in fresh]):
            found = row._mapping  # noqa: SLF001  (a row's `index` is a method)
            known.effects[found["app_id"], found["event_id"], found["index"]] = _effect(found)
        for row in self._tokens.rows(connection, touched.tokens):
            left = None if not row.uses else CARD_TOKEN_USES - row.uses
            known.tokens[RightKey(row.app_id, row.event_id, row.kind)] = FoldedToken(uses_left=left)
        for row in self._letters.rows(connection, touched.letters):
            known.letters[row.app_id, row.event_id] = _letter(row)
        return known

    def store(self, connection: Connection, changes: Changes) -> None:
        """Write what a piece changes."""
        self._claim(connection, changes.claims, lambda one: (one.decided_at, *(getattr(one, n) for n in _CLAIM)))
        self._card(connection, changes.cards, _card_values)
        self._face(connection, changes.faces, _face_values)
        planned = [
            (*key, *self._planned(one, changes.traceparents.get(key[:2])))
            for key, one in sorted(changes.planned.items())
        ]
        self._plan.write(connection, planned)
        standings = [(*key, *self._standing(one)) for key, one in sorted(changes.standings.items())]
        self._stand[0].execute(connection, self._stand[1], standings)
        tokens = [(*key, UNREAD, 0, _uses(one)) for key, one in sorted(changes.tokens.items())]
        self._token[0].execute(connection, self._token[1], tokens)
        self._letter(connection, changes.letters, _letter_values)
        self._lifted.execute(connection, self._lift, sorted(changes.lifted))

    def _planned(self, one: FoldedEffect, traceparent: str | None) -> tuple[Any, ...]:
        plan = (getattr(one, name) for name in _PLANNED)
        standing = (getattr(one, name) for name in _STANDING[1:])
        outcome = None if one.outcome is None else _JSON.encode(one.outcome)
        kind = type(one.effect).__name__
        payload = _JSON.encode(one.effect)
        return (*plan, *standing, self._due(one), outcome, payload, kind, one.occurred_at, traceparent)

    def _standing(self, one: FoldedEffect) -> tuple[Any, ...]:
        outcome: EffectOutcome | None = one.outcome
        stored = None if outcome is None else _JSON.encode(outcome)
        return (*(getattr(one, name) for name in _STANDING), self._due(one), stored)

    def _due(self, one: FoldedEffect) -> EpochMs:
        """Return when an effect is due, as far as its decision and its outcomes say: a mark may put it forward."""
        if one.outcome is not None:
            return one.decided_at if one.due is None else one.due
        waits = one.eligibility == "after_answer"
        if one.due is not None:
            return max(one.decided_at, one.due + (self._settle_ms if waits else 0))
        return one.decided_at + (UNANSWERED_MS if waits else 0)


class _upsert:  # noqa: N801  (a statement, made once)
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
    changed = (*_STANDING, "due", "outcome")
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


def _claim(row: Any) -> FoldedClaim:
    return FoldedClaim(
        **{name: row._mapping[name] for name in _CLAIM},  # noqa: SLF001  (named so against clashes)
        decided_at=row.claimed_at,
    )


def _card(row: Any) -> FoldedCard:
    return FoldedCard(
        version=row.version,
        state=text_of(row.state),
        content=text_of(row.content),
        newest_at=row.newest_at,
        rules=text_of(row.rules),
    )


def _card_values(card: FoldedCard) -> tuple[Any, ...]:
    return (card.version, bytes_of(card.state), bytes_of(card.content), card.newest_at, bytes_of(card.rules))


def _face(row: Any) -> FoldedFace:
    told = {name: row._mapping[name] for name in _FACE}  # noqa: SLF001  (named so against clashes)
    return FoldedFace(**{**told, "sent": text_of(row.sent)})


def _face_values(face: FoldedFace) -> tuple[Any, ...]:
    return tuple(bytes_of(face.sent) if name == "sent" else getattr(face, name) for name in _FACE)


def _effect(row: Mapping[str, Any]) -> FoldedEffect:
    told = {name: row[name] for name in (*_PLANNED, *_STANDING[1:])}
    return FoldedEffect(**told, due=row["due"], effect=_EFFECT.decode(row["payload"]))


def _letter(row: Any) -> FoldedLetter:
    nobody = row.handler in {REQUEST, ROUTING}
    return FoldedLetter(
        handler=None if nobody else row.handler,
        reason=row.reason,
        message_id=row.message_id,
        parks=row.parks,
        is_request=row.handler == REQUEST,
        offset=row.offset,
        died_at=row.died_at,
    )


def _letter_values(letter: FoldedLetter) -> tuple[Any, ...]:
    handler = letter.handler or (REQUEST if letter.is_request else ROUTING)
    reason = letter.reason or "failed"
    return (handler, reason, letter.message_id, letter.parks, letter.offset, letter.died_at, UNREAD)


def _uses(token: FoldedToken) -> int:
    return 0 if token.uses_left is None else CARD_TOKEN_USES - token.uses_left
