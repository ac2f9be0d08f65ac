"""Reminders: a month on one clock, with workers that come and go."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import Reminder
from shared.clock import ManualClock
from shared.core.decision import Card, Decision
from shared.core.effects import CancelReminder, Remind, SendCard, SendText, UpdateCard
from shared.core.events import TimerFired
from shared.core.ids import MessageId
from tests.scenario.handlers import BLANK, PATCH, SEND
from tests.support import facts
from tests.support.dump import dump
from tests.support.world import Stack, World, clock_of_now, world

HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S


def alerts() -> App:
    """Return handlers of an alert: escalated if nobody follows up, closed before its 14 days end, sent anew then."""
    app = App()

    @app.on_action("watch")
    def watch(click: Interaction, card: Card | None) -> Decision:
        reminders = [Remind(timedelta(hours=1), key="escalate"), Remind(timedelta(days=13), key="close")]
        return Decision(effects=[*reminders, Remind(timedelta(days=29), key="renew")], state="open")

    @app.on_action("later")
    def later(click: Interaction, card: Card | None) -> list[Remind]:
        return [Remind(2 * HOUR_S, key="escalate")]

    @app.on_action("follow_up")
    def follow_up(click: Interaction, card: Card | None) -> Decision:
        return Decision(effects=[CancelReminder("escalate")], state="followed up")

    @app.on_reminder("escalate")
    def escalate(reminder: Reminder, card: Card | None) -> list[SendText]:
        return [SendText(f"nobody followed up {reminder.due - reminder.now}", to="ou_boss")]

    @app.on_reminder("close")
    def close(reminder: Reminder, card: Card | None) -> Decision:
        return Decision(effects=[UpdateCard({**BLANK, "closed": card.state if card else None})], state="closed")

    @app.on_reminder("renew")
    def renew(reminder: Reminder, card: Card | None) -> list[SendCard]:
        return [SendCard({**BLANK, "anew": True})]

    return app


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A world on one clock, and a card that is watched."""

    running: World
    clock: ManualClock
    chat_id: str
    message_id: str

    async def click(self, action: str) -> None:
        """Click the card, and wait until that is decided."""
        before = len(await self.running.decisions())
        await self.running.simulator.click(self.message_id, {"action": action})
        await self.decided(before + 1)

    async def decided(self, number: int) -> None:
        """Wait until so much is decided and told."""

        async def told() -> bool:
            return len(await self.running.decisions()) >= number

        await self.running.until(told)

    async def fired(self) -> list[str]:
        """Return the keys of the reminders that came."""
        events = await self.running.events(self.running.topics.interactions)
        return sorted(event.key for event in events if isinstance(event, TimerFired))

    async def at_rest(self, pending: int) -> None:
        """Wait until no more than so many effects wait."""

        async def waits() -> bool:
            rows = (await dump(self.running.ledger.database)).effects
            is_told = await self.running.ledger.outbox_depth() == 0
            return is_told and sum(row["status"] == "pending" for row in rows) <= pending

        await self.running.until(waits)

    async def statuses(self) -> Mapping[tuple[str, str], int]:
        """Return how many reminders there are, by kind and what became of them."""
        rows = [row for row in (await dump(self.running.ledger.database)).effects if row["target"].startswith("timer:")]
        found: dict[tuple[str, str], int] = {}
        for row in rows:
            found[row["kind"], row["status"]] = found.get((row["kind"], row["status"]), 0) + 1
        return found


@asynccontextmanager
async def watched(stack: Stack, *, workers: int = 1, app: App | None = None) -> AsyncIterator[Watched]:
    """Run a world with a card."""
    clock = clock_of_now()
    async with world(stack, app or alerts(), clock=clock, workers=workers) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, BLANK)
        yield Watched(running=running, clock=clock, chat_id=chat_id, message_id=message_id)


