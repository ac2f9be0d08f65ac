"""What clicks give the right to: kept with the decision, counted before a call, given back if there was none."""

from dataclasses import replace

from shared.core.folded import RightKey
from shared.core.ids import EventId
from shared.core.secret import Secret
from tests.contract.ledger.words import APP, CARD, Decider, effect, on, only, performed, settle, settling
from worker.ledger.leased import Beginning, Begun, FaceRow, GivenRight, Leased
from worker.ledger.sql_ledger import SqlLedger

KEY = RightKey(APP, EventId("e1"), "card")
GIVEN = GivenRight(key=KEY, token=Secret("c-1"), received_at=7)


async def _decided(ledger: SqlLedger) -> None:
    await Decider(ledger).decide("e1", effect("e1"), tokens=[GIVEN])


async def test_a_right_is_kept_as_it_was_given(ledger: SqlLedger) -> None:
    """With its decision, by its event; others are unknown."""
    await _decided(ledger)
    assert {KEY: GIVEN} == await ledger.tokens([KEY, RightKey(APP, EventId("e2"), "card")])


async def test_a_use_is_counted_when_a_call_begins(ledger: SqlLedger) -> None:
    """Twice, and then there is nothing left to count."""
    await _decided(ledger)
    head = (await only(ledger)).heads[0]
    beginning = Beginning(key=head.key, token=KEY)
    given = [(await ledger.begun([beginning]))[head.key] for _ in range(3)]
    assert [Begun(uses_left=1), Begun(uses_left=0), Begun(uses_left=None)] == given
    assert 2 == (await ledger.tokens([KEY]))[KEY].uses


async def test_a_use_that_was_none_is_given_back(ledger: SqlLedger) -> None:
    """With the settlement of the call that reached nobody."""
    await _decided(ledger)
    leased = await only(ledger)
    await ledger.begun([Beginning(key=leased.heads[0].key, token=KEY)])
    await settle(ledger, performed(leased, refund=KEY))
    assert 0 == (await ledger.tokens([KEY]))[KEY].uses


async def test_a_lost_lease_gives_nothing_back(ledger: SqlLedger) -> None:
    """Somebody else may have used the right meanwhile: a use too few is safe, one too many is not."""
    await _decided(ledger)
    leased = await only(ledger)
    await ledger.begun([Beginning(key=leased.heads[0].key, token=KEY)])
    await settle(ledger, performed(leased, refund=KEY), owner="somebody else")
    assert 1 == (await ledger.tokens([KEY]))[KEY].uses


async def test_a_decision_that_is_written_again_keeps_the_count(ledger: SqlLedger) -> None:
    """A redriven event has used what it has used."""
    await _decided(ledger)
    head = (await only(ledger)).heads[0]
    await ledger.begun([Beginning(key=head.key, token=KEY)])
    decider = Decider(ledger, partition=1)
    await decider.write(tokens=[GIVEN])
    assert 1 == (await ledger.tokens([KEY]))[KEY].uses


async def test_each_operation_on_an_entity_takes_a_higher_sequence(ledger: SqlLedger) -> None:
    """In the step that records it as begun; what somebody else was ahead by is added by a settlement."""
    await _decided(ledger)
    leased = await only(ledger)
    known = FaceRow(app_id=APP, message_id=CARD, card_id="7")
    await settle(ledger, settling(leased, face=known))
    head = (await only(ledger)).heads[0]
    beginning = Beginning(key=head.key, entity=(APP, CARD))
    given = [(await ledger.begun([beginning]))[head.key].sequence for _ in range(2)]
    await settle(ledger, settling(await _again(ledger), face=replace(known, sequence=1_000)))
    given.append((await ledger.begun([beginning]))[head.key].sequence)
    assert [1, 2, 1_001] == given


async def _again(ledger: SqlLedger) -> Leased:
    """Return the lease that is held: of the same moment."""
    return Leased(key=on(), leased_at=await ledger.now(), heads=[])
