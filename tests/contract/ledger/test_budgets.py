"""Rate limits are one line for all workers (worker/ledger/port.py, worker/budget.py)."""

import asyncio

from shared.clock import ManualClock
from tests.contract.ledger.words import (
    APP,
    TENANT,
    Opener,
)
from worker.ledger.leased import BudgetKey, Rate
from worker.ledger.sql_ledger import SqlLedger

KEY = BudgetKey(APP, TENANT, "im.v1.message.patch")
RATE = Rate(second_us=20_000, second_burst=0, minute_us=60_000, minute_burst=10)


async def test_reservations_line_up(ledger: SqlLedger, clock: ManualClock) -> None:
    """The first call goes at once, the next ones spaced; time that passes makes room."""
    waits = [(await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000))[KEY] for _ in range(3)]
    assert [0, 60, 120] == waits
    clock.advance(1)
    assert 0 == (await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000))[KEY]


async def test_a_wait_too_long_reserves_nothing(ledger: SqlLedger) -> None:
    """Who is told to come back later has not moved the line."""
    await ledger.reserve({KEY: (10, RATE)}, ahead_ms=2_000)
    refused = [(await ledger.reserve({KEY: (1, RATE)}, ahead_ms=100))[KEY] for _ in range(3)]
    assert refused[0] > 100
    assert [refused[0]] * 3 == refused
    assert refused[0] == (await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000))[KEY]


async def test_budgets_of_several_apis_are_apart(ledger: SqlLedger) -> None:
    """Each app, tenant and API has a line of its own, asked for together or not."""
    other = KEY._replace(api="im.v1.chat.update")
    assert {KEY: 0, other: 0} == await ledger.reserve({KEY: (1, RATE), other: (1, RATE)}, ahead_ms=2_000)
    assert {KEY: 60} == await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000)


async def test_a_block_holds_for_everybody(ledger: SqlLedger, clock: ManualClock) -> None:
    """Nobody calls before the time that the platform named; a shorter block does not end a longer one."""
    await ledger.blocked(KEY, for_ms=1_500)
    await ledger.blocked(KEY, for_ms=500)
    clock.advance(0.5)
    assert [1_000, 1_060] == [(await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000))[KEY] for _ in range(2)]
    assert (
        0 == (await ledger.reserve({KEY._replace(api="other"): (1, RATE)}, ahead_ms=2_000))[KEY._replace(api="other")]
    )


async def test_a_clock_that_is_set_back_by_an_hour_stops_no_reservation(ledger: SqlLedger, clock: ManualClock) -> None:
    """Nobody waits until it has caught up: the line begins anew, and goes on as ever."""
    await ledger.reserve({KEY: (10, RATE)}, ahead_ms=2_000)
    clock.advance(-3_600)
    assert [0, 60, 120] == [(await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000))[KEY] for _ in range(3)]


async def test_a_block_that_was_over_is_not_brought_back_by_the_clock(ledger: SqlLedger, clock: ManualClock) -> None:
    """Once calls have followed it, it is forgotten; and one further ahead than any that is named does not count."""
    await ledger.blocked(KEY, for_ms=1_500)
    clock.advance(1.5)
    await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000)
    clock.advance(-3_600)
    assert 0 == (await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000))[KEY]
    await ledger.blocked(KEY, for_ms=3_600_000)
    clock.advance(-1)
    assert [60, 120] == [(await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000))[KEY] - 1000 for _ in range(2)]
    await ledger.blocked(KEY, for_ms=1_500)
    assert 1_500 == (await ledger.reserve({KEY: (1, RATE)}, ahead_ms=2_000))[KEY]


async def test_workers_at_once_never_get_the_same_slot(ledger_url: str, clock: ManualClock, opened: Opener) -> None:
    """Reservations made at the same moment are all spaced."""
    ledgers = [opened(ledger_url, clock) for _ in range(4)]
    asked = [each.reserve({KEY: (1, RATE)}, ahead_ms=60_000) for each in ledgers for _ in range(10)]
    waits = sorted(found[KEY] for found in await asyncio.gather(*asked))
    assert [60 * nth for nth in range(40)] == waits
