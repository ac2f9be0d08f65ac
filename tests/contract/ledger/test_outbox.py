"""What is told to the log, by one relay, in order (worker/ledger/port.py)."""

from shared.clock import ManualClock
from tests.contract.ledger.words import (
    Decider,
    effect,
    only,
    performed,
    settle,
    told,
)
from worker.ledger.sql_ledger import SqlLedger


async def test_the_outbox_keeps_commit_order(ledger: SqlLedger) -> None:
    """Decisions and outcomes come out whole, in the order of their commits, until they are relayed."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"), outbox=[told("one"), told("two")])
    await settle(ledger, performed(await only(ledger), outbox=[told("three")]))
    await decider.write(outbox=[told("four")])
    rows = await ledger.outbox(limit=3)
    assert [told("one"), told("two"), told("three")] == [record for _, record in rows]
    assert 4 == await ledger.outbox_depth()
    await ledger.relayed([number for number, _ in rows])
    assert [told("four")] == [record for _, record in await ledger.outbox(limit=3)]
    assert 1 == await ledger.outbox_depth()


async def test_outbox_numbers_are_never_used_again(ledger: SqlLedger) -> None:
    """A late relay that deletes what was relayed before cannot delete a new row."""
    decider = Decider(ledger)
    await decider.write(outbox=[told("one")])
    (number, _), *_ = await ledger.outbox(limit=1)
    await ledger.relayed([number])
    await decider.write(outbox=[told("two")])
    await ledger.relayed([number])
    assert 1 == await ledger.outbox_depth()


async def test_a_role_has_one_holder(ledger: SqlLedger, clock: ManualClock) -> None:
    """Held and kept by one; taken by another when it was not kept in time."""
    assert await ledger.hold("relay", "a", ttl_ms=1_000)
    assert not await ledger.hold("relay", "b", ttl_ms=1_000)
    assert await ledger.hold("other", "b", ttl_ms=1_000)
    clock.advance(0.9)
    assert await ledger.hold("relay", "a", ttl_ms=1_000)
    clock.advance(0.9)
    assert not await ledger.hold("relay", "b", ttl_ms=1_000)
    clock.advance(0.1)
    assert await ledger.hold("relay", "b", ttl_ms=1_000)
    assert not await ledger.hold("relay", "a", ttl_ms=1_000)
