"""
Effects as a pump sees them, and what was performed since one that is tried again by hand was decided.

In the pump whatever waits gives way to what is newer. What was given up and is wanted again by hand, or comes of an
input that was, may come back when the newer one was performed long ago.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, String, and_, func, literal_column, or_, select

from shared.core.effects import SetStreaming
from shared.core.events import EFFECTS_PER_DECISION
from shared.core.ids import AppId, MessageId, Target
from shared.core.targets import acts_on
from worker.ledger.leased import Head, TargetKey
from worker.ledger.sql import Dialect, Given, keys
from worker.ledger.tables import Key, claims, effects

HEAD: Final = tuple(
    effects.c[name]
    for name in (
        "app_id", "event_id", "index", "tenant_key", "message_id", "kind", "target", "audience", "coalesce", "order",
        "due", "occurred_at", "received_at", "decided_at", "k", "attempts", "begun_at", "marked_at", "delivered",
        "traceparent", "redriven_at",
    )
)  # fmt: skip
"""What is read of a pending effect: all but its payload."""

SUCCEEDED: Final = "succeeded"


def head(row: Any) -> Head:
    """Return the effect that a row tells of."""
    return Head(**{each.key: value for each, value in zip(HEAD, row, strict=False)})


class Performed:
    """What was performed on the same cards, asked while their targets are leased."""

    def __init__(self, dialect: Dialect) -> None:
        self._tried = keys(dialect, app_id=Key, message_id=Key, target=Key, since=BigInteger())
        self._newest = _performed(self._tried)

    def since(
        self, connection: Connection, heads: Mapping[TargetKey, Sequence[Head]]
    ) -> Mapping[TargetKey, Sequence[Head]]:
        """Return the newest that was performed on each card, or reminder, of which something is tried again by hand."""
        orders: dict[tuple[AppId, MessageId, Target], int] = {}
        for one in (one for of in heads.values() for one in of if one.redriven_at is not None):
            if _gives_way(one) and one.message_id is not None and acts_on(one.target, one.message_id):
                card = one.app_id, one.message_id, one.target
                orders[card] = min(one.order, orders.get(card, one.order))
        found: dict[TargetKey, list[Head]] = {}
        if orders:
            for row in self._tried.fetch(connection, self._newest, sorted((*of, at) for of, at in orders.items())):
                found.setdefault(TargetKey(row.app_id, row.target), []).append(head(row))
        return found


def _gives_way(one: Head) -> bool:
    return one.coalesce is not None or one.kind == SetStreaming.__name__


def _performed(given: Given) -> Any:
    """Return the newest that was performed of each audience and key; found by the inputs about the card."""
    card = given.table.c
    about = and_(claims.c.app_id == card.app_id, claims.c.message_id == card.message_id)
    # Two keys in the index, then an input's effects by their own: no index on what was performed is kept for this.
    # Told that the card's app is the effect's, too, SQLite begins with all effects of the app.
    app_id = func.coalesce(claims.c.app_id, literal_column("''", String()))
    of_input = and_(effects.c.app_id == app_id, effects.c.event_id == claims.c.event_id)
    gives_way = or_(effects.c.coalesce.is_not(None), effects.c.kind == SetStreaming.__name__)
    newer = and_(effects.c.target == card.target, effects.c.order > card.since, gives_way)
    apart = (effects.c.app_id, effects.c.target, effects.c.audience, effects.c.coalesce)
    number = func.row_number().over(partition_by=apart, order_by=effects.c.order.desc())
    numbered = (
        select(*HEAD, number.label("number"))
        .select_from(given.table)
        .join(claims, and_(about, (claims.c.offset + 1) * EFFECTS_PER_DECISION > card.since))
        .join(effects, and_(of_input, newer, effects.c.status == SUCCEEDED))
        .subquery("numbered")
    )
    return select(numbered).where(numbered.c.number == 1)
