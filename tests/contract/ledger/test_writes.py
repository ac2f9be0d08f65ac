"""What a batch decided is stored whole or not at all, once (worker/ledger/port.py)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared.clock import ManualClock
from shared.core.ids import AppId, DeliveryKey, EventId, MessageId, OpenId
from shared.core.json_text import JsonText
from shared.core.races import Standing, joined
from shared.core.secret import Secret
from tests.contract.ledger.words import (
    APP,
    CARD,
    Decider,
    Opener,
    card,
    claim,
    effect,
    mark,
    told,
    waiting,
)
from tests.support.dump import dump
from worker.ledger.decided import (
    EVERY_APP,
    AppTicket,
    CardKey,
    ClaimKey,
    DeadLetter,
    DeliveryRef,
    Position,
    Suspension,
    Wanted,
    Write,
)
from worker.ledger.port import ClaimRace, DataRefused, Fenced
from worker.ledger.sql_ledger import SqlLedger

NOTHING = Wanted(claims=[], deliveries=[], cards=[], apps=[])


async def everything(ledger: SqlLedger) -> tuple[Any, ...]:
    """Return all that a refused batch must not have touched."""
    known = await ledger.read(replace(NOTHING, apps=[APP]))
    return (
        await ledger.positions(),
        await dump(ledger.database),
        await ledger.outbox(limit=100),
        (await ledger.pulse()).next_due,
        known.suspensions,
        known.new_style_at,
    )


async def test_a_cards_races_are_kept_with_it_and_replaced_with_it(ledger: SqlLedger) -> None:
    """Whatever a person's id holds: as bytes, like all JSON."""
    key, decider = CardKey(APP, CARD), Decider(ledger)
    first = {"投票": Standing(winners=(OpenId("ou_\0"),), voters=(OpenId("ou_ada"), OpenId("ou_\0")))}
    await decider.write(claims=[claim("e1")], cards=[card(rules=first)])
    assert first == (await ledger.read(replace(NOTHING, cards=[key]))).cards[key].rules
    second = joined(first, "take", Standing(winners=(OpenId("ou_bob"),)))
    await decider.write(claims=[claim("e2")], cards=[card(version=2, rules=second)])
    assert second == (await ledger.read(replace(NOTHING, cards=[key]))).cards[key].rules
    await decider.write(claims=[claim("e3")], cards=[card("om_plain")])
    plain = CardKey(APP, MessageId("om_plain"))
    assert {} == (await ledger.read(replace(NOTHING, cards=[plain]))).cards[plain].rules


async def test_the_newest_ticket_of_a_store_app_is_kept(ledger: SqlLedger) -> None:
    """By the time it was received: one that was logged late replaces nothing, and no other fact of the app does."""
    decider, other = Decider(ledger), AppId("cli_b")
    assert await ledger.app_ticket(APP) is None
    await decider.write(new_style_at={APP: 7})
    assert await ledger.app_ticket(APP) is None
    for ticket, at in [("second", 20), ("first", 10)]:
        await decider.write(tickets={APP: AppTicket(ticket=Secret(ticket), at=at)})
    await decider.write(new_style_at={APP: 99}, tickets={other: AppTicket(ticket=Secret("other"), at=1)})
    assert [Secret("second"), Secret("other")] == [await ledger.app_ticket(APP), await ledger.app_ticket(other)]
    known = await ledger.read(replace(NOTHING, apps=[APP, other]))
    assert {APP: 99, other: 0} == known.new_style_at
    await decider.write(tickets={APP: AppTicket(ticket=Secret("third"), at=30)})
    assert Secret("third") == await ledger.app_ticket(APP)


async def test_positions_begin_at_zero_and_are_begun_once(ledger: SqlLedger) -> None:
    """Beginning a ledger that has positions leaves them where they are."""
    await Decider(ledger, 1).write()
    await ledger.begin(3)
    assert {0: Position(next=0), 1: Position(next=1, last_id="id-0"), 2: Position(next=0)} == await ledger.positions()


async def test_a_written_batch_can_be_read(ledger: SqlLedger, clock: ManualClock) -> None:
    """What was written is known to the next batch, at the ledger's time, and what was not asked for is left out."""
    row = card(version=3, state=JsonText('{"n":1}'), content=JsonText("{}"), newest_at=5)
    suspended = Suspension(app_id=EVERY_APP, handler="follow_up", misses=2, until=9, pause_ms=60_000)
    at = await Decider(ledger).write(
        claims=[claim("e1", delivery="d1"), claim("e2")],
        cards=[row, card("om_other")],
        suspensions=[suspended],
        new_style_at={APP: 77},
    )
    known = await ledger.read(
        Wanted(
            claims=[ClaimKey(APP, EventId("e1")), ClaimKey(APP, EventId("unknown"))],
            deliveries=[DeliveryRef(APP, DeliveryKey("d1")), DeliveryRef(APP, DeliveryKey("d2"))],
            cards=[CardKey(APP, CARD)],
            apps=[APP, AppId("cli_b")],
        )
    )
    assert clock.now() == at == known.now
    assert {ClaimKey(APP, EventId("e1")): "decided"} == known.claims
    assert {DeliveryRef(APP, DeliveryKey("d1"))} == known.deliveries
    assert {CardKey(APP, CARD): row} == known.cards
    assert {APP: 77} == known.new_style_at
    assert {suspended.key: suspended} == known.suspensions


