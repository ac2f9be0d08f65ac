"""What failed is kept, and tried again once for each wish (worker/ledger/failures.py, worker/ledger/port.py)."""

from dataclasses import replace

import msgspec
import pytest

from shared.clock import ManualClock
from shared.core.events import EFFECTS_PER_DECISION, EffectOutcome
from shared.core.ids import EventId, MessageId
from shared.core.targets import timer_target
from tests.contract.ledger.words import (
    APP,
    CARD,
    TENANT,
    Decider,
    claim,
    effect,
    nothing_is_due,
    on,
    only,
    settle,
    settling,
    succeeded,
)
from tests.support.dump import dump
from worker.ledger.decided import CardKey, ClaimKey, ClaimRow, DeadLetter, Redrivable, Wanted
from worker.ledger.leased import EffectChange, EffectKey, Head
from worker.ledger.port import ClaimRace
from worker.ledger.sql_ledger import SqlLedger

KIND = "lark.card.interaction.received.v1"


def letter(event: str, *, offset: int = 0, parks: bool = False) -> DeadLetter:
    """Return a dead letter of the usual card."""
    return DeadLetter(
        app_id=APP,
        event_id=EventId(event),
        handler="follow_up",
        reason="ValueError",
        interaction=b'{"a":1}',
        kind=KIND,
        message_id=CARD,
        offset=offset,
        parks=parks,
    )


def failed(event: str, *, redrive: int = 0) -> ClaimRow:
    """Return the claim of an event whose handler failed."""
    return replace(claim(event), result="failed", redrive=redrive)


def asking(*events: str) -> Wanted:
    """Return what a batch asks that wants these decided again."""
    keys = [ClaimKey(APP, EventId(event)) for event in events]
    return Wanted(claims=(), deliveries=(), cards=[CardKey(APP, CARD)], apps=(), redrives=keys)


async def test_an_input_that_failed_is_redriven_once_for_each_wish(ledger: SqlLedger) -> None:
    """Its claim counts; when it succeeds the letter is gone, and nobody can redrive it any more."""
    decider = Decider(ledger)
    await decider.write(claims=[failed("e1")], dead_letters=[letter("e1")])
    key = ClaimKey(APP, EventId("e1"))
    found = await ledger.read(asking("e1", "e2"))
    assert {key: Redrivable(redrive=0, interaction=b'{"a":1}', kind=KIND)} == dict(found.redrivable)
    await decider.write(claims=[failed("e1", redrive=1)], dead_letters=[letter("e1")])
    with pytest.raises(ClaimRace):
        await decider.write(claims=[replace(claim("e1"), redrive=1)], revived=[key])
    await decider.write(claims=[replace(claim("e1"), redrive=2)], revived=[key])
    assert {} == dict((await ledger.read(asking("e1"))).redrivable)
    assert [] == await ledger.failures.inputs()
    with pytest.raises(ClaimRace):
        await decider.write(claims=[replace(claim("e1"), redrive=3)])
    (row,) = (await dump(ledger.database)).claims
    assert ("decided", 2) == (row["result"], row["redrive"])


async def test_a_card_that_stands_still_says_what_is_first(ledger: SqlLedger, clock: ManualClock) -> None:
    """In the log's order, also when the first was redriven in vain."""
    decider = Decider(ledger)
    await decider.write(claims=[failed("e2"), failed("e1")], dead_letters=[
        letter("e2", offset=6, parks=True), letter("e1", offset=5, parks=True),
    ])  # fmt: skip
    await decider.write(claims=[failed("e0")], dead_letters=[letter("e0", offset=1)])
    clock.advance(1)
    await decider.write(claims=[failed("e1", redrive=1)], dead_letters=[letter("e1", offset=99, parks=True)])
    parked = (await ledger.read(asking())).standing
    assert {CardKey(APP, CARD): ["e1", "e2"]} == {key: list(events) for key, events in parked.items()}
    redriven = {one.event_id: one.redrive for one in await ledger.failures.inputs()}
    assert {"e0": 0, "e1": 1, "e2": 0} == redriven


def given_up(head: Head) -> EffectChange:
    """Return the change of an effect that the platform refused for good."""
    outcome = EffectOutcome(
        event_id=head.event_id,
        app_id=head.app_id,
        tenant_key=TENANT,
        message_id=head.message_id,
        index=head.index,
        k=head.k + 1,
        kind=head.kind,
        target=head.target,
        status="failed",
        attempts=1,
        code=230002,
        reason="platform_refused",
        finished_at=7,
    )
    encoded = msgspec.json.encode(outcome)
    return EffectChange(key=head.key, status="failed", k=head.k + 1, attempts=1, outcome=encoded)


