"""Whoever watches the ledger sees what is due and not done, and who is suspended (worker/ledger/port.py)."""

from collections.abc import Sequence
from dataclasses import replace

from shared.clock import ManualClock
from tests.contract.ledger.words import (
    APP,
    TTL_MS,
    Decider,
    effect,
    lease,
    mark,
    on,
    only,
    performed,
    retried,
    settle,
    settling,
    waiting,
)
from worker.ledger.decided import EVERY_APP, Suspension
from worker.ledger.leased import Leased
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


async def test_since_when_an_effect_is_wanted_is_told_however_often_it_was_tried_in_vain(
    ledger: SqlLedger, clock: ManualClock
) -> None:
    """Back-off moves what is due, and not this; what nobody has tried, or a platform does not do, is not meant."""
    wanted_at = clock.now()
    await Decider(ledger).decide("e1", effect("e1"))
    await Decider(ledger, 1).decide("e2", effect("e2", target="call:e2/1", kind="Call"))
    assert (await ledger.pulse()).tried_since is None
    for _ in range(5):
        tried = [settling(one, changes=[retried(head, 60_000) for head in one.heads]) for one in await _leased(ledger)]
        assert [] == await settle(ledger, *tried)
        assert wanted_at == (await ledger.pulse()).tried_since
        clock.advance(60)
    leased = {one.key: one for one in await _leased(ledger)}
    await settle(ledger, performed(leased[on()]))
    assert (await ledger.pulse()).tried_since is None


async def test_an_effect_that_waited_for_its_answer_is_wanted_since_that(ledger: SqlLedger, clock: ManualClock) -> None:
    """Not since its decision, when nobody could have performed it."""
    decider = Decider(ledger)
    await decider.decide("e1", waiting("e1"))
    clock.advance(1)
    marked_at = clock.now()
    await decider.write(marks=[mark("e1")])
    clock.advance(1)
    leased = await only(ledger)
    await settle(ledger, settling(leased, changes=[retried(leased.heads[0], 1_000)]))
    assert marked_at == (await ledger.pulse()).tried_since


async def _leased(ledger: SqlLedger) -> Sequence[Leased]:
    return (await lease(ledger)).targets


async def test_suspended_handlers_are_told_while_they_are(ledger: SqlLedger, clock: ManualClock) -> None:
    """By app and name, and those that merely missed a deadline are not."""
    until = clock.now() + 60_000
    slow = Suspension(app_id=APP, handler="slow", misses=3, until=until, pause_ms=60_000)
    quick = Suspension(app_id=EVERY_APP, handler="quick", misses=1)
    await Decider(ledger).write(suspensions=[slow, replace(slow, app_id=EVERY_APP), quick])
    assert [(EVERY_APP, "slow"), (APP, "slow")] == list((await ledger.pulse()).suspended)
    clock.advance(60)
    assert [] == list((await ledger.pulse()).suspended)
