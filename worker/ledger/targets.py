"""
When a target is due: woken by new work, and looked at again when a pump lets go of it.

No wake-up is lost. Whoever stores work for a target locks the target *before* storing it; a pump that lets go locks
the target, and only then, in another statement, looks for work. So one of the two always sees the other's.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, String, and_, case, func, literal_column, null, select, update

from shared.core.json_text import EpochMs
from worker.ledger.engine import Database
from worker.ledger.leased import Applied, Settlement, TargetKey
from worker.ledger.sql import earliest, greatest, insert_given, keys
from worker.ledger.tables import HELD, PENDING, Key, effects, targets

_ZERO: Final = literal_column("0", Integer())
_NOBODY: Final = {"owner": literal_column("''", String()), "until": _ZERO, "leased_at": _ZERO, "paced_until": _ZERO}
_CLEAR: Final = -1


class Waking:
    """Makes targets due at a time, or earlier if they are already; one that is new is made."""

    def __init__(self, database: Database) -> None:
        self._given = keys(database.dialect, app_id=Key, target=Key, due=BigInteger())
        insert = insert_given(database.dialect, targets, self._given, ["app_id", "target", "due"], **_NOBODY)
        due = greatest(targets.c.paced_until, earliest(targets.c.due, insert.excluded.due))
        self._wake = insert.on_conflict_do_update(index_elements=["app_id", "target"], set_={"due": due})

    def run(self, connection: Connection, due: Mapping[TargetKey, EpochMs]) -> None:
        """Wake targets, in key order."""
        self._given.execute(connection, self._wake, [(*key, at) for key, at in sorted(due.items())])


class Resuming:
    """Makes targets due that were put off, and that nobody holds."""

    def __init__(self, database: Database) -> None:
        self._given = keys(database.dialect, app_id=Key, target=Key)
        row = self._given.table.c
        held = (
            select(targets.c.app_id, targets.c.target)
            .join(self._given.table, and_(targets.c.app_id == row.app_id, targets.c.target == row.target))
            .where(targets.c.until <= database.now)
            .with_for_update(of=targets, skip_locked=True)
            .subquery("held")
        )
        here = and_(targets.c.app_id == held.c.app_id, targets.c.target == held.c.target)
        resumed = update(targets).where(here, targets.c.due > database.now)
        self._resume = resumed.values(due=database.now, paced_until=_ZERO)

    def run(self, connection: Connection, wanted: Collection[TargetKey]) -> None:
        """Make them due. They are not waited for, so their order does not matter."""
        self._given.execute(connection, self._resume, sorted(wanted))


class Making:
    """
    Makes targets that nothing waits for yet, where there are none.

    Each is as good as used just now, also one that is there: what is about to be used must not go for its age.
    """

    def __init__(self, database: Database) -> None:
        self._given = keys(database.dialect, app_id=Key, target=Key)
        new = {**_NOBODY, "leased_at": database.now, "paced_until": database.now}
        insert = insert_given(database.dialect, targets, self._given, ["app_id", "target"], **new)
        paced = greatest(targets.c.paced_until, insert.excluded.paced_until)
        self._make = insert.on_conflict_do_update(index_elements=["app_id", "target"], set_={"paced_until": paced})

    def run(self, connection: Connection, wanted: Collection[TargetKey]) -> None:
        """Make targets, in key order."""
        self._given.execute(connection, self._make, sorted(wanted))


class Releasing:
    """Lets go of targets that are locked: due when their earliest work is, nobody's."""

    def __init__(self, database: Database) -> None:
        self._given = keys(
            database.dialect,
            app_id=Key,
            target=Key,
            pace_ms=BigInteger(),
            resend_ms=BigInteger(),
            applied_occurred_at=BigInteger(),
            applied_order=BigInteger(),
            applied_event_id=Key,
            applied_index=Integer(),
            called=Integer(),
        )
        row = self._given.table.c
        work = and_(effects.c.app_id == row.app_id, effects.c.target == row.target, effects.c.status == PENDING)
        # Grouped, so that the work of a busy target is gone through once.
        look = (
            select(*row, func.min(effects.c.due).label("work"))
            .select_from(self._given.table.outerjoin(effects, work))
            .group_by(*row)
            .subquery("look")
        )
        here = and_(targets.c.app_id == look.c.app_id, targets.c.target == look.c.target)
        self._release = update(targets).where(here).values(**_released(look.c, database.now))

    def run(self, connection: Connection, let_go: list[tuple[Any, ...]]) -> None:
        """Let go of targets; see `unchanged` and `settled` for the rows."""
        self._given.execute(connection, self._release, let_go)


class Looking:
    """Looks when the next target is due that is free, or will be when its lease ends."""

    def __init__(self, database: Database) -> None:
        waits = targets.c.due.is_not(None)
        free = select(targets.c.due).where(waits, targets.c.until <= database.now).order_by(targets.c.due).limit(1)
        ends = func.min(greatest(targets.c.until, targets.c.due))
        held = select(ends).where(waits, HELD, targets.c.until > database.now)
        self._look = select(free.scalar_subquery(), held.scalar_subquery())

    def run(self, connection: Connection) -> EpochMs | None:
        """Return the time (ms), or ``None`` if nothing is due ever."""
        found = connection.execute(self._look).one()
        return min((at for at in found if at is not None), default=None)


def unchanged(key: TargetKey) -> tuple[Any, ...]:
    """Return the row that lets go of a target of which nothing was done."""
    return (*key, 0, None, None, None, None, None, 0)


def settled(settlement: Settlement) -> tuple[Any, ...]:
    """Return the row that lets go of a target as a pump settled it."""
    called = int(settlement.called)
    return (*settlement.key, settlement.pace_ms, _resend_ms(settlement), *_applied(settlement.applied), called)


def _resend_ms(settlement: Settlement) -> int | None:
    match settlement.resend:
        case "keep":
            return None
        case "clear":
            return _CLEAR
        case int(after_ms):
            return after_ms


def _applied(applied: Applied | None) -> tuple[Any, ...]:
    if applied is None:
        return (None, None, None, None)
    return (applied.occurred_at, applied.order, applied.event_id, applied.index)


def _released(look: Any, now: Any) -> dict[str, Any]:
    is_applied = look.applied_event_id.is_not(None)
    applied = {
        name: case((is_applied, look[name]), else_=targets.c[name])
        for name in ("applied_occurred_at", "applied_order", "applied_event_id", "applied_index")
    }
    # A wish that came after this lease began is not fulfilled by what was sent under it.
    fulfilled = and_(look.resend_ms == _CLEAR, targets.c.resend_at <= targets.c.leased_at)
    resend_at = case((fulfilled, null()), (look.resend_ms >= 0, now + look.resend_ms), else_=targets.c.resend_at)
    # The wish sleeps while nothing is known to send again: then the newest state is still pending.
    wish = case((applied["applied_event_id"].is_not(None), resend_at), else_=null())
    work = earliest(look.work, wish)
    paced_until = case(
        (look.pace_ms > 0, greatest(targets.c.paced_until, now + look.pace_ms)), else_=targets.c.paced_until
    )
    return {
        **applied,
        "resend_at": resend_at,
        "called_at": case((look.called == 1, now), else_=targets.c.called_at),
        "paced_until": paced_until,
        "due": case((work < paced_until, paced_until), else_=work),
        "owner": _NOBODY["owner"],
        "until": _ZERO,
    }