async def test_an_effect_that_was_given_up_is_pending_again_and_told_so(ledger: SqlLedger) -> None:
    """Its target is due; what is not given up is left as it is."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"), effect("e1", 2, target="chat:oc_1"))
    leased = (await ledger.lease("pump", limit=9, ttl_ms=1000)).targets
    (gone,) = [one for one in leased if one.key == on()]
    await settle(ledger, settling(gone, changes=[given_up(gone.heads[0])]))
    (found,) = await ledger.failures.effects()
    assert (1, "UpdateCard", 230002, False) == (found.index, found.kind, found.outcome.code, found.returned)
    assert b'{"kind":"UpdateCard"}' == await ledger.failures.body(EffectKey(APP, EventId("e1"), 1))
    wanted = [EffectKey(APP, EventId("e1"), index) for index in (1, 2, 3)]
    assert 1 == await ledger.failures.redrive(wanted, topic="outcomes")
    assert [] == await ledger.failures.effects()
    again = await only(ledger)
    assert (on(), [(1, 2, 0)]) == (again.key, [(head.index, head.k, head.attempts) for head in again.heads])
    assert (None, await ledger.now()) == (gone.heads[0].redriven_at, again.heads[0].redriven_at)
    ((_, record),) = await ledger.outbox(limit=9)
    told = msgspec.json.decode(record.value, type=EffectOutcome)
    assert ("outcomes", 2, False, "redriven") == (record.topic, told.k, told.final, told.reason)
    assert 0 == await ledger.failures.redrive(wanted, topic="outcomes")
    assert await nothing_is_due(ledger)


async def test_a_failed_call_whose_handler_was_told_is_marked_so(ledger: SqlLedger) -> None:
    """It has been decided; a call that nobody waits for has not."""
    decider = Decider(ledger)
    kinds = {
        1: ("Call", b'{"kind":"Call","name":"publish"}'),
        2: ("CallApi", b'{"kind":"CallApi","method":"GET","path":"/open-apis/x","name":"x"}'),
        3: ("CallApi", b'{"kind":"CallApi","method":"GET","path":"/open-apis/x"}'),
    }
    await decider.decide(
        "e1",
        *(effect("e1", n, target=f"call:e1/{n}", kind=kind, payload=payload) for n, (kind, payload) in kinds.items()),
    )
    for one in (await ledger.lease("pump", limit=9, ttl_ms=1000)).targets:
        await settle(ledger, settling(one, changes=[given_up(one.heads[0])]))
    assert [(1, True), (2, True), (3, False)] == [(one.index, one.returned) for one in await ledger.failures.effects()]


async def test_what_was_kept_is_shown_whole_on_demand(ledger: SqlLedger) -> None:
    """And nothing of what is not there."""
    await Decider(ledger).write(claims=[failed("e1")], dead_letters=[letter("e1")])
    assert b'{"a":1}' == await ledger.failures.body(ClaimKey(APP, EventId("e1")))
    assert await ledger.failures.body(ClaimKey(APP, EventId("e2"))) is None
    (one,) = await ledger.failures.inputs()
    assert (CARD, KIND, "follow_up", "ValueError", False) == (
        MessageId(one.message_id or ""), one.kind, one.handler, one.reason, one.parks,
    )  # fmt: skip


def _order(decider: Decider) -> int:
    return decider.next * EFFECTS_PER_DECISION + 1


async def test_what_is_tried_again_is_shown_what_was_performed_since(ledger: SqlLedger) -> None:
    """The newest of each audience and key of the same card, found by the inputs about it; nothing older than it."""
    decider = Decider(ledger)
    for event, key in (("e1", "text:a"), ("e2", "text:a"), ("e3", "text:a"), ("e4", "text:a"), ("e5", "text:b")):
        row = replace(claim(event, offset=decider.next), message_id=CARD)
        text = effect(event, order=_order(decider), kind="StreamText")
        await decider.write(claims=[row], effects=[replace(text, coalesce=key)])
    leased = await only(ledger)
    assert () == tuple(leased.performed)
    changes = [given_up(head) if head.event_id == "e2" else succeeded(head) for head in leased.heads]
    await settle(ledger, settling(leased, changes=changes))
    assert 1 == await ledger.failures.redrive([EffectKey(APP, EventId("e2"), 1)], topic="outcomes")
    again = await only(ledger)
    assert ["e2"] == [head.event_id for head in again.heads]
    assert [("e4", "text:a"), ("e5", "text:b")] == sorted((head.event_id, head.coalesce) for head in again.performed)


async def test_a_switch_of_streaming_that_is_tried_again_is_shown_the_newest_since(ledger: SqlLedger) -> None:
    """It replaces nothing that waits, and is not to undo what was switched later."""
    decider = Decider(ledger)
    for event in ("e1", "e2", "e3"):
        row = replace(claim(event, offset=decider.next), message_id=CARD)
        switch = effect(event, order=_order(decider), kind="SetStreaming")
        await decider.write(claims=[row], effects=[replace(switch, coalesce=None)])
    leased = await only(ledger)
    changes = [given_up(head) if head.event_id == "e1" else succeeded(head) for head in leased.heads]
    await settle(ledger, settling(leased, changes=changes))
    assert 1 == await ledger.failures.redrive([EffectKey(APP, EventId("e1"), 1)], topic="outcomes")
    assert [("e3", "SetStreaming")] == [(head.event_id, head.kind) for head in (await only(ledger)).performed]


async def test_a_reminder_of_a_redriven_input_is_shown_what_was_done_about_it_since(ledger: SqlLedger) -> None:
    """It stands where its input was logged first, and whoever cancelled it later has had the last word."""
    decider, timer = Decider(ledger), timer_target(CARD, "escalate")
    cancelled = replace(claim("e2", offset=decider.next), message_id=CARD)
    cancel = effect("e2", order=8, kind="CancelReminder", target=timer)
    await decider.write(claims=[cancelled], effects=[replace(cancel, coalesce="timer")])
    leased = await only(ledger)
    await settle(ledger, settling(leased, changes=[succeeded(head) for head in leased.heads]))
    late = effect("e1", order=1, kind="Remind", target=timer)
    again = replace(claim("e1", offset=decider.next), message_id=CARD)
    await decider.write(claims=[again], effects=[replace(late, coalesce="timer", redriven=True)])
    leased = await only(ledger)
    assert (["e1"], ["e2"]) == ([head.event_id for head in leased.heads], [head.event_id for head in leased.performed])
