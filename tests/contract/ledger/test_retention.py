"""What is old goes, and nothing that anybody still needs (worker/ledger/kept.py, sweeps.py)."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from shared.clock import ManualClock
from shared.core.folded import RightKey
from shared.core.ids import EventId, MessageId, TenantKey
from shared.core.secret import Secret
from tests.contract.ledger.words import (
    APP,
    CARD,
    Decider,
    Opener,
    applied,
    card,
    claim,
    effect,
    lease,
    on,
    only,
    performed,
    settle,
    settling,
)
from tests.support.old_ledgers import rows_of
from worker.ledger.decided import EVERY_APP, CardKey, ClaimKey, ClaimRow, DeadLetter, Suspension, Wanted
from worker.ledger.kept import Store, Sweep, Swept
from worker.ledger.leased import BudgetKey, EffectChange, EffectKey, FaceRow, GivenRight, Rate
from worker.ledger.sql_ledger import SqlLedger

DAY_S: Final = 86_400.0
AGE_MS: Final = 45 * 86_400_000
OLD_S: Final = 45 * DAY_S + 1
STORES: Final[Sequence[Store]] = ("tokens", "dead_letters", "targets", "events", "faces", "budgets", "suspensions")
INPUTS: Final[Sequence[Store]] = ("targets", "events", "faces")


async def sweep(
    ledger: SqlLedger, *stores: Store, age_ms: int = AGE_MS, limit: int = 100, dry: bool = False
) -> Mapping[str, int]:
    """Sweep stores to their ends and return how many rows went, of the tables of which any did."""
    gone: Counter[str] = Counter()
    for store in stores:
        last, swept = None, Swept(last=(0,))
        while swept.last is not None:
            swept = await ledger.sweep(Sweep(store=store, older_than_ms=age_ms, after=last, limit=limit, dry=dry))
            gone.update(swept.rows)
            last = swept.last
    return {name: number for name, number in gone.items() if number}


async def left(url: str) -> Mapping[str, int]:
    """Return how many rows there are, of the tables that have any; less what every ledger has."""
    rows = {name: len(found) for name, found in (await rows_of(url)).items() if found}
    return {name: number for name, number in rows.items() if name not in {"positions", "roles"}}


def about(event: str, message: str = CARD, offset: int = 0, **columns: Any) -> ClaimRow:
    """Return the claim of a click on a card."""
    told: dict[str, Any] = {"result": "decided", "delivery_key": None, **columns}
    return ClaimRow(
        app_id=APP, event_id=EventId(event), partition=0, offset=offset, message_id=MessageId(message), **told
    )


def letter(event: str, **columns: Any) -> DeadLetter:
    """Return what is kept of an input whose handler failed."""
    return DeadLetter(
        app_id=APP,
        event_id=EventId(event),
        handler="follow_up",
        reason="ValueError",
        interaction=b"{}",
        kind="lark.card.interaction.received.v1",
        message_id=CARD,
        offset=0,
        **columns,
    )


def face(message: str = CARD, **columns: Any) -> FaceRow:
    """Return what is shown of a card."""
    return FaceRow(app_id=APP, message_id=MessageId(message), **columns)


async def clicked(ledger: SqlLedger, decider: Decider, event: str, message: str = CARD) -> None:
    """Have a click decided and its card updated."""
    target = f"message:{message}"
    await decider.write(
        claims=[about(event, message, decider.next)],
        cards=[card(message)],
        effects=[effect(event, target=target, message_id=MessageId(message))],
    )
    leased = await only(ledger)
    await settle(ledger, performed(leased, face=face(message, shown="x"), applied=applied(leased.heads[0])))


async def test_an_old_click_goes_with_its_effects_and_its_card(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock
) -> None:
    """And a day earlier, nothing does."""
    await clicked(ledger, Decider(ledger), "e1")
    clock.advance(OLD_S - DAY_S)
    assert {} == await sweep(ledger, *STORES)
    clock.advance(DAY_S)
    gone = {"targets": 1, "claims": 1, "effects": 1, "cards": 1, "faces": 1}
    assert gone == await sweep(ledger, *STORES, dry=True)
    assert gone == await left(ledger_url)
    assert gone == await sweep(ledger, *STORES)
    assert {} == await left(ledger_url)


async def test_a_card_goes_with_the_last_click_on_it(ledger: SqlLedger, ledger_url: str, clock: ManualClock) -> None:
    """However many there were, and however few of them a transaction looks at."""
    decider = Decider(ledger)
    for n in range(5):
        await clicked(ledger, decider, f"e{n}")
        clock.advance(60)
    clock.advance(OLD_S - 60)
    await clicked(ledger, decider, "new")
    assert {"claims": 5, "effects": 5} == await sweep(ledger, *INPUTS, limit=2)
    assert {"claims": 1, "effects": 1, "cards": 1, "faces": 1, "targets": 1} == await left(ledger_url)
    clock.advance(OLD_S)
    assert {"claims": 1, "effects": 1, "cards": 1, "faces": 1, "targets": 1} == await sweep(ledger, *INPUTS, limit=2)
    assert {} == await left(ledger_url)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_what_came_in_one_batch_goes_whatever_a_transaction_takes(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock, limit: int
) -> None:
    """Claims of one time are gone through by their keys; a rehearsal counts what will go."""
    events = [f"e{n}" for n in range(7)]
    await Decider(ledger).write(
        claims=[about(event, f"om_{n % 3}") for n, event in enumerate(events)],
        cards=[card(f"om_{n}") for n in range(3)],
    )
    clock.advance(OLD_S)
    gone = {"claims": 7, "cards": 3}
    assert [gone, gone] == [
        await sweep(ledger, *INPUTS, limit=limit, dry=True),
        await sweep(ledger, *INPUTS, limit=limit),
    ]
    assert {} == await left(ledger_url)


async def test_a_pending_effect_keeps_its_click_and_its_card(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock
) -> None:
    """A reminder may be due later than the click is old; those around it go."""
    decider = Decider(ledger)
    await clicked(ledger, decider, "e1")
    await decider.write(
        claims=[about("e2", offset=1)],
        effects=[effect("e2", 1, target="call:e2/1", kind="Remind", due_in_ms=90 * 86_400_000)],
    )
    clock.advance(OLD_S)
    assert {"claims": 1, "effects": 1, "targets": 1} == await sweep(ledger, *INPUTS)
    assert {"claims": 1, "effects": 1, "cards": 1, "faces": 1, "targets": 1} == await left(ledger_url)
    clock.advance(45 * DAY_S)
    leased = await only(ledger)
    await settle(ledger, performed(leased))
    assert {"claims": 1, "effects": 1, "cards": 1, "faces": 1} == await sweep(ledger, *INPUTS)
    clock.advance(OLD_S)
    assert {"targets": 1} == await sweep(ledger, *INPUTS)


async def test_a_dead_letter_keeps_its_claim_and_its_card(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock
) -> None:
    """Until it goes itself: it can be redriven as long as it is there."""
    await Decider(ledger).write(
        claims=[about("e1", result="failed")], cards=[card()], dead_letters=[letter("e1", parks=True)]
    )
    clock.advance(OLD_S)
    assert {} == await sweep(ledger, *INPUTS)
    wanted = Wanted(
        claims=(), deliveries=(), cards=[CardKey(APP, CARD)], apps=(), redrives=[ClaimKey(APP, EventId("e1"))]
    )
    known = await ledger.read(wanted)
    assert ([EventId("e1")], 1) == (list(known.standing[CardKey(APP, CARD)]), len(known.redrivable))
    assert {"dead_letters": 1} == await sweep(ledger, "dead_letters")
    assert {"claims": 1, "cards": 1} == await sweep(ledger, *INPUTS)
    assert {} == await left(ledger_url)


async def test_what_a_target_would_send_again_stays_while_the_target_is_used(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock
) -> None:
    """A chat's name of last year is sent again when a later call went wrong; so its effect is there."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1", target="chat:oc_1", kind="RenameChat"))
    leased = await only(ledger)
    await settle(ledger, performed(leased, applied=applied(leased.heads[0])))
    clock.advance(OLD_S)
    await decider.decide("e2", effect("e2", target="chat:oc_1", kind="SendText"))
    leased = await only(ledger)
    assert {} == await sweep(ledger, *INPUTS)
    await settle(ledger, performed(leased, resend=0))
    again = await only(ledger)
    assert again.resend is not None
    assert EventId("e1") == again.resend.event_id
    await settle(ledger, settling(again, resend="clear"))
    assert {} == await sweep(ledger, *INPUTS)
    clock.advance(OLD_S)
    assert {"targets": 1, "claims": 2, "effects": 2} == await sweep(ledger, *INPUTS)
    assert {} == await left(ledger_url)


