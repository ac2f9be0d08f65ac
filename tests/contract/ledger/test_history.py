"""A card's story can be read at any time, and nothing of its content with it (worker/history/card_history.py)."""

from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest

from shared.clock import ManualClock
from shared.core.events import EffectOutcome
from shared.core.folded import RightKey
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import JsonText
from shared.core.races import Standing as Race
from shared.core.secret import Secret
from tests.contract.ledger.words import (
    APP,
    CARD,
    ON_CARD,
    TTL_MS,
    Decider,
    Opener,
    card,
    claim,
    effect,
    lease,
    mark,
    only,
    retried,
    settle,
    settling,
    waiting,
)
from worker.history.card_history import CardHistory, Standing
from worker.ledger.decided import EVERY_APP, ClaimRow, DeadLetter, Suspension
from worker.ledger.leased import BudgetKey, EffectChange, FaceRow, GivenRight, Head
from worker.ledger.port import SchemaMismatch
from worker.ledger.sql_ledger import SqlLedger

SENT_AT = 1_750_000_000_000


def clicked(event: str, *, offset: int = 0, partition: int = 0, **columns: Any) -> ClaimRow:
    """Return the claim of a click on the card."""
    about: dict[str, Any] = {"message_id": CARD, "open_id": OpenId("ou_ada"), "occurred_at": 5, **columns}
    return replace(claim(event, partition=partition, offset=offset), **about)


async def told(ledger: SqlLedger) -> CardHistory:
    """Return the card's one story."""
    (history,) = await ledger.histories.of_card(CARD)
    return history


def outcome(head: Head, **told: Any) -> EffectChange:
    """Return the change that an outcome makes."""
    given: dict[str, Any] = {
        "status": "failed",
        "reason": "platform_refused",
        "code": 230031,
        "log_id": "log-1",
        **told,
    }
    fact = EffectOutcome(
        event_id=head.event_id,
        app_id=APP,
        tenant_key=TenantKey("t"),
        index=head.index,
        k=head.k + 1,
        kind=head.kind,
        target=head.target,
        finished_at=77,
        **given,
    )
    return EffectChange(key=head.key, status=fact.status, k=fact.k, attempts=1, outcome=msgspec.json.encode(fact))


async def test_a_card_that_nobody_knows_has_no_story(ledger: SqlLedger) -> None:
    """Neither of any app nor of one."""
    assert [] == list(await ledger.histories.of_card(CARD))
    assert [] == list(await ledger.histories.of_card(CARD, app_id=APP))


async def test_clicks_are_told_in_log_order(ledger: SqlLedger, clock: ManualClock) -> None:
    """With who acted, when, by which handler and what came of it."""
    decider = Decider(ledger)
    await decider.write(claims=[clicked("e1", late=True)])
    clock.advance(2)
    await decider.write(claims=[replace(clicked("e2", offset=1, open_id=None), result="failed", reason="deadline")])
    await decider.write(claims=[clicked("other", offset=2, message_id=MessageId("om_other"))])
    history = await told(ledger)
    assert ["e1", "e2"] == [one.event_id for one in history.inputs]
    first, second = history.inputs
    assert ("ou_ada", 5, "follow_up", "decided", True) == (
        first.open_id,
        first.occurred_at,
        first.handler,
        first.result,
        first.late,
    )
    assert (None, "failed", "deadline", False) == (second.open_id, second.result, second.reason, second.late)
    assert 2000 == second.decided_at - first.decided_at
    assert history.now == second.decided_at


async def test_only_the_newest_clicks_are_told(ledger: SqlLedger) -> None:
    """The others are counted."""
    decider = Decider(ledger)
    for number in range(5):
        await decider.write(claims=[clicked(f"e{number}", offset=number)])
    (history,) = await ledger.histories.of_card(CARD, limit=2)
    assert (["e3", "e4"], 3) == ([one.event_id for one in history.inputs], history.older)


