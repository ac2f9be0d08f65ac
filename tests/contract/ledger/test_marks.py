"""Effects wait for the answer of their click, and no longer (worker/ledger/port.py)."""

from dataclasses import replace

import pytest

from shared.clock import ManualClock
from shared.core.ids import EventId
from tests.contract.ledger.words import (
    APP,
    SETTLE_MS,
    TTL_MS,
    UNANSWERED_MS,
    Decider,
    claim,
    effect,
    mark,
    nothing_is_due,
    only,
    performed,
    retried,
    settle,
    settling,
    waiting,
)
from tests.support.dump import dump
from worker.ledger.decided import ClaimKey, NewEffect, Wanted
from worker.ledger.sql_ledger import SqlLedger


async def test_an_effect_waits_for_its_answer(ledger: SqlLedger, clock: ManualClock) -> None:
    """The mark makes it due after the settle gap, and not before."""
    decider = Decider(ledger)
    await decider.decide("e1", waiting("e1"))
    clock.advance(1)
    marked_at = await decider.write(marks=[mark("e1")])
    assert marked_at + SETTLE_MS == (await ledger.pulse()).next_due
    clock.advance(SETTLE_MS / 1000 - 0.001)
    assert await nothing_is_due(ledger)
    clock.advance(0.001)
    (head,) = (await only(ledger)).heads
    assert (marked_at, marked_at + SETTLE_MS) == (head.marked_at, head.due)


async def test_without_a_mark_an_effect_becomes_due(ledger: SqlLedger, clock: ManualClock) -> None:
    """A lost mark costs three seconds, not the update."""
    await Decider(ledger).decide("e1", waiting("e1"))
    clock.advance((UNANSWERED_MS - 1) / 1000)
    assert await nothing_is_due(ledger)
    clock.advance(0.001)
    (head,) = (await only(ledger)).heads
    assert head.marked_at is None


async def test_a_mark_in_the_same_batch_counts(ledger: SqlLedger, clock: ManualClock) -> None:
    """Click and mark read together: due after the gap, marked at the commit."""
    await Decider(ledger).decide("e1", replace(waiting("e1"), due_in_ms=SETTLE_MS, marked=True))
    clock.advance(SETTLE_MS / 1000)
    (head,) = (await only(ledger)).heads
    assert head.decided_at == head.marked_at


async def test_a_late_first_mark_still_leaves_the_gap(ledger: SqlLedger, clock: ManualClock) -> None:
    """A mark just before the three seconds are over puts the effect off by the settle gap."""
    decider = Decider(ledger)
    await decider.decide("e1", waiting("e1"))
    clock.advance((UNANSWERED_MS - 100) / 1000)
    marked_at = await decider.write(marks=[mark("e1")])
    clock.advance(0.1)
    assert await nothing_is_due(ledger)
    assert marked_at + SETTLE_MS == (await ledger.pulse()).next_due


async def test_the_first_mark_counts(ledger: SqlLedger, clock: ManualClock) -> None:
    """A second mark neither hastens nor puts off."""
    decider = Decider(ledger)
    await decider.decide("e1", waiting("e1"))
    first = await decider.write(marks=[mark("e1")])
    clock.advance(0.2)
    await decider.write(marks=[mark("e1")])
    assert first + SETTLE_MS == (await ledger.pulse()).next_due
    assert [first] == [row["marked_at"] for row in (await dump(ledger.database)).effects]


async def test_a_mark_concerns_what_waits_for_an_answer(ledger: SqlLedger, clock: ManualClock) -> None:
    """Effects that are due at once, and those of other events, stay as they are."""
    decider = Decider(ledger)
    await decider.decide("e1", waiting("e1", 1), effect("e1", 2, target="chat:oc", due_in_ms=60_000))
    await decider.decide("e2", waiting("e2", target="message:om_other"))
    await decider.write(marks=[mark("e1")])
    marked = {
        (row["event_id"], row["index"]) for row in (await dump(ledger.database)).effects if row["marked_at"] is not None
    }
    assert {("e1", 1)} == marked


async def test_a_mark_of_nothing_does_nothing(ledger: SqlLedger) -> None:
    """Unknown events, and events whose effects are done, make no target due."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    await settle(ledger, performed(await only(ledger)))
    await decider.write(marks=[mark("e1"), mark("unknown", "om_unknown")])
    assert (await ledger.pulse()).next_due is None


async def test_a_mark_does_not_hasten_a_retry(ledger: SqlLedger, clock: ManualClock) -> None:
    """An effect that was tried without a mark keeps its back-off when the mark arrives."""
    decider = Decider(ledger)
    await decider.decide("e1", waiting("e1"))
    clock.advance(UNANSWERED_MS / 1000)
    leased = await only(ledger)
    await settle(
        ledger,
        settling(leased, changes=[retried(leased.heads[0], 60_000)]),
    )
    await decider.write(marks=[mark("e1")])
    assert [clock.now() + 60_000] == [row["due"] for row in (await dump(ledger.database)).effects]


def answer(event: str) -> NewEffect:
    """Return the card that an event was answered with."""
    return waiting(event, 0, kind="AnsweredCard")


async def test_a_delivered_card_is_due_at_its_mark(ledger: SqlLedger, clock: ManualClock) -> None:
    """It is on the screen, and waits for no client to paint it; the event's other effects do."""
    decider = Decider(ledger)
    await decider.decide("e1", answer("e1"), waiting("e1", 1))
    clock.advance(0.1)
    marked_at = await decider.write(marks=[mark("e1")])
    assert marked_at == (await ledger.pulse()).next_due
    heads = (await only(ledger)).heads
    assert [(0, marked_at, True), (1, marked_at + SETTLE_MS, True)] == [
        (head.index, head.due, head.delivered) for head in heads
    ]