async def test_a_late_duplicate_is_known_as_long_as_is_promised(ledger: SqlLedger, clock: ManualClock) -> None:
    """By its event and by its delivery, an hour before the time is over."""
    await Decider(ledger).write(claims=[claim("e1", delivery="d1")])
    clock.advance(OLD_S - 3_600)
    assert {} == await sweep(ledger, *STORES)
    assert [ClaimKey(APP, EventId("e1"))] == list(await ledger.claimed([ClaimKey(APP, EventId("e1"))]))


async def test_a_card_that_was_sent_and_never_clicked_goes_by_when_it_was_sent(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock
) -> None:
    """One that somebody clicked goes with the click."""
    decider = Decider(ledger)
    await decider.decide("send", effect("send", target="chat:oc_1", kind="SendCard", message_id=None))
    leased = await only(ledger)
    sent = [face("om_quiet", sent_at=clock.now()), face("om_clicked", sent_at=clock.now())]
    await settle(ledger, performed(leased, face=sent[0], linked=sent[1]))
    clock.advance(20 * DAY_S)
    await decider.write(claims=[about("e1", "om_clicked", 1)], cards=[card("om_clicked")])
    clock.advance(OLD_S - 20 * DAY_S)
    assert {"claims": 1, "effects": 1, "faces": 1, "targets": 1} == await sweep(ledger, *INPUTS)
    assert {"claims": 1, "cards": 1, "faces": 1} == await left(ledger_url)
    clock.advance(20 * DAY_S)
    assert {"claims": 1, "cards": 1, "faces": 1} == await sweep(ledger, *INPUTS)
    assert {} == await left(ledger_url)