async def test_effects_are_told_with_their_newest_outcome(ledger: SqlLedger) -> None:
    """Whatever they act on; those of other cards' clicks are not."""
    decider = Decider(ledger)
    await decider.decide("other", effect("other", target="message:om_other", message_id=MessageId("om_other")))
    await decider.write(claims=[clicked("e1", offset=1)], effects=[effect("e1"), effect("e1", 2, target="chat:oc_1")])
    leased = {one.key.target: one for one in (await lease(ledger)).targets}
    (head,) = leased[ON_CARD].heads
    await settle(ledger, settling(leased[ON_CARD], changes=[outcome(head)]))
    on_card, in_chat = (await told(ledger)).effects
    assert ("failed", 1, 1) == (on_card.status, on_card.k, on_card.attempts)
    assert on_card.outcome is not None
    assert (230031, "log-1", 77) == (on_card.outcome.code, on_card.outcome.log_id, on_card.outcome.finished_at)
    assert ("pending", "chat:oc_1", None) == (in_chat.status, in_chat.target, in_chat.outcome)


async def test_what_waits_is_told_with_its_target(ledger: SqlLedger, clock: ManualClock) -> None:
    """When it is due, whether its mark was seen, whether it is leased, how long it is paced."""
    decider = Decider(ledger)
    await decider.write(claims=[clicked("e1")], effects=[waiting("e1")])
    (pending,) = (await told(ledger)).effects
    assert (None, pending.decided_at + 3000) == (pending.marked_at, pending.due)
    marked_at = await decider.write(marks=[mark("e1")])
    (pending,) = (await told(ledger)).effects
    assert (marked_at, marked_at + 300) == (pending.marked_at, pending.due)
    clock.advance(0.3)
    leased = await only(ledger)
    assert Standing(leased_until=clock.now() + TTL_MS, paced_until=0) == (await told(ledger)).standings[ON_CARD]
    await settle(ledger, settling(leased, changes=[outcome_pending(leased.heads[0])], pace_ms=200))
    history = await told(ledger)
    assert Standing(leased_until=0, paced_until=clock.now() + 200) == history.standings[ON_CARD]
    assert clock.now() + 9000 == history.effects[0].due


def outcome_pending(head: Head) -> EffectChange:
    """Return the change of an effect that is tried again in nine seconds, with an outcome that can be read."""
    return replace(retried(head, 9000), outcome=outcome(head, final=False).outcome)


async def test_the_cards_own_rows_are_told(ledger: SqlLedger) -> None:
    """Version and age: how long it can be clicked follows from them. Its content is nowhere."""
    decider = Decider(ledger)
    secret = JsonText('{"elements":["what nobody is to see"]}')
    won = Race(winners=(OpenId("ou_a"),))
    await decider.write(
        claims=[clicked("e1")],
        cards=[card(version=4, state=secret, content=secret, newest_at=5, rules={"approve": won})],
        effects=[effect("e1", payload=secret.encode())],
    )
    leased = await only(ledger)
    face = FaceRow(app_id=APP, message_id=CARD, chat_id=ChatId("oc_1"), sent_at=SENT_AT, sent=secret, card_format="2.0")
    await settle(ledger, settling(leased, face=face))
    history = await told(ledger)
    assert {"approve": won} == history.races
    assert (4, "oc_1", SENT_AT, "2.0") == (
        history.version,
        history.chat_id,
        history.sent_at,
        history.card_format,
    )
    assert "nobody" not in "".join(repr(getattr(history, each.name)) for each in fields(history))


async def test_dead_letters_and_suspended_handlers_are_told(ledger: SqlLedger, clock: ManualClock) -> None:
    """What the card's clicks came to grief on, as long as it lasts."""
    letter = DeadLetter(
        app_id=APP,
        event_id=EventId("e1"),
        handler="follow_up",
        reason="deadline",
        interaction=b"{}",
        kind="lark.card.interaction.received.v1",
        parks=True,
    )
    other = replace(letter, event_id=EventId("e9"))
    until = clock.now() + 60_000
    await Decider(ledger).write(
        claims=[clicked("e1")],
        dead_letters=[letter, other],
        suspensions=[
            Suspension(app_id=EVERY_APP, handler=name, misses=3, until=until, pause_ms=60_000)
            for name in ("follow_up", "somebody_else")
        ],
    )
    history = await told(ledger)
    assert [("e1", "follow_up", "deadline", clock.now(), True)] == [
        (one.event_id, one.handler, one.reason, one.died_at, one.parks) for one in history.letters
    ]
    assert [("follow_up", until)] == [(one.handler, one.until) for one in history.suspended]
    clock.advance(60)
    assert [] == list((await told(ledger)).suspended)