async def test_a_card_that_was_not_delivered_waits_as_any_update(ledger: SqlLedger, clock: ManualClock) -> None:
    """It has to be sent, and the client that was gone may come back."""
    decider = Decider(ledger)
    await decider.decide("e1", answer("e1"))
    marked_at = await decider.write(marks=[mark("e1", delivered=False)])
    assert marked_at + SETTLE_MS == (await ledger.pulse()).next_due
    clock.advance(SETTLE_MS / 1000)
    assert [False] == [head.delivered for head in (await only(ledger)).heads]


async def test_a_card_without_a_mark_is_sent_after_three_seconds(ledger: SqlLedger, clock: ManualClock) -> None:
    """Nobody can say whether it was delivered."""
    await Decider(ledger).decide("e1", answer("e1"))
    clock.advance((UNANSWERED_MS - 1) / 1000)
    assert await nothing_is_due(ledger)
    clock.advance(0.001)
    assert [None] == [head.delivered for head in (await only(ledger)).heads]


async def test_a_delivered_card_of_the_same_batch_is_due_at_once(ledger: SqlLedger) -> None:
    """Click and mark read together."""
    await Decider(ledger).decide("e1", replace(answer("e1"), due_in_ms=0, marked=True, delivered=True))
    assert [True] == [head.delivered for head in (await only(ledger)).heads]


async def test_marks_of_many_events_are_told_apart(ledger: SqlLedger) -> None:
    """Each says of its own event whether the answer was delivered."""
    decider = Decider(ledger)
    for event in ("e1", "e2"):
        await decider.decide(event, answer(event))
    await decider.write(marks=[mark("e1", delivered=False), mark("e2")])
    assert [("e1", False), ("e2", True)] == [
        (row["event_id"], row["delivered"]) for row in (await dump(ledger.database)).effects
    ]


async def test_a_target_knows_when_it_was_last_called(ledger: SqlLedger, clock: ManualClock) -> None:
    """By whoever settled a call; what needed none changes nothing."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    first = await only(ledger)
    assert first.called_at is None
    await settle(ledger, performed(first))
    called_at = clock.now()
    clock.advance(1)
    await decider.decide("e2", effect("e2"))
    second = await only(ledger)
    assert called_at == second.called_at
    await settle(ledger, performed(second, called=False))
    await decider.decide("e3", effect("e3"))
    assert called_at == (await only(ledger)).called_at


async def test_a_call_under_a_lost_lease_counts_as_made_when_it_is_told(ledger: SqlLedger, clock: ManualClock) -> None:
    """It was made before, nobody knows how long."""
    await Decider(ledger).decide("e1", effect("e1"))
    lost = await only(ledger, "frozen")
    clock.advance(TTL_MS / 1000)
    present = await only(ledger, "present")
    await settle(ledger, performed(lost), owner="frozen")
    told_at = clock.now()
    clock.advance(1)
    await settle(ledger, settling(present, called=False), owner="present")
    assert told_at == (await only(ledger)).called_at


@pytest.mark.parametrize("kind", ["Call", "FetchChat", "FetchMessage", "CallApi", "Remind"])
async def test_a_click_that_has_work_done_tells_when_it_was_answered(
    ledger: SqlLedger, clock: ManualClock, kind: str
) -> None:
    """Also when the work is done already; the first mark counts, and what it waits for is left alone."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1", target="call:e1/1", kind=kind, due_in_ms=50))
    asked = Wanted(claims=(), deliveries=(), cards=(), apps=(), origins=[ClaimKey(APP, EventId("e1"))])
    assert {} == (await ledger.read(asked)).answered
    due = (await ledger.pulse()).next_due
    clock.advance(0.01)
    at = await decider.write(marks=[mark("e1")])
    clock.advance(0.01)
    await decider.write(marks=[mark("e1")])
    assert {ClaimKey(APP, EventId("e1")): at} == (await ledger.read(asked)).answered
    assert due == (await ledger.pulse()).next_due


async def test_a_click_without_such_work_is_not_written_again_for_its_mark(ledger: SqlLedger) -> None:
    """Nobody will ask; one whose mark was in its batch tells it for nothing."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    await decider.write(marks=[mark("e1")])
    at = await decider.write(claims=[replace(claim("e2"), answered=True)])
    keys = [ClaimKey(APP, EventId(event)) for event in ("e1", "e2")]
    asked = Wanted(claims=(), deliveries=(), cards=(), apps=(), origins=keys)
    assert {keys[1]: at} == (await ledger.read(asked)).answered
