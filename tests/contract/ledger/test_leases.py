"""A target is one pump's at a time, for a while (worker/ledger/port.py)."""

import asyncio

from shared.clock import ManualClock
from shared.core.ids import EventId
from tests.contract.ledger.words import (
    APP,
    CARD,
    ON_CARD,
    SETTLE_MS,
    TENANT,
    TTL_MS,
    UNANSWERED_MS,
    Decider,
    Opener,
    effect,
    lease,
    mark,
    nothing_is_due,
    on,
    only,
    performed,
    retried,
    settle,
    settling,
    told,
    waiting,
)
from tests.support.dump import dump
from worker.ledger.leased import Beginning, EffectKey, FaceRow
from worker.ledger.sql_ledger import SqlLedger


async def test_a_lease_shows_what_is_pending_in_log_order(ledger: SqlLedger, clock: ManualClock) -> None:
    """Heads of one target, due or not, oldest first, complete but for the payload."""
    decider = Decider(ledger)
    await decider.decide("e2", effect("e2", order=20))
    await decider.decide("e1", effect("e1", order=10, due_in_ms=500))
    leased = await only(ledger)
    assert on() == leased.key
    assert ["e1", "e2"] == [head.event_id for head in leased.heads]
    assert not leased.more
    head = leased.heads[1]
    assert (APP, TENANT, CARD, "UpdateCard", ON_CARD, "*", "card", 20) == (
        head.app_id, head.tenant_key, head.message_id, head.kind, head.target, head.audience, head.coalesce, head.order,
    )  # fmt: skip
    now = clock.now()
    assert (now, 1, 2, now) == (head.due, head.occurred_at, head.received_at, head.decided_at)
    assert (0, 0, None, None) == (head.k, head.attempts, head.begun_at, head.marked_at)


async def test_the_longest_due_comes_first(ledger: SqlLedger, clock: ManualClock) -> None:
    """No more targets than wanted, the one that waits longest first."""
    decider = Decider(ledger)
    for number in (3, 1, 2):
        await decider.decide(f"e{number}", effect(f"e{number}", target=f"chat:{number}", due_in_ms=number * 100))
    clock.advance(1)
    assert ["chat:1", "chat:2"] == [one.key.target for one in (await lease(ledger, limit=2)).targets]
    assert ["chat:3"] == [one.key.target for one in (await lease(ledger, limit=2)).targets]


async def test_a_leased_target_is_nobody_elses(ledger: SqlLedger, clock: ManualClock) -> None:
    """New work for a leased target waits for its pump; the time to look again is the end of the lease."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    await only(ledger)
    await decider.decide("e2", effect("e2"))
    assert await nothing_is_due(ledger, "other")
    assert clock.now() + TTL_MS == (await ledger.pulse()).next_due


async def test_pumps_at_once_share_the_work(ledger_url: str, opened: Opener) -> None:
    """Of many targets, each is leased to exactly one of the pumps that ask at the same moment."""
    ledgers = [opened(ledger_url) for _ in range(4)]
    await ledgers[0].begin(1)
    targets = [f"chat:{number}" for number in range(60)]
    await Decider(ledgers[0]).decide("e1", *(effect("e1", nth, target=each) for nth, each in enumerate(targets)))
    taken: list[str] = []
    while True:
        leases = await asyncio.gather(*(lease(each, f"pump-{n}", limit=7) for n, each in enumerate(ledgers)))
        found = [one.key.target for each in leases for one in each.targets]
        if not found:
            break
        taken += found
    assert sorted(targets) == sorted(taken)


async def test_when_a_lease_is_over_somebody_else_takes_it(ledger: SqlLedger, clock: ManualClock) -> None:
    """A pump that died is replaced, and nothing of its targets is forgotten."""
    await Decider(ledger).decide("e1", effect("e1"))
    await only(ledger, "dead")
    clock.advance(TTL_MS / 1000)
    assert ["e1"] == [head.event_id for head in (await only(ledger, "heir")).heads]


async def test_a_lost_lease_settles_nothing(ledger: SqlLedger, clock: ManualClock) -> None:
    """What a late pump reports is dropped: effects, faces, outbox stay as the present holder leaves them."""
    await Decider(ledger).decide("e1", effect("e1"))
    late = await only(ledger, "late")
    clock.advance(TTL_MS / 1000)
    await only(ledger, "heir")
    before = await dump(ledger.database)
    face = FaceRow(app_id=APP, message_id=CARD, shown="x")
    assert [on()] == await settle(ledger, performed(late, face=face, outbox=[told("x")]), owner="late")
    assert before == await dump(ledger.database)
    assert 0 == await ledger.outbox_depth()
    assert await nothing_is_due(ledger, "third")


async def test_of_several_targets_only_the_lost_one_is_dropped(ledger: SqlLedger, clock: ManualClock) -> None:
    """A settlement of many targets stores what is still ours."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1", target="chat:lost"))
    lost = await only(ledger)
    clock.advance(TTL_MS / 1000)
    await only(ledger, "heir")
    await decider.decide("e2", effect("e2", target="chat:kept"))
    kept = await only(ledger)
    assert [lost.key] == await settle(ledger, performed(lost), performed(kept))
    assert {"e1": "pending", "e2": "succeeded"} == {
        row["event_id"]: row["status"] for row in (await dump(ledger.database)).effects
    }


