"""What waits, for people: effects that should have been performed a while ago, with what came of the last attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Connection, bindparam, func, literal_column, or_, select

from shared.core.events import EffectOutcome
from shared.core.ids import AppId, EventId, MessageId, Target
from shared.core.json_text import EpochMs
from worker.ledger.engine import Database, in_snapshot
from worker.ledger.sql import greatest
from worker.ledger.tables import PENDING, effects

_OUTCOME: Final = msgspec.json.Decoder(EffectOutcome)
_NAMES: Final = ("app_id", "event_id", "index", "kind", "target", "message_id", "k", "due")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEffect:
    """
    An effect that waits.

    Attributes:
        k: How many outcomes it has had, each a failed attempt.
        due: When it is tried next, at the earliest, and `wanted_at` since when it is wanted (ms).
        outcome: What came of the last attempt; ``None``: it was never tried.
    """

    app_id: AppId
    event_id: EventId
    index: int
    kind: str
    target: Target
    message_id: MessageId | None
    k: int
    due: EpochMs
    wanted_at: EpochMs
    outcome: EffectOutcome | None


class Pendings:
    """The question."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = select(database.now)
        zero = literal_column("0", BigInteger())
        wanted_at = greatest(
            effects.c.decided_at,
            func.coalesce(effects.c.marked_at, zero),
            func.coalesce(effects.c.redriven_at, zero),
        )
        self._waiting = (
            select(*(effects.c[name] for name in _NAMES), effects.c.outcome, wanted_at.label("wanted_at"))
            .where(effects.c.status == PENDING, or_(effects.c.k > zero, effects.c.due <= database.now))
            .where(wanted_at <= database.now - bindparam("ms", type_=BigInteger()), effects.c.kind != "Remind")
            .order_by(literal_column("wanted_at"), effects.c.app_id, effects.c.event_id, effects.c.index)
            .limit(bindparam("most", type_=BigInteger()))
        )

    @in_snapshot
    def waiting(self, connection: Connection, *, for_ms: int, limit: int) -> tuple[EpochMs, Sequence[PendingEffect]]:
        """Return the ledger's time, and what has waited for so long, longest first; reminders are not meant."""
        now = int(connection.execute(self._now).scalar_one())
        found = connection.execute(self._waiting, {"ms": for_ms, "most": limit}).mappings()
        return now, [_pending(dict(row)) for row in found]


def _pending(row: dict[str, Any]) -> PendingEffect:
    stored = row.pop("outcome")
    return PendingEffect(**row, outcome=None if stored is None else _OUTCOME.decode(stored))