async def test_tokens_go_by_when_they_were_received(ledger: SqlLedger, clock: ManualClock) -> None:
    """They are of no use after half an hour."""
    key = RightKey(APP, EventId("e1"), "card")
    await Decider(ledger).write(
        claims=[about("e1")], tokens=[GivenRight(key=key, token=Secret("c-1"), received_at=clock.now(), uses=0)]
    )
    day_ms = 86_400_000
    clock.advance(DAY_S)
    assert {} == await sweep(ledger, "tokens", age_ms=day_ms)
    clock.advance(1)
    assert {"card_tokens": 1} == await sweep(ledger, "tokens", age_ms=day_ms)
    assert {} == await ledger.tokens([key])


async def test_budgets_and_suspensions_go_when_they_say_what_none_says(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock
) -> None:
    """Those of organisations that went away, and of handlers that no longer exist."""
    rate = Rate(second_us=20_000, second_burst=0, minute_us=60_000, minute_burst=10)
    old, new = (BudgetKey(APP, TenantKey(name), "im.message.create") for name in ("gone", "here"))
    await ledger.reserve({old: (1, rate)}, ahead_ms=1_000)
    decider = Decider(ledger)
    until = clock.now() + 60_000
    await decider.write(
        suspensions=[Suspension(app_id=EVERY_APP, handler="gone", misses=3, until=until, pause_ms=60_000)]
    )
    clock.advance(OLD_S + 60)
    await ledger.reserve({new: (1, rate)}, ahead_ms=1_000)
    await decider.write(
        suspensions=[Suspension(app_id=EVERY_APP, handler="here", misses=1, recent=1, since=clock.now())]
    )
    assert {"budgets": 1, "suspensions": 1} == await sweep(ledger, *STORES, limit=1)
    assert {"budgets": 1, "suspensions": 1} == await left(ledger_url)


async def test_an_idle_target_that_work_is_about_to_move_to_stays(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock
) -> None:
    """It is touched before the work is there: between the two a sweep may come."""
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1", target="chat:oc_1", kind="SendText"))
    await settle(ledger, performed(await only(ledger)))
    clock.advance(OLD_S)
    await decider.decide("e2", effect("e2", target="card-chat:om_1", kind="RenameChat"))
    leased = await only(ledger)
    moved = {leased.heads[0].key: on("chat:oc_1").target}
    await asyncio.gather(settle(ledger, settling(leased, moved=moved)), sweep(ledger, *INPUTS))
    assert [on("chat:oc_1")] == [one.key for one in (await lease(ledger)).targets]


