"""How the ledger is doing, for those who watch: a few short questions."""

from typing import Any, Final

from sqlalchemy import BigInteger, Connection, and_, func, literal_column, select

from worker.ledger.decided import HandlerKey
from worker.ledger.engine import Database, in_snapshot
from worker.ledger.sql import greatest
from worker.ledger.tables import PENDING, effects, suspensions, targets
from worker.ledger.targets import Looking
from worker.ledger.watched import Pulse

AGAIN_WITHIN_MS: Final = 65_000
"""Whatever was tried in vain is tried again within a minute, unless the platform itself asked for a longer rest."""

LOOKED_AT: Final = 1_000
"""So many targets are looked at, those that are due next: with more of them in trouble, they are as old as the rest."""

OWN_TIME: Final = ("Call", "Remind")
"""They take as long as somebody wanted, and no platform is asked."""


class Pulses:
    """The question."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = select(database.now)
        self._looking = Looking(database)
        self._tried = tried(database)
        names = (suspensions.c.app_id, suspensions.c.handler)
        self._suspended = select(*names).where(suspensions.c.until > database.now).order_by(*names)

    @in_snapshot
    def pulse(self, connection: Connection) -> Pulse:
        return Pulse(
            now=int(connection.execute(self._now).scalar_one()),
            next_due=self._looking.run(connection),
            tried_since=connection.execute(self._tried).scalar_one(),
            suspended=[HandlerKey(row.app_id, row.handler) for row in connection.execute(self._suspended)],
        )


def tried(database: Database) -> Any:
    """
    Return the question since when the longest waiting effect is wanted that was tried in vain.

    By the index of what is due, so that a thousand reminders of next week cost nothing, and that of what is pending.
    """
    zero, within = literal_column("0", BigInteger()), literal_column(str(AGAIN_WITHIN_MS), BigInteger())
    soon = (
        select(targets.c.app_id, targets.c.target)
        .where(targets.c.due.is_not(None), targets.c.due <= database.now + within)
        .order_by(targets.c.due)
        .limit(LOOKED_AT)
        .subquery("soon")
    )
    wanted_at = greatest(
        effects.c.decided_at,
        func.coalesce(effects.c.marked_at, zero),
        func.coalesce(effects.c.redriven_at, zero),
    )
    of_one = and_(effects.c.target == soon.c.target, effects.c.app_id == soon.c.app_id, effects.c.status == PENDING)
    return (
        select(func.min(wanted_at))
        .select_from(soon.join(effects, of_one))
        .where(effects.c.k > zero, effects.c.kind.not_in(OWN_TIME))
    )