async def test_a_target_without_work_is_let_go_at_once(ledger: SqlLedger, clock: ManualClock) -> None:
    """Something that is put off after its target was due is not handed out, and is due again at its time."""
    decider = Decider(ledger)
    await decider.decide("e1", waiting("e1"))
    clock.advance((UNANSWERED_MS - 1) / 1000)
    await decider.write(marks=[mark("e1")])
    clock.advance(0.1)
    assert await nothing_is_due(ledger)
    assert clock.now() - 100 + SETTLE_MS == (await ledger.pulse()).next_due


async def test_a_hot_target_shows_a_part(ledger: SqlLedger) -> None:
    """At most 2,000 heads, oldest first, and word that there are more."""
    await Decider(ledger).decide("e", *(effect("e", nth, order=nth) for nth in range(2_003)))
    leased = await only(ledger)
    assert leased.more
    assert list(range(2_000)) == [head.order for head in leased.heads]


async def test_payloads_are_fetched_when_they_are_needed(ledger: SqlLedger) -> None:
    """The payload of each wanted effect, and no others."""
    await Decider(ledger).decide("e", effect("e", 1, payload=b"\x00\xff"), effect("e", 2, payload=b"two"))
    first = EffectKey(APP, EventId("e"), 1)
    assert {first: b"\x00\xff"} == await ledger.payloads([first, EffectKey(APP, EventId("e"), 9)])


async def test_a_begun_call_is_remembered(ledger: SqlLedger, clock: ManualClock) -> None:
    """From the first call that was begun until an answer is stored, whoever holds the target."""
    await Decider(ledger).decide("e1", effect("e1"))
    head = (await only(ledger)).heads[0]
    begun_at = clock.now()
    await ledger.begun([Beginning(key=head.key)])
    clock.advance(TTL_MS / 1000)
    leased = await only(ledger, "heir")
    await ledger.begun([Beginning(key=head.key)])
    assert begun_at == leased.heads[0].begun_at
    again = settling(leased, changes=[retried(leased.heads[0], 0, begun=True)])
    await settle(ledger, again, owner="heir")
    leased = await only(ledger)
    assert begun_at == leased.heads[0].begun_at
    await settle(
        ledger,
        settling(leased, changes=[retried(leased.heads[0], 0)]),
    )
    assert (await only(ledger)).heads[0].begun_at is None


async def test_a_call_that_was_not_made_has_not_begun(ledger: SqlLedger) -> None:
    """Its target's release says so, whatever else the effect came to; other effects that were begun stay so."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    await decider.decide("e2", effect("e2"))
    leased = await only(ledger)
    await ledger.begun([Beginning(key=head.key) for head in leased.heads])
    await settle(ledger, settling(leased, called=False, unbegun=leased.heads[0].key))
    assert [None, leased.leased_at] == [head.begun_at for head in (await only(ledger)).heads]


async def test_a_lost_lease_takes_no_beginning_back(ledger: SqlLedger) -> None:
    """Somebody else may have made the call meanwhile."""
    await Decider(ledger).decide("e1", effect("e1"))
    leased = await only(ledger)
    await ledger.begun([Beginning(key=leased.heads[0].key)])
    await settle(ledger, settling(leased, called=False, unbegun=leased.heads[0].key), owner="somebody else")
    await settle(ledger, settling(leased, called=False))
    assert leased.leased_at == (await only(ledger)).heads[0].begun_at


async def test_a_lease_can_be_prolonged_while_it_is_ours(ledger: SqlLedger, clock: ManualClock) -> None:
    """What takes longer than a lease keeps its target, and ends with it: nobody else has it meanwhile."""
    await Decider(ledger).decide("e1", effect("e1"))
    leased = await only(ledger)
    clock.advance(TTL_MS / 1000 - 1)
    assert await ledger.prolong("pump", leased.key, leased.leased_at, ttl_ms=TTL_MS)
    clock.advance(TTL_MS / 1000 - 1)
    assert await nothing_is_due(ledger, "other")
    assert [] == await settle(ledger, performed(leased))


async def test_a_lease_that_somebody_else_has_taken_is_not_prolonged(ledger: SqlLedger, clock: ManualClock) -> None:
    """Whoever comes back from a long sleep learns that the target is no longer theirs."""
    await Decider(ledger).decide("e1", effect("e1"))
    leased = await only(ledger)
    clock.advance(TTL_MS / 1000 + 1)
    theirs = await only(ledger, "other")
    assert not await ledger.prolong("pump", leased.key, leased.leased_at, ttl_ms=TTL_MS)
    assert await ledger.prolong("other", theirs.key, theirs.leased_at, ttl_ms=TTL_MS)
