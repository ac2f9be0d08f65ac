"""
One card's story, read: see `worker.history.card_history`.

Contents, states and interactions are not even selected.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, func, select

from shared.core.events import EffectOutcome
from shared.core.ids import AppId, MessageId, Target
from shared.core.json_text import EpochMs
from shared.core.races import read_standings
from shared.feishu.limits import CARD_TOKEN_USES, CARD_TOKEN_VALID_MS
from worker.history.card_history import (
    CLICKS,
    Buried,
    CardEffect,
    CardHistory,
    CardInput,
    Standing,
    Suspended,
    UsesLeft,
)
from worker.ledger.decided import EVERY_APP, ClaimKey
from worker.ledger.engine import Database, in_snapshot
from worker.ledger.reads import text_of
from worker.ledger.sql import keys
from worker.ledger.tables import (
    Key,
    budgets,
    card_tokens,
    cards,
    claims,
    dead_letters,
    effects,
    faces,
    suspensions,
    targets,
)

_OUTCOME: Final = msgspec.json.Decoder(EffectOutcome)
_FACE: Final = ("chat_id", "sent_at", "card_format", "successor")
_INPUT: Final = (
    "event_id", "occurred_at", "open_id", "handler", "result", "reason", "late", "redrive", "partition", "offset",
)  # fmt: skip
_EFFECT: Final = (
    "event_id", "index", "kind", "target", "audience", "eligibility", "status", "k", "attempts", "due", "decided_at",
    "marked_at", "outcome",
)  # fmt: skip


class Histories:
    """The questions about one card."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inputs_of = keys(database.dialect, app_id=Key, event_id=Key)
        given = self._inputs_of.table.c
        self._effects = (
            select(*(effects.c[name] for name in _EFFECT))
            .join(self._inputs_of.table, and_(effects.c.app_id == given.app_id, effects.c.event_id == given.event_id))
            .order_by(effects.c.order, effects.c.event_id, effects.c.index)
        )
        self._letters = select(
            dead_letters.c.event_id,
            dead_letters.c.handler,
            dead_letters.c.reason,
            dead_letters.c.died_at,
            dead_letters.c.parks,
        ).join(
            self._inputs_of.table,
            and_(dead_letters.c.app_id == given.app_id, dead_letters.c.event_id == given.event_id),
        )
        same = and_(card_tokens.c.app_id == given.app_id, card_tokens.c.event_id == given.event_id)
        self._tokens = select(
            card_tokens.c.event_id, card_tokens.c.kind, card_tokens.c.received_at, card_tokens.c.uses
        ).join(self._inputs_of.table, same)
        self._targets_of = keys(database.dialect, app_id=Key, target=Key)
        target = self._targets_of.table.c
        self._standings = select(targets.c.target, targets.c.until, targets.c.paced_until).join(
            self._targets_of.table, and_(targets.c.app_id == target.app_id, targets.c.target == target.target)
        )

    @in_snapshot
    def of_card(
        self, connection: Connection, message_id: MessageId, *, app_id: AppId | None = None, limit: int = CLICKS
    ) -> Sequence[CardHistory]:
        """
        Return a card's story, of each app that knows the card; none if nobody does.

        Args:
            app_id: Only this app's.
            limit: How many of its inputs are told, newest first.
        """
        of = list(self._apps(connection)) if app_id is None else [app_id]
        found = (self._history(connection, app, message_id, limit) for app in of)
        return [history for history in found if history is not None]

    def _apps(self, connection: Connection) -> Iterator[AppId]:
        """Go from one app to the next by the key's first column, instead of through all rows."""
        known: set[AppId] = set()
        for table in (claims, faces):
            following = select(func.min(table.c.app_id)).where(table.c.app_id > bindparam("last", type_=Key))
            last = connection.execute(select(func.min(table.c.app_id))).scalar()
            while last is not None:
                known.add(AppId(last))
                last = connection.execute(following, {"last": last}).scalar()
        yield from sorted(known)

    def _history(self, connection: Connection, app_id: AppId, message_id: MessageId, limit: int) -> CardHistory | None:
        about = and_(claims.c.app_id == app_id, claims.c.message_id == message_id)
        total = connection.execute(select(func.count()).select_from(claims).where(about)).scalar_one()
        here = and_(cards.c.app_id == app_id, cards.c.message_id == message_id)
        card = connection.execute(select(cards.c.version, cards.c.rules).where(here)).first()
        shown = and_(faces.c.app_id == app_id, faces.c.message_id == message_id)
        face = connection.execute(select(*(faces.c[name] for name in _FACE)).where(shown)).first()
        if not total and card is None and face is None:
            return None
        inputs = self._inputs(connection, about, limit)
        wanted = sorted(ClaimKey(app_id, one.event_id) for one in inputs)
        done = [_effect(row) for row in self._inputs_of.fetch(connection, self._effects, wanted)]
        now = int(connection.execute(select(self._database.now)).scalar_one())
        return CardHistory(
            app_id=app_id,
            message_id=message_id,
            now=now,
            version=card.version if card else 0,
            races=read_standings(text_of(card.rules)) if card else {},
            chat_id=face.chat_id if face else None,
            sent_at=face.sent_at if face else None,
            card_format=face.card_format if face else None,
            successor=face.successor if face else None,
            inputs=inputs,
            older=total - len(inputs),
            effects=done,
            letters=[Buried(**row._mapping) for row in self._inputs_of.fetch(connection, self._letters, wanted)],  # noqa: SLF001  (named so against clashes)
            tokens=[
                UsesLeft(
                    event_id=row.event_id,
                    kind=row.kind,
                    uses_left=max(0, CARD_TOKEN_USES - row.uses),
                    until=row.received_at + CARD_TOKEN_VALID_MS,
                )
                for row in self._inputs_of.fetch(connection, self._tokens, wanted)
                if now < row.received_at + CARD_TOKEN_VALID_MS
            ],
            standings=self._standings_of(connection, app_id, done),
            silent_until=_silent(connection, app_id, now),
            suspended=_suspended(connection, app_id, inputs, now),
        )

    def _inputs(self, connection: Connection, about: Any, limit: int) -> list[CardInput]:
        asked = select(*(claims.c[name] for name in _INPUT), claims.c.claimed_at).where(about)
        newest = asked.order_by(claims.c.partition.desc(), claims.c.offset.desc()).limit(limit)
        return [_input(row) for row in reversed(connection.execute(newest).mappings().all())]

    def _standings_of(
        self, connection: Connection, app_id: AppId, done: Sequence[CardEffect]
    ) -> Mapping[Target, Standing]:
        wanted = sorted({(app_id, effect.target) for effect in done if effect.status == "pending"})
        found = self._targets_of.fetch(connection, self._standings, wanted)
        return {row.target: Standing(leased_until=row.until, paced_until=row.paced_until) for row in found}


