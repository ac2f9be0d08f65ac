"""A call that may have come late is overwritten by the newest state (worker/ledger/port.py)."""

from typing import Any

from shared.clock import ManualClock
from tests.contract.ledger.words import (
    TTL_MS,
    Decider,
    applied,
    effect,
    only,
    performed,
    retried,
    settle,
    settling,
)
from worker.ledger.sql_ledger import SqlLedger


async def _applied_card(ledger: SqlLedger, **columns: Any) -> None:
    await Decider(ledger).decide("e1", effect("e1"))
    leased = await only(ledger)
    await settle(ledger, performed(leased, applied=applied(leased.heads[0]), **columns))


async def test_after_an_ambiguous_call_the_newest_update_is_sent_again(ledger: SqlLedger, clock: ManualClock) -> None:
    """At the time wished, with the effect that was applied, until the wish is cleared."""
    await _applied_card(ledger, resend=1_000)
    assert clock.now() + 1_000 == (await ledger.pulse()).next_due
    clock.advance(1)
    leased = await only(ledger)
    assert ([], "e1") == (leased.heads, leased.resend and leased.resend.event_id)
    await settle(ledger, settling(leased, resend=500))
    clock.advance(0.5)
    leased = await only(ledger)
    await settle(ledger, settling(leased, resend="clear"))
    assert (await ledger.pulse()).next_due is None


async def test_the_wish_is_kept_while_other_work_is_done(ledger: SqlLedger, clock: ManualClock) -> None:
    """A settlement that does not speak of it leaves it, and pacing holds for it too."""
    await _applied_card(ledger, resend=100)
    await Decider(ledger, 1).decide("e2", effect("e2"))
    leased = await only(ledger)
    assert leased.resend is None
    await settle(ledger, performed(leased, pace_ms=200))
    assert clock.now() + 200 == (await ledger.pulse()).next_due
    clock.advance(0.2)
    assert (await only(ledger)).resend is not None


async def test_a_late_call_makes_the_newest_state_be_sent_again(ledger: SqlLedger, clock: ManualClock) -> None:
    """A pump that lost its lease may have overwritten the newest state: its holder sends that once more."""
    await _applied_card(ledger)
    await Decider(ledger, 1).decide("e2", effect("e2"))
    late = await only(ledger, "late")
    clock.advance(TTL_MS / 1000)
    heir = await only(ledger, "heir")
    await settle(ledger, performed(late), owner="late")
    await settle(ledger, performed(heir, applied=applied(heir.heads[0])), owner="heir")
    leased = await only(ledger)
    assert leased.resend is not None
    assert "e2" == leased.resend.event_id


async def test_a_wish_that_comes_during_a_resend_outlives_it(ledger: SqlLedger, clock: ManualClock) -> None:
    """What was sent before the late call came in may have been overwritten by it."""
    await _applied_card(ledger, resend=0)
    late = await only(ledger, "late")
    clock.advance(TTL_MS / 1000)
    heir = await only(ledger, "heir")
    clock.advance(1)
    await settle(ledger, settling(late), owner="late")
    await settle(ledger, settling(heir, resend="clear"), owner="heir")
    assert (await only(ledger)).resend is not None


async def test_without_a_call_nothing_is_sent_again(ledger: SqlLedger, clock: ManualClock) -> None:
    """A lease that was lost before anything was called wishes nothing."""
    await _applied_card(ledger)
    await Decider(ledger, 1).decide("e2", effect("e2"))
    late = await only(ledger, "late")
    clock.advance(TTL_MS / 1000)
    heir = await only(ledger, "heir")
    assert [late.key] == await settle(ledger, settling(late, called=False), owner="late")
    await settle(ledger, performed(heir), owner="heir")
    assert (await ledger.pulse()).next_due is None


async def test_a_wish_sleeps_until_something_was_applied(ledger: SqlLedger, clock: ManualClock) -> None:
    """Where no update was taken yet, the newest state is still pending; then the wish counts."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    late = await only(ledger, "late")
    clock.advance(TTL_MS / 1000)
    heir = await only(ledger, "heir")
    await settle(ledger, performed(late), owner="late")
    await settle(
        ledger,
        settling(heir, changes=[retried(heir.heads[0], 60_000)]),
        owner="heir",
    )
    assert clock.now() + 60_000 == (await ledger.pulse()).next_due
    clock.advance(60)
    leased = await only(ledger)
    await settle(ledger, performed(leased, applied=applied(leased.heads[0])))
    assert (await only(ledger)).resend is not None


async def test_a_pump_that_took_its_own_target_again_cannot_settle_its_older_lease(
    ledger: SqlLedger, clock: ManualClock
) -> None:
    """After a freeze the same process may lease again what it still works on: the owner's name alone proves nothing."""
    await Decider(ledger).write(effects=[effect("e1", 1)])
    older = await only(ledger)
    clock.advance(TTL_MS / 1000 + 1)
    newer = await only(ledger)
    assert [older.key] == await settle(ledger, performed(older))
    assert [] == await settle(ledger, performed(newer))
