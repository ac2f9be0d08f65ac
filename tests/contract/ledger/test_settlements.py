"""What became of effects is stored, and the target is due with what is left (worker/ledger/port.py)."""

from dataclasses import replace

from shared.clock import ManualClock
from shared.core.ids import ChatId, Target
from shared.core.json_text import JsonText
from tests.contract.ledger.words import (
    APP,
    CARD,
    ON_CARD,
    TTL_MS,
    Decider,
    applied,
    effect,
    lease,
    nothing_is_due,
    on,
    only,
    performed,
    retried,
    settle,
    settling,
    succeeded,
)
from worker.ledger.decided import CardKey, Wanted
from worker.ledger.leased import FaceRow
from worker.ledger.sql_ledger import SqlLedger

NOTHING = Wanted(claims=[], deliveries=[], cards=[], apps=[])


async def test_a_settled_target_is_due_with_its_next_effect(ledger: SqlLedger, clock: ManualClock) -> None:
    """Done effects leave it, retried ones and those that came meanwhile make it due; without any it is not."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    leased = await only(ledger)
    await settle(
        ledger,
        settling(leased, changes=[retried(leased.heads[0], 5_000)]),
    )
    assert clock.now() + 5_000 == (await ledger.pulse()).next_due
    clock.advance(5)
    leased = await only(ledger)
    assert (1, 1) == (leased.heads[0].k, leased.heads[0].attempts)
    await decider.decide("e2", effect("e2", due_in_ms=700))
    await settle(
        ledger,
        settling(leased, changes=[succeeded(leased.heads[0])]),
    )
    assert clock.now() + 700 == (await ledger.pulse()).next_due
    clock.advance(1)
    await settle(ledger, performed(await only(ledger)))
    assert (await ledger.pulse()).next_due is None


async def test_pacing_outlasts_a_wake_up(ledger: SqlLedger, clock: ManualClock) -> None:
    """No call before the pace is over, neither for work that waited nor for work that arrives."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    await settle(ledger, performed(await only(ledger), pace_ms=200))
    clock.advance(0.1)
    await decider.decide("e2", effect("e2"))
    assert await nothing_is_due(ledger)
    assert clock.now() + 100 == (await ledger.pulse()).next_due
    clock.advance(0.1)
    assert ["e2"] == [head.event_id for head in (await only(ledger)).heads]


async def test_what_was_put_off_is_due_again_when_it_is_called_up(ledger: SqlLedger, clock: ManualClock) -> None:
    """But not what somebody holds, or what nothing waits for."""
    decider = Decider(ledger)
    for number in range(3):
        await decider.decide(f"e{number}", effect(f"e{number}", target=f"call:e{number}/1"))
    put_off, held, over = (await lease(ledger)).targets
    await settle(ledger, settling(put_off, called=False, pace_ms=30_000), performed(over))
    await ledger.resume([put_off.key, held.key, over.key])
    assert [put_off.key] == [one.key for one in (await lease(ledger)).targets]
    assert clock.now() + TTL_MS == (await ledger.pulse()).next_due


async def test_what_is_known_of_a_card_is_kept(ledger: SqlLedger) -> None:
    """Fields that a settlement does not know stay; the card's target shows the whole face, and so does a read."""
    decider = Decider(ledger)
    known = FaceRow(app_id=APP, message_id=CARD, chat_id=ChatId("oc"), sent_at=5, sent=JsonText("{}"))
    for event, face in (("e1", known), ("e2", FaceRow(app_id=APP, message_id=CARD, shown="x", shown_order=7))):
        await decider.decide(event, effect(event))
        await settle(ledger, performed(await only(ledger), face=face))
    whole = replace(known, shown="x", shown_order=7)
    await decider.decide(
        "e3", effect("e3"), effect("e3", 2, target=f"chat-of:{CARD}"), effect("e3", 3, target="chat:c")
    )
    faces = {one.key.target: one.face for one in (await lease(ledger)).targets}
    assert {ON_CARD: whole, f"chat-of:{CARD}": whole, "chat:c": None} == faces
    assert {CardKey(APP, CARD): whole} == (await ledger.read(replace(NOTHING, cards=[CardKey(APP, CARD)]))).faces


async def test_two_settlements_may_know_the_same_card(ledger: SqlLedger) -> None:
    """What a send and a look-up learn of one card in the same transaction adds up."""
    await Decider(ledger).decide("e1", effect("e1", 1), effect("e1", 2, target=f"chat-of:{CARD}"))
    one, other = (await lease(ledger)).targets
    sent = FaceRow(app_id=APP, message_id=CARD, sent_at=5)
    await settle(ledger, performed(one, face=sent), performed(other, face=replace(sent, sent_at=None, shown="x")))
    known = await ledger.read(replace(NOTHING, cards=[CardKey(APP, CARD)]))
    assert replace(sent, shown="x") == known.faces[CardKey(APP, CARD)]


async def test_the_newest_applied_update_is_remembered(ledger: SqlLedger) -> None:
    """A later lease knows it; a settlement without one leaves it."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    leased = await only(ledger)
    newest = applied(leased.heads[0])
    await settle(ledger, performed(leased, applied=newest))
    for event in ("e2", "e3"):
        await decider.decide(event, effect(event))
        leased = await only(ledger)
        assert newest == leased.applied
        await settle(ledger, performed(leased))


async def test_a_moved_effect_is_found_at_its_new_target(ledger: SqlLedger, clock: ManualClock) -> None:
    """An effect for a chat that was not known waits under the chat as soon as it is, whether or not it existed."""
    await Decider(ledger).decide("e1", effect("e1", target=f"chat-of:{CARD}"))
    leased = await only(ledger)
    moved = {leased.heads[0].key: Target("chat:oc")}
    await settle(ledger, settling(leased, moved=moved))
    leased = await only(ledger)
    assert (on("chat:oc"), ["e1"]) == (leased.key, [head.event_id for head in leased.heads])
    await settle(ledger, performed(leased))
    assert (await ledger.pulse()).next_due is None


async def test_an_effect_that_moves_to_a_leased_target_is_not_lost(ledger: SqlLedger) -> None:
    """The chat's present holder finds it due when it lets go."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1", target="chat:oc"))
    holder = await only(ledger, "holder")
    await decider.decide("e2", effect("e2", target=f"chat-of:{CARD}"))
    leased = await only(ledger)
    moved = {leased.heads[0].key: Target("chat:oc")}
    await settle(ledger, settling(leased, moved=moved))
    assert await nothing_is_due(ledger)
    await settle(ledger, performed(holder), owner="holder")
    assert ["e2"] == [head.event_id for head in (await only(ledger)).heads]