def _input(row: Any) -> CardInput:
    told = {name: row[name] for name in _INPUT}
    return CardInput(**{**told, "late": bool(row["late"])}, decided_at=row["claimed_at"])


def _effect(row: Any) -> CardEffect:
    told = dict(row._mapping)  # noqa: SLF001  (named so against clashes)
    stored = told.pop("outcome")
    return CardEffect(**told, outcome=None if stored is None else _OUTCOME.decode(stored))


def _silent(connection: Connection, app_id: AppId, now: EpochMs) -> Mapping[str, EpochMs]:
    asked = select(budgets.c.api, func.max(budgets.c.blocked_us).label("blocked_us")).where(budgets.c.app_id == app_id)
    found = connection.execute(asked.group_by(budgets.c.api)).all()
    return {row.api: row.blocked_us // 1000 for row in found if row.blocked_us > now * 1000}


def _suspended(connection: Connection, app_id: AppId, inputs: Sequence[CardInput], now: EpochMs) -> Sequence[Suspended]:
    names = {one.handler for one in inputs if one.handler is not None}
    whose = suspensions.c.app_id.in_([EVERY_APP, app_id])
    asked = select(suspensions.c.handler, suspensions.c.until).where(whose, suspensions.c.until > now)
    standing = connection.execute(asked.order_by(suspensions.c.until))
    return [Suspended(handler=row.handler, until=row.until) for row in standing if row.handler in names]
