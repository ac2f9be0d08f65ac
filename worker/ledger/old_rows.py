"""
Rows that are old by themselves: found by their time, in its order, and deleted by their keys.

A row that somebody holds is passed over: it is in use, and another sweep comes in an hour. So a sweep waits for
nobody's row and no order of locks is crossed.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
)

from worker.ledger.engine import Database
from worker.ledger.kept import Store, Sweep, Swept, place_after
from worker.ledger.sql import greatest, keys
from worker.ledger.tables import (
    IDLE,
    SENT,
    Key,
    budgets,
    card_tokens,
    claims,
    dead_letters,
    faces,
    suspensions,
    targets,
)

BEGINNING: Final = -1
"""A time before all others."""


def cut(database: Database) -> ColumnElement[int]:
    """Return the time before which a row is old."""
    return database.now - bindparam("older_than_ms", type_=BigInteger())


def oldest_first(database: Database, of: Table, at: Any, *where: ColumnElement[bool]) -> Select[Any]:
    """Return the question for old rows behind a place: time, key, in their order; see `behind`."""
    key = [of.c[column.name] for column in of.primary_key]
    since = bindparam("since", type_=BigInteger())
    later = or_(at > since, tuple_(*key) > tuple_(*(bindparam(f"after_{n}", type_=Key) for n in range(len(key)))))
    # The time is compared twice, so that rows of one time are reached by the index, too.
    found = select(at.label("at"), *key).where(at < cut(database), at >= since, later, *where)
    return found.order_by(at, *key).limit(bindparam("limit", type_=Integer()))


def behind(sweep: Sweep, key: int) -> dict[str, Any]:
    """Return the parameters of `oldest_first` for a key of so many columns."""
    since, *after = sweep.after or (BEGINNING, *("",) * key)
    places = {f"after_{n}": part for n, part in enumerate(after)}
    return {"since": since, "limit": sweep.limit, "older_than_ms": sweep.older_than_ms, **places}


class OldRows:
    """Sweeps of the tables whose rows are old by a time of their own."""

    def __init__(self, database: Database) -> None:
        self._by_time: dict[Store, _ByTime] = {
            "tokens": _ByTime(database, card_tokens, card_tokens.c.received_at),
            "dead_letters": _ByTime(database, dead_letters, dead_letters.c.died_at),
            "targets": _ByTime(database, targets, targets.c.leased_at, idle(database)),
            "faces": _ByTime(database, faces, faces.c.sent_at, SENT, not_(_asked_about())),
            "suspensions": _ByTime(database, suspensions, greatest(suspensions.c.until, suspensions.c.since)),
        }
        self._budgets = _Budgets(database)

    def sweep(self, connection: Connection, sweep: Sweep) -> Swept:
        """Delete what is old of a store that is no event's."""
        if sweep.store == "budgets":
            return self._budgets.sweep(connection, sweep)
        return self._by_time[sweep.store].sweep(connection, sweep)


def idle(database: Database) -> ColumnElement[bool]:
    """Return that a target has nothing to do, is nobody's, and was not even wanted for as long."""
    nobody = and_(targets.c.until <= database.now, targets.c.resend_at.is_(None))
    return and_(IDLE, nobody, targets.c.paced_until < cut(database))


def _asked_about() -> ColumnElement[bool]:
    """Return that somebody did something about a card; then it goes with the last of that."""
    return exists().where(claims.c.app_id == faces.c.app_id, claims.c.message_id == faces.c.message_id)


class _ByTime:
    def __init__(self, database: Database, of: Table, at: Any, *where: ColumnElement[bool]) -> None:
        self._name, self._width = of.name, len(of.primary_key)
        found = oldest_first(database, of, at, *where)
        self._find = found.with_for_update(of=of, skip_locked=True)
        self._given = keys(database.dialect, **{column.name: column.type for column in of.primary_key})
        self._delete = delete(of).where(among(of, self._given.table))

    def sweep(self, connection: Connection, sweep: Sweep) -> Swept:
        found = connection.execute(self._find, behind(sweep, self._width)).all()
        gone = self._given.execute(connection, self._delete, [tuple(row)[1:] for row in found])
        return Swept(rows={self._name: gone}, last=place_after(found, limit=sweep.limit))


class _Budgets:
    """
    Rows that every call changes, which an index by time would make dearer: gone through by key, as they are few.

    One whose times are past says the same as none.
    """

    def __init__(self, database: Database) -> None:
        self._touched = greatest(budgets.c.second_us, budgets.c.minute_us, budgets.c.blocked_us)
        self._past = self._touched < cut(database) * literal_column("1000", BigInteger())
        key = tuple(budgets.primary_key)
        later = tuple_(*key) > tuple_(*(bindparam(f"after_{n}", type_=Key) for n in range(len(key))))
        found = select(*key, self._past.label("past")).where(later).order_by(*key)
        self._find = found.limit(bindparam("limit", type_=Integer()))
        self._given = keys(database.dialect, **{column.name: column.type for column in key})
        self._delete = delete(budgets).where(among(budgets, self._given.table), self._past)
        self._width = len(key)

    def sweep(self, connection: Connection, sweep: Sweep) -> Swept:
        after = sweep.after or ("",) * self._width
        places = {f"after_{n}": part for n, part in enumerate(after)}
        asked = {"older_than_ms": sweep.older_than_ms, "limit": sweep.limit, **places}
        found = connection.execute(self._find, asked).all()
        past = [tuple(row)[:-1] for row in found if row.past]
        gone = 0
        for key in past:
            chosen = {**self._given.parameters([key]), "older_than_ms": sweep.older_than_ms}
            gone += connection.execute(self._delete, chosen).rowcount
        last = place_after([tuple(row)[:-1] for row in found], limit=sweep.limit)
        return Swept(rows={budgets.name: gone}, last=last)


def among(of: Table, given: FromClause) -> ColumnElement[bool]:
    """Return that a row's key is among the given ones."""
    key = [column.name for column in of.primary_key]
    return tuple_(*(of.c[name] for name in key)).in_(select(*(given.c[name] for name in key)))