async def test_keys_of_two_apps_do_not_meet(ledger: SqlLedger) -> None:
    """The same event, delivery and message of another app are other rows."""
    other = AppId("cli_b")
    mine, theirs = claim("e1", delivery="d1"), replace(claim("e1", delivery="d1"), app_id=other)
    await Decider(ledger).write(claims=[mine, theirs], cards=[card(version=1), replace(card(version=2), app_id=other)])
    known = await ledger.read(replace(NOTHING, cards=[CardKey(other, CARD)]))
    assert [2] == [row.version for row in known.cards.values()]


async def test_json_that_strict_parsers_refuse_is_stored_as_it_is(ledger: SqlLedger) -> None:
    """NUL, lone surrogates and huge numbers inside JSON text come back byte for byte."""
    state = JsonText('{"nul":"\\u0000","half":"\\ud800","big":1e400,"n":123456789012345678901234567890}')
    await Decider(ledger).write(cards=[card(state=state)])
    known = await ledger.read(replace(NOTHING, cards=[CardKey(APP, CARD)]))
    assert state == known.cards[CardKey(APP, CARD)].state


async def test_claimed_returns_those_that_are(ledger: SqlLedger) -> None:
    """Only claimed inputs are returned."""
    await Decider(ledger).write(claims=[claim("e1")])
    asked = {ClaimKey(APP, EventId("e1")), ClaimKey(APP, EventId("e2"))}
    assert {ClaimKey(APP, EventId("e1"))} == await ledger.claimed(asked)


async def test_the_second_writer_of_a_partition_is_fenced(ledger: SqlLedger) -> None:
    """A batch read from an old position changes nothing, whatever else it holds."""
    late = Decider(ledger).batch(claims=[claim("late")], cards=[card()], effects=[effect("late")], outbox=[told("x")])
    await Decider(ledger).write(claims=[claim("e1")])
    before = await everything(ledger)
    with pytest.raises(Fenced):
        await ledger.write(late)
    assert before == await everything(ledger)


async def test_a_batch_is_fenced_if_one_of_its_partitions_is(ledger: SqlLedger) -> None:
    """All positions are compared and set together."""
    await Decider(ledger, 1).write()
    before = await everything(ledger)
    moves = [move for partition in (0, 1, 2) for move in Decider(ledger, partition).batch().moves]
    with pytest.raises(Fenced):
        await ledger.write(Write(moves=moves))
    assert before == await everything(ledger)


async def test_of_writers_at_once_one_commits(ledger_url: str, opened: Opener) -> None:
    """However many workers think that a partition is theirs, each offset is decided once."""
    ledgers = [opened(ledger_url) for _ in range(4)]
    await ledgers[0].begin(1)
    for round_ in range(10):
        writes = []
        for worker, ledger in enumerate(ledgers):
            decider = Decider(ledger)
            decider.next = round_
            writes.append(decider.write(claims=[claim(f"e{round_}-{worker}")]))
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert 1 == sum(isinstance(result, int) for result in results)
        assert 3 == sum(isinstance(result, Fenced) for result in results)
    assert 10 == len((await dump(ledgers[0].database)).claims)


async def test_an_event_is_claimed_once(ledger: SqlLedger) -> None:
    """A batch with a claim that exists changes nothing and is to be decided again."""
    await Decider(ledger).write(claims=[claim("e1")])
    before = await everything(ledger)
    with pytest.raises(ClaimRace):
        await Decider(ledger, 1).write(claims=[claim("e0"), claim("e1")], cards=[card()], outbox=[told("x")])
    assert before == await everything(ledger)


async def test_a_delivery_is_claimed_once(ledger: SqlLedger) -> None:
    """The same bytes under another event id are a duplicate."""
    await Decider(ledger).write(claims=[claim("e1", delivery="d")])
    with pytest.raises(ClaimRace):
        await Decider(ledger, 1).write(claims=[claim("e2", delivery="d")])


async def test_of_duplicates_at_once_one_commits(ledger_url: str, opened: Opener) -> None:
    """Two partitions that decide the same delivery at the same moment: one of them decides again."""
    ledgers = [opened(ledger_url) for _ in range(3)]
    await ledgers[0].begin(3)
    deciders = [Decider(ledger, partition) for partition, ledger in enumerate(ledgers)]
    for number in range(10):
        writes = [each.write(claims=[claim(f"e{number}-{each.partition}", delivery=f"d{number}")]) for each in deciders]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert 1 == sum(isinstance(result, int) for result in results)
        assert 2 == sum(isinstance(result, ClaimRace) for result in results)


