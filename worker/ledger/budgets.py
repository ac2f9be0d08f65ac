"""
Rate limits as rows: a reservation is one statement, so that nobody can be between the question and the answer.

The arithmetic is that of `worker.budget`, which explains it; a property test holds the two against each other.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, bindparam, case

from worker import budget
from worker.ledger.engine import Database, in_transaction
from worker.ledger.leased import BudgetKey, Rate
from worker.ledger.sql import greatest, insert_into
from worker.ledger.tables import budgets

_KEY: Final = ("app_id", "tenant_key", "api")


def _given(name: str) -> Any:
    return bindparam(f"given_{name}", type_=BigInteger())


class Budgets:
    """Reservations and blocks, each in a transaction of its own: no lease waits for one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        now = database.now * 1000
        insert = insert_into(database.dialect, budgets)
        key: dict[str, Any] = {name: bindparam(f"given_{name}") for name in _KEY}
        self._reserve = _reserve(insert.values(key), now)
        self._block = _block(insert.values(key), now)

    @in_transaction
    def reserve(
        self, connection: Connection, wants: Mapping[BudgetKey, tuple[int, Rate]], *, ahead_ms: int
    ) -> Mapping[BudgetKey, int]:
        waits: dict[BudgetKey, int] = {}
        for key, (calls, rate) in sorted(wants.items(), key=lambda want: want[0]):
            parameters = _parameters(key) | _arithmetic(calls, rate, ahead_ms * 1000)
            wait_us = connection.execute(self._reserve, parameters).scalar_one()
            waits[key] = -(-int(wait_us) // 1000)
        return waits

    @in_transaction
    def blocked(self, connection: Connection, key: BudgetKey, *, for_ms: int) -> None:
        connection.execute(self._block, _parameters(key) | {"given_for_us": for_ms * 1000})


def _parameters(key: BudgetKey) -> dict[str, Any]:
    return {f"given_{name}": value for name, value in zip(_KEY, key, strict=True)}


def _arithmetic(calls: int, rate: Rate, ahead_us: int) -> dict[str, int]:
    """Return the numbers that do not depend on the row: slacks, costs, and what a new row becomes (after now)."""
    first = budget.empty(0, rate)
    reserved = budget.reserve(first, now_us=0, calls=calls, rate=rate, ahead_us=ahead_us)
    behind = (calls - 1) * max(0, rate.minute_us - rate.second_us)
    return {
        "given_first_second": reserved.tats.second,
        "given_first_minute": reserved.tats.minute,
        "given_first_wait": reserved.wait_us,
        "given_empty_second": first.second,
        "given_empty_minute": first.minute,
        "given_slack_second": first.second,
        "given_slack_minute": first.minute - behind,
        "given_cost_second": calls * rate.second_us,
        "given_cost_minute": calls * rate.minute_us,
        "given_ahead": ahead_us,
        "given_far": budget.far_us(calls, rate, ahead_us=ahead_us),
    }


def _reserve(insert: Any, now: Any) -> Any:
    insert = insert.values(
        second_us=now + _given("first_second"),
        minute_us=now + _given("first_minute"),
        blocked_us=0,
        wait_us=_given("first_wait"),
    )
    # A row that is further ahead than honest reservations can be was made before the clock was set back.
    wait = greatest(budgets.c.second_us - _given("slack_second"), budgets.c.minute_us - _given("slack_minute")) - now
    is_far = wait > _given("far")
    # After a block nothing comes early: as for a row that is new at its end.
    until = _believed(now)
    second = greatest(_anew(is_far, now, "second"), until + _given("empty_second"))
    minute = greatest(_anew(is_far, now, "minute"), until + _given("empty_minute"))
    start = greatest(now, second - _given("slack_second"), minute - _given("slack_minute"))
    granted = start - now <= _given("ahead")
    return insert.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "second_us": case((granted, greatest(second, start) + _given("cost_second")), else_=budgets.c.second_us),
            "minute_us": case((granted, greatest(minute, start) + _given("cost_minute")), else_=budgets.c.minute_us),
            "blocked_us": case((granted, 0), else_=budgets.c.blocked_us),
            "wait_us": start - now,
        },
    ).returning(budgets.c.wait_us)


def _anew(is_far: Any, now: Any, name: str) -> Any:
    return case((is_far, now + _given(f"empty_{name}")), else_=budgets.c[f"{name}_us"])


def _believed(now: Any) -> Any:
    return case((budgets.c.blocked_us - now > budget.LONGEST_BLOCK_US, 0), else_=budgets.c.blocked_us)


def _block(insert: Any, now: Any) -> Any:
    until = now + _given("for_us")
    insert = insert.values(second_us=0, minute_us=0, blocked_us=until, wait_us=0)
    blocked_us = greatest(_believed(now), insert.excluded.blocked_us)
    return insert.on_conflict_do_update(index_elements=_KEY, set_={"blocked_us": blocked_us})