async def test_an_alert_that_nobody_follows_up_is_escalated_closed_and_sent_anew(either_ledger: Stack) -> None:
    """Each on its day, and on the state of that day; fold and ledger agree while the last one still waits."""
    async with watched(either_ledger) as card:
        await card.click("watch")
        assert [] == await card.fired()
        card.clock.advance(HOUR_S)
        await card.decided(2)
        await card.at_rest(2)
        assert ["escalate"] == await card.fired()
        assert 1 == len(card.running.calls(SEND))
        card.clock.advance(13 * DAY_S - HOUR_S)
        await card.decided(3)
        await card.at_rest(1)
        assert 1 == len(card.running.calls(PATCH))
        assert "open" in str(card.running.simulator.platform.messages[MessageId(card.message_id)])
        await card.running.check()
        card.clock.advance(16 * DAY_S)
        await card.decided(4)
        await card.running.quiet()
        assert ["close", "escalate", "renew"] == await card.fired()
        assert 2 == len(card.running.calls(SEND))
        await card.running.check()


async def test_a_reminder_that_is_cancelled_in_time_does_not_come(either_ledger: Stack) -> None:
    """The click that follows up is enough."""
    async with watched(either_ledger) as card:
        await card.click("watch")
        card.clock.advance(HOUR_S - 60)
        await card.click("follow_up")
        await card.at_rest(2)
        assert {("Remind", "superseded"): 1, ("CancelReminder", "succeeded"): 1, ("Remind", "pending"): 2} == (
            await card.statuses()
        )
        card.clock.advance(13 * DAY_S)
        await card.decided(3)
        assert ["close"] == await card.fired()
        assert [] == card.running.calls(SEND)


async def test_a_newer_reminder_takes_the_place_of_an_older_one(either_ledger: Stack) -> None:
    """Whoever puts it off is reminded once, at the later time."""
    async with watched(either_ledger) as card:
        await card.click("watch")
        await card.click("later")
        card.clock.advance(HOUR_S + 60)
        await card.at_rest(3)
        assert [] == await card.fired()
        card.clock.advance(HOUR_S)
        await card.decided(3)
        assert ["escalate"] == await card.fired()


async def test_a_reminder_outlives_the_worker(either_ledger: Stack) -> None:
    """Due while nobody is there, it comes when somebody is, once, and says when it was due."""
    async with watched(either_ledger, workers=0) as card:
        async with card.running.worker():
            await card.click("watch")
        card.clock.advance(HOUR_S + 60)
        assert [] == await card.fired()
        async with card.running.worker():
            await card.decided(2)
        async with card.running.worker(), card.running.worker():
            await card.at_rest(2)
        assert ["escalate"] == await card.fired()
        texts = [str(each.content) for each in card.running.simulator.platform.messages.values()]
        assert 1 == sum("nobody followed up -1 day, 23:5" in text for text in texts)


async def test_a_redriven_click_sets_no_reminder_again_that_was_cancelled_since(either_ledger: Stack) -> None:
    """Who followed up did so later: what the older click would have asked for is settled."""
    app, moods = alerts(), ["fails"]

    @app.on_action("watch_out")
    def watch_out(click: Interaction, card: Card | None) -> list[Remind]:
        if moods:
            raise RuntimeError(moods[0])
        return [Remind(HOUR_S, key="escalate"), Remind(HOUR_S, key="close")]

    async with watched(either_ledger, app=app) as card:
        await card.click("watch_out")
        await card.click("follow_up")
        moods.clear()
        (letter,) = await card.running.ledger.failures.inputs()
        wish = facts.redrive(letter.event_id, 1, message_id=card.message_id, app_id=letter.app_id)
        await card.running.append(wish)
        await card.decided(3)
        card.clock.advance(HOUR_S + 60)
        await card.decided(4)
        await card.running.quiet()
        assert ["close"] == await card.fired()
        assert 1 == (await card.statuses())["Remind", "superseded"]
        await card.running.check()


async def test_a_reminder_of_a_key_that_nobody_takes_fails_its_handler(either_ledger: Stack) -> None:
    """It would come to nothing, days later."""
    app = App()

    @app.on_action("watch")
    def watch(click: Interaction, card: Card | None) -> list[Any]:
        return [Remind(60, key="excalate")]

    async with world(either_ledger, app) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await running.simulator.click(message_id, {"action": "watch"})
        await running.quiet()
        (decided,) = await running.decisions()
        assert decided.reason is not None
        assert decided.reason.endswith('expected one under @app.on_reminder("excalate")')