REFUSED = {
    "NUL in an event id": {"claims": [claim("e\0")]},
    "NUL in a message id": {"cards": [card("om\0")]},
    "NUL in a target": {"effects": [effect("e", target="user:\0")]},
    "a number beyond 64 bits": {"cards": [card(newest_at=2**70)]},
    "an offset beyond 64 bits": {"claims": [claim("e", offset=2**64)]},
    "half a character": {"claims": [claim("e\ud800")]},
}


@pytest.mark.parametrize("what", REFUSED.values(), ids=REFUSED.keys())
async def test_data_that_cannot_be_stored_is_refused(ledger: SqlLedger, what: dict[str, Any]) -> None:
    """Both databases refuse the same values, say nothing of them, and change nothing."""
    before = await everything(ledger)
    with pytest.raises(DataRefused) as refused:
        await Decider(ledger).write(**{"claims": [claim("good")], "outbox": [told("x")], **what})
    assert "the database refuses a value" in str(refused.value)
    assert refused.value.__cause__ is None
    assert before == await everything(ledger)


async def test_a_large_batch_is_one_transaction(ledger: SqlLedger) -> None:
    """More rows than one statement takes are still written whole."""
    events = [f"e{number:04}" for number in range(2_500)]
    await Decider(ledger).write(
        claims=[claim(event, delivery=f"d{event}") for event in events],
        cards=[card(f"om_{event}") for event in events],
        effects=[waiting(event, target=f"message:om_{event}") for event in events],
        outbox=[told(event) for event in events],
    )
    await Decider(ledger, 1).write(marks=[mark(event) for event in events])
    held = await dump(ledger.database)
    assert [2_500] * 3 == [len(held.claims), len(held.cards), len(held.effects)]
    assert events == [record.value.decode() for _, record in await ledger.outbox(limit=10_000)]
    assert all(row["marked_at"] for row in held.effects)


async def test_what_is_rarely_written_keeps_its_newest(ledger: SqlLedger) -> None:
    """An app's newest callback never gets older; a suspension and a dead letter are replaced."""
    letter = DeadLetter(
        app_id=APP,
        event_id=EventId("e"),
        handler="h",
        reason="ValueError",
        interaction=b"{}",
        kind="lark.card.interaction.received.v1",
    )
    decider = Decider(ledger)
    await decider.write(
        new_style_at={APP: 9}, suspensions=[Suspension(app_id=EVERY_APP, handler="h", misses=1)], dead_letters=[letter]
    )
    await decider.write(
        new_style_at={APP: 5}, suspensions=[Suspension(app_id=EVERY_APP, handler="h")], dead_letters=[letter]
    )
    known = await ledger.read(replace(NOTHING, apps=[APP]))
    assert {APP: 9} == known.new_style_at
    assert [Suspension(app_id=EVERY_APP, handler="h")] == list(known.suspensions.values())


async def test_a_suspension_in_force_is_not_lifted_by_a_worker_that_did_not_know_of_it(
    ledger: SqlLedger, clock: ManualClock
) -> None:
    """A batch that was read before another worker suspended the handler writes its clean slate in vain."""
    decider = Decider(ledger)
    suspended = Suspension(app_id=EVERY_APP, handler="h", misses=3, until=clock.now() + 60_000, pause_ms=60_000)
    await decider.write(suspensions=[suspended])
    await decider.write(suspensions=[Suspension(app_id=EVERY_APP, handler="h")])
    assert {suspended.key: suspended} == (await ledger.read(NOTHING)).suspensions
    longer = replace(suspended, misses=4, until=clock.now() + 120_000)
    await decider.write(suspensions=[longer])
    assert {longer.key: longer} == (await ledger.read(NOTHING)).suspensions
    clock.advance(121)
    forgiven = Suspension(app_id=EVERY_APP, handler="h")
    await decider.write(suspensions=[forgiven])
    assert {forgiven.key: forgiven} == (await ledger.read(NOTHING)).suspensions


async def test_a_handler_of_each_app_has_a_record_of_its_own(ledger: SqlLedger, clock: ManualClock) -> None:
    """Whatever slashes are in its name, which an app's might be glued to otherwise."""
    decider = Decider(ledger)
    hung = Suspension(app_id=APP, handler="h", misses=3, until=clock.now() + 60_000, pause_ms=60_000)
    others = [
        Suspension(app_id=app_id, handler=handler, misses=1)
        for app_id, handler in ((AppId("cli_b"), "h"), (EVERY_APP, "h"), (EVERY_APP, f"{APP}/h"), (APP, "a/h"))
    ]
    await decider.write(suspensions=[*others, hung])
    late = [replace(other, misses=2) for other in others]
    await decider.write(suspensions=late)
    assert {standing.key: standing for standing in [*late, hung]} == (await ledger.read(NOTHING)).suspensions