async def test_two_who_sweep_at_once_leave_nothing_and_take_nothing_twice(
    ledger_url: str, clock: ManualClock, opened: Opener
) -> None:
    """A worker and somebody by hand: the clicks of one card, each taken by either, and its card goes."""
    one, other = opened(ledger_url, clock), opened(ledger_url, clock)
    await one.begin(1)
    decider = Decider(one)
    for n in range(20):
        await decider.write(
            claims=[about(f"e{n:02}", f"om_{n % 2}", n)], cards=[card(f"om_{n % 2}")],
        )  # fmt: skip
        clock.advance(1)
    clock.advance(OLD_S)
    gone = await asyncio.gather(*(sweep(each, *INPUTS, limit=3) for each in (one, other)))
    assert {"claims": 20, "cards": 2} == dict(Counter(gone[0]) + Counter(gone[1]))
    assert {} == await left(ledger_url)


async def test_deciding_and_sweeping_the_same_cards_at_once_do_not_hinder_each_other(
    ledger_url: str, clock: ManualClock, opened: Opener
) -> None:
    """Whatever the order: every new click is decided, no transaction is refused, and no new row goes."""
    one, other = opened(ledger_url, clock), opened(ledger_url, clock)
    await one.begin(1)
    decider = Decider(one)
    await decider.write(
        claims=[about(f"old{n:02}", f"om_{n}") for n in range(40)],
        cards=[card(f"om_{n}") for n in range(40)],
        effects=[effect(f"old{n:02}", target=f"message:om_{n}") for n in range(40)],
    )
    leased = await lease(one, limit=40)
    await settle(one, *(performed(each) for each in leased.targets))
    clock.advance(OLD_S)

    async def decide() -> None:
        for n in reversed(range(40)):
            target = f"message:om_{n}"
            await decider.write(
                claims=[about(f"new{n:02}", f"om_{n}", n)],
                cards=[card(f"om_{n}", version=2)],
                effects=[effect(f"new{n:02}", target=target)],
            )
            # A target that the sweep holds at this moment is skipped, and taken when somebody looks again.
            while not (leased := await lease(one)).targets:  # noqa: ASYNC110  (there is no event to wait for)
                await asyncio.sleep(0)
            await settle(one, *(performed(each) for each in leased.targets))

    await asyncio.gather(decide(), sweep(other, *INPUTS, limit=4))
    await sweep(other, *INPUTS)
    assert {"claims": 40, "cards": 40, "effects": 40, "targets": 40} == await left(ledger_url)
    assert {2} == {row["version"] for row in (await rows_of(ledger_url))["cards"]}


async def test_an_effect_that_was_given_up_goes_with_its_click_unless_it_is_tried_again(
    ledger: SqlLedger, ledger_url: str, clock: ManualClock
) -> None:
    """Redriven in the last hour it is pending, and stays until it is done."""
    decider = Decider(ledger)
    for event in ("e1", "e2"):
        target = f"message:{event}"
        await decider.decide(event, effect(event, target=target))
        leased = await only(ledger)
        given_up = EffectChange(key=leased.heads[0].key, status="failed", k=1, attempts=1, outcome=b"{}")
        await settle(ledger, settling(leased, changes=[given_up]))
    clock.advance(OLD_S)
    await ledger.failures.redrive([EffectKey(APP, EventId("e2"), 1)], topic="outcomes")
    assert {"claims": 1, "effects": 1, "targets": 1} == await sweep(ledger, *INPUTS)
    assert ["e2"] == [row["event_id"] for row in (await rows_of(ledger_url))["effects"]]


async def test_how_old_the_oldest_rows_are_is_told(ledger: SqlLedger, clock: ManualClock) -> None:
    """Of each table that is found by its time and has any."""
    begun = clock.now()
    await clicked(ledger, Decider(ledger), "e1")
    clock.advance(60)
    aged = await ledger.aged()
    assert (clock.now(), {"claims": begun, "targets": begun}) == (aged.now, aged.oldest)
