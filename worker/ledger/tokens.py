"""
What callbacks gave the right to: written with the decision, counted before each call.

Only effects that began with its own event use a token, and they have one target, so whoever changes it holds that
target.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, select, update

from shared.core.folded import RightKey
from shared.core.secret import Secret
from shared.feishu.limits import CARD_TOKEN_USES
from worker.ledger.engine import Database, in_snapshot
from worker.ledger.leased import GivenRight
from worker.ledger.sql import insert_given, keys, rows
from worker.ledger.tables import Key, card_tokens

_COLUMNS: Final = tuple(each.name for each in card_tokens.c)


class Tokens:
    """The table of tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._rows = rows(dialect, **{each.name: each.type for each in card_tokens.c})
        # A token that is there already has its uses counted.
        self._insert = insert_given(dialect, card_tokens, self._rows, _COLUMNS).on_conflict_do_nothing()
        self._keys = keys(dialect, app_id=Key, event_id=Key, kind=Key)
        given, stored = self._keys.table.c, card_tokens.c
        here = and_(stored.app_id == given.app_id, stored.event_id == given.event_id, stored.kind == given.kind)
        self._find = select(*stored).join(self._keys.table, here)
        left = update(card_tokens).where(here, stored.uses < CARD_TOKEN_USES).values(uses=stored.uses + 1)
        self._use = left.returning(stored.app_id, stored.event_id, stored.kind, stored.uses)
        self._give_back = update(card_tokens).where(here, stored.uses > 0).values(uses=stored.uses - 1)

    @in_snapshot
    def tokens(self, connection: Connection, wanted: Iterable[RightKey]) -> Mapping[RightKey, GivenRight]:
        found = map(_token, self._keys.fetch(connection, self._find, sorted(wanted)))
        return {token.key: token for token in found}

    def write(self, connection: Connection, tokens: Sequence[GivenRight]) -> None:
        """Store tokens, in key order."""
        values = [(*token.key, token.token.reveal().encode(), token.received_at, token.uses) for token in tokens]
        self._rows.execute(connection, self._insert, sorted(values, key=lambda row: tuple(row[:3])))

    def use(self, connection: Connection, wanted: Iterable[RightKey]) -> Mapping[RightKey, int]:
        """Count one use of each that has one left, and return how many are left then."""
        used = self._keys.fetch(connection, self._use, sorted(wanted))
        return {RightKey(row.app_id, row.event_id, row.kind): CARD_TOKEN_USES - row.uses for row in used}

    def give_back(self, connection: Connection, unused: Iterable[RightKey]) -> None:
        """Take a counted use of each back."""
        self._keys.execute(connection, self._give_back, sorted(unused))


def _token(row: Any) -> GivenRight:
    return GivenRight(
        key=RightKey(row.app_id, row.event_id, row.kind),
        token=Secret(row.token.decode()),
        received_at=row.received_at,
        uses=row.uses,
    )