async def test_a_handler_is_told_suspended_on_cards_of_its_own_app(ledger: SqlLedger, clock: ManualClock) -> None:
    """Not on those of an app that has another one of that name; and whatever slashes are in it."""
    names, other = ("follow_up", "alerts/follow_up"), AppId("cli_b")
    decider, until = Decider(ledger), clock.now() + 60_000
    await decider.write(claims=[clicked(f"e{n}", handler=name) for n, name in enumerate(names)])
    await decider.write(claims=[clicked("e9", app_id=other, handler=names[0])])
    for name, app_id, more_ms in ((names[0], other, 3), (names[1], APP, 1), (names[0], APP, 2)):
        hung = Suspension(app_id=app_id, handler=name, misses=3, until=until + more_ms, pause_ms=60_000)
        await decider.write(suspensions=[hung])
    told = {
        one.app_id: [(standing.handler, standing.until - until) for standing in one.suspended]
        for one in await ledger.histories.of_card(CARD)
    }
    assert {APP: [(names[1], 1), (names[0], 2)], other: [(names[0], 3)]} == told


async def test_what_is_left_of_a_clicks_token_is_told_and_not_the_token(ledger: SqlLedger, clock: ManualClock) -> None:
    """For half an hour after its click; then it is worth nothing."""
    key = RightKey(APP, EventId("e1"), "card")
    right = GivenRight(key=key, token=Secret("c-told-to-nobody"), received_at=clock.now())
    await Decider(ledger).write(claims=[clicked("e1")], tokens=[right])
    (left,) = (await told(ledger)).tokens
    assert ("e1", "card", 2, clock.now() + 30 * 60_000) == (left.event_id, left.kind, left.uses_left, left.until)
    assert "nobody" not in repr(await told(ledger))
    clock.advance(30 * 60)
    assert [] == list((await told(ledger)).tokens)


async def test_a_silence_of_the_platform_is_told(ledger: SqlLedger, clock: ManualClock) -> None:
    """Of the card's app, while it lasts."""
    await Decider(ledger).write(claims=[clicked("e1")])
    await ledger.blocked(BudgetKey(APP, TenantKey(""), "im.v1.message.patch"), for_ms=4000)
    await ledger.blocked(BudgetKey(AppId("cli_b"), TenantKey(""), "im.v1.message.patch"), for_ms=4000)
    assert {"im.v1.message.patch": clock.now() + 4000} == (await told(ledger)).silent_until
    clock.advance(4)
    assert {} == (await told(ledger)).silent_until


async def test_each_app_has_its_own_story_of_a_card(ledger: SqlLedger) -> None:
    """A card that was sent and never clicked has one, too."""
    decider = Decider(ledger)
    await decider.write(claims=[replace(clicked("e1"), app_id=AppId("cli_b"))])
    await decider.decide("sent", effect("sent", target="chat:oc_1"))
    leased = await only(ledger)
    await settle(ledger, settling(leased, face=FaceRow(app_id=APP, message_id=CARD, sent_at=SENT_AT)))
    assert [(APP, 0), ("cli_b", 1)] == [(one.app_id, len(one.inputs)) for one in await ledger.histories.of_card(CARD)]
    assert ["cli_b"] == [one.app_id for one in await ledger.histories.of_card(CARD, app_id=AppId("cli_b"))]


async def test_looking_changes_no_schema(empty_url: str, opened: Opener) -> None:
    """A ledger that has none stays without, SQLite's too."""
    ledger = opened(empty_url)
    for _ in range(2):
        with pytest.raises(SchemaMismatch, match="has no tables yet: run `cardwire db upgrade`"):
            await ledger.look()
