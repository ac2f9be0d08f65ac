"""Many updates of one thing: only the newest is sent, the later click wins, and none comes before its answer."""

import asyncio

import pytest

from shared.core.effects import UpdateCard
from shared.core.events import OURSELVES, InteractionReceived, RequestReceived
from shared.core.ids import EventId, MessageId, TenantKey
from simulator.faults import FaultRule
from tests.scenario.handlers import BLANK, COUNT, PATCH, RENAME, app_of_stories
from tests.support import facts
from tests.support.dump import dump
from tests.support.world import Stack, World, clock_of_now, world
from worker.ledger.leased import BudgetKey

CLICKS = 20
SLOW_MS = 1_500
SETTLE_MS = 300
UNANSWERED_MS = 3_000


async def test_of_twenty_updates_that_wait_only_the_newest_is_sent(stack: Stack) -> None:
    """While the first update is under way the others gather; one of them is performed, the rest are superseded."""
    async with world(stack, app_of_stories()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        slow = FaultRule(path=f"/open-apis/im/v1/messages/{message_id}", kind="delay", p=1.0, ms=SLOW_MS)
        running.simulator.faults.set(1, [slow])
        await running.simulator.click(message_id, COUNT)
        await asyncio.gather(*[running.simulator.click(message_id, COUNT) for _ in range(CLICKS - 1)])
        await running.quiet()
        assert f'"n":{CLICKS}' in shown(running, message_id)
        statuses = [outcome.status for outcome in await running.outcomes()]
        sent = len(running.calls(PATCH))
        assert sent <= 4
        assert [sent, CLICKS - sent] == [statuses.count("succeeded"), statuses.count("superseded")]
        await running.check()


async def test_what_gathers_while_no_call_may_be_made_is_counted_by_the_one_that_is(either_ledger: Stack) -> None:
    """Turn after turn is put off, with more to be shown in each; the outcome tells how many clicks it stands for."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        closed_until = clock.now()
        for nth in range(5):
            closed_until = clock.now() + 5_000
            await running.ledger.blocked(BudgetKey(facts.APP, TenantKey(""), PATCH), for_ms=5_000)
            click = facts.click(f"e{nth}", value=COUNT, message_id=message_id, occurred_at=clock.now())
            await running.append(click, facts.mark(click, answered_at=clock.now()))
            later = clock.now() + 1_500
            await running.until(lambda at=later: clock.now() >= at)  # type: ignore[misc]
        await running.quiet()
        (made,) = running.calls(PATCH)
        assert made.at_ms >= closed_until
        (shown_by,) = [outcome for outcome in await running.outcomes() if outcome.status == "succeeded"]
        assert 4 == shown_by.folded
        await running.check()


@pytest.mark.parametrize("newest_is_logged_first", [True, False])
async def test_the_later_clicks_name_wins_whatever_order_it_is_decided_in(
    either_ledger: Stack, *, newest_is_logged_first: bool
) -> None:
    """Cards of several partitions rename one chat: log orders cannot be compared, the times of the clicks can."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(8)]
        clicks = [rename(running, chat_id, card, nth, clock.now()) for nth, card in enumerate(cards)]
        assert len({event.message_id for event in clicks}) == len(cards)
        for click in reversed(clicks) if newest_is_logged_first else clicks:
            await running.append(click)
            await running.until(lambda click=click: decided(running, click))  # type: ignore[misc]
        await running.quiet()
        assert "name 7" == running.simulator.platform.chat(chat_id).name
        if newest_is_logged_first:
            assert 1 == len(running.calls(RENAME))
        await running.check()


async def test_two_chats_named_at_once_do_not_replace_each_other(either_ledger: Stack) -> None:
    """A name is superseded by names of the same chat only."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        chats = [await running.chat() for _ in range(3)]
        cards = [running.simulator.put_card(chat, BLANK) for chat in chats]
        await running.append(*[rename(running, chat, cards[n], n, clock.now()) for n, chat in enumerate(chats)])
        await running.quiet()
        assert ["name 0", "name 1", "name 2"] == [running.simulator.platform.chat(chat).name for chat in chats]
        await running.check()


async def test_without_a_mark_the_update_waits_three_seconds(either_ledger: Stack) -> None:
    """The gateway died before it could say that it had answered: the platform has given the click up by then."""
    click, started_at, decided_at = await one_click(either_ledger, marked=None)
    assert started_at - decided_at >= UNANSWERED_MS
    assert started_at - decided_at < UNANSWERED_MS + 1_000, click


@pytest.mark.parametrize("delivered", [pytest.param(True, id="delivered"), pytest.param(False, id="not delivered")])
async def test_after_a_mark_the_update_waits_for_the_settle_gap(either_ledger: Stack, *, delivered: bool) -> None:
    """A client that had gone before its answer was written counts alike: nothing will be reverted any more."""
    click, started_at, decided_at = await one_click(either_ledger, marked=delivered)
    assert started_at - decided_at >= SETTLE_MS
    assert started_at - decided_at < UNANSWERED_MS, click


async def one_click(stack: Stack, *, marked: bool | None) -> tuple[InteractionReceived, int, int]:
    """Log a click and perhaps its mark; return it, when its update started and when it was decided."""
    clock = clock_of_now()
    async with world(stack, app_of_stories(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        click = facts.click("e1", value=COUNT, message_id=message_id, occurred_at=clock.now(), received_at=clock.now())
        marks = [] if marked is None else [facts.mark(click, delivered=marked, answered_at=clock.now())]
        await running.append(click, *marks)
        await running.quiet()
        assert '"n":1' in shown(running, message_id)
        await running.check()
        (outcome,) = await running.outcomes()
        (decision,) = await running.decisions()
        assert outcome.started_at is not None
        return click, outcome.started_at, decision.decided_at


async def test_no_update_comes_before_the_answer_of_its_click(either_ledger: Stack) -> None:
    """Slow answers, fast workers, no settle gap: still nothing is sent early, so nothing is reverted."""
    async with world(either_ledger, app_of_stories(), workers=0) as running:
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(10)]
        running.simulator.faults.set(1, [FaultRule(path="/webhook/card", kind="delay", p=0.5, ms=200)])
        async with running.worker({"CARDWIRE_SETTLE_MS": "0"}):
            await asyncio.gather(*[running.simulator.click(card, COUNT) for card in cards for _ in range(3)])
            await running.quiet()
        assert ['"n":3' in shown(running, card) for card in cards] == [True] * len(cards)
        versions = [version.by for card in cards for version in running.simulator.platform.message(card).versions]
        assert {"sent", "patch"} == set(versions)
        await running.check()


def rename(running: World, chat_id: str, message_id: str, nth: int, now: int) -> InteractionReceived:
    """Return a click that names the chat ``name <nth>``, one second later than the one before."""
    return facts.click(
        f"rename-{chat_id[-4:]}-{nth}",
        value={"action": "rename", "name": f"name {nth}"},
        message_id=message_id,
        chat_id=chat_id,
        occurred_at=now + 1_000 * nth,
        received_at=now,
    )


async def decided(running: World, click: InteractionReceived) -> bool:
    """Say whether a click is decided."""
    return any(row["event_id"] == click.event_id for row in (await dump(running.ledger.database)).claims)


def shown(running: World, message_id: str) -> str:
    """Return the card that everybody sees."""
    card = running.simulator.platform.message(message_id).card
    return card.text if card else ""


@pytest.mark.parametrize("answered", [True, False])
async def test_a_card_from_elsewhere_waits_for_the_answer_of_the_click_before_it(
    either_ledger: Stack, *, answered: bool
) -> None:
    """Another decision's update has no callback of its own, but the clicked card's would undo it: it waits as well."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        card = running.simulator.platform.message(message_id)
        click = facts.click("e1", value=COUNT, message_id=message_id, occurred_at=clock.now(), received_at=clock.now())
        card.open_clicks.add(click.event_id)
        await running.append(click, handed_over(message_id, clock.now()))
        logged_at = clock.now()
        await running.until(lambda: clock.now() >= logged_at + 2_000)
        assert [] == running.calls(PATCH)
        card.close_click(click.event_id, now=clock.now())
        await running.append(*[facts.mark(click, answered_at=clock.now())] * answered)
        await running.quiet()
        assert ["sent", "patch"] == [version.by for version in card.versions]
        assert '"n":7' in shown(running, message_id)
        assert {"e1": "superseded", "req/x": "succeeded"} == {
            outcome.event_id: outcome.status for outcome in await running.outcomes()
        }
        await running.check()


def handed_over(message_id: str, now: int) -> RequestReceived:
    """Return an update of the card that another card's handler decided."""
    return RequestReceived(
        event_id=EventId("req/x"),
        app_id=facts.APP,
        tenant_key=facts.TENANT,
        message_id=MessageId(message_id),
        caller=OURSELVES,
        request_id="x",
        effects=(UpdateCard({**BLANK, "n": 7}),),
        occurred_at=now,
        received_at=now,
    )
