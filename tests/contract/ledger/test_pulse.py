"""Whoever watches the ledger sees what is due and not done, and who is suspended (worker/ledger/port.py)."""

from shared.clock import ManualClock
from tests.contract.ledger.words import TTL_MS, Decider, effect, lease
from worker.ledger.port import Suspension
from worker.ledger.sql_ledger import SqlLedger


async def test_what_is_due_is_told_until_somebody_takes_it(ledger: SqlLedger, clock: ManualClock) -> None:
    """By the ledger's clock; under a lease it is nobody's business before its end."""
    assert (clock.now(), None) == ((await ledger.pulse()).now, (await ledger.pulse()).next_due)
    due = clock.now()
    await Decider(ledger).decide("e1", effect("e1"))
    clock.advance(90)
    pulse = await ledger.pulse()
    assert (due, clock.now()) == (pulse.next_due, pulse.now)
    await lease(ledger)
    assert clock.now() + TTL_MS == (await ledger.pulse()).next_due


async def test_suspended_handlers_are_told_while_they_are(ledger: SqlLedger, clock: ManualClock) -> None:
    """By name, and those that merely missed a deadline are not."""
    until = clock.now() + 60_000
    await Decider(ledger).write(
        suspensions=[
            Suspension(handler="slow", misses=3, until=until, pause_ms=60_000),
            Suspension(handler="quick", misses=1),
        ]
    )
    assert ["slow"] == list((await ledger.pulse()).suspended)
    clock.advance(60)
    assert [] == list((await ledger.pulse()).suspended)
