"""Forty-five days on one clock: no call is made for a card known to be past its limits, and the outcome says why."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.clock import ManualClock
from shared.core.decision import Card, Decision
from shared.core.effects import UpdateCard
from shared.core.ids import EventId
from shared.feishu.limits import DAY_MS
from tests.scenario.handlers import BLANK, PATCH, app_of_stories
from tests.support import facts
from tests.support.world import World, clock_of_now, files, world

OLD: Mapping[str, Any] = {"config": {"update_multi": True}, "elements": []}
NEW: Mapping[str, Any] = {"schema": "2.0", "body": {"elements": []}}
"""The same empty card in format 1.0 and 2.0."""


@dataclass(kw_only=True)
class Aging:
    """A world on one clock, with two cards of our own sending."""

    running: World
    clock: ManualClock
    handled: list[EventId]
    old: str = ""
    new: str = ""
    began: int = field(default=0)

    async def send(self, card: Mapping[str, Any]) -> str:
        """Let a handler send a card, and return its message."""
        platform = self.running.simulator.platform
        before = set(platform.messages)
        chat_id = await self.running.chat()
        starter = self.running.simulator.put_card(chat_id, BLANK)
        await self.running.simulator.click(starter, {"action": "card", "card": dict(card)})
        await self.running.quiet()
        (sent,) = platform.messages.keys() - before - {starter}
        return sent

    def day(self, days: float) -> None:
        """Move the clock to so many days after both cards were sent."""
        self.clock.advance((self.began + round(days * DAY_MS) - self.clock.now()) / 1000)

    async def click(self, message_id: str) -> "Seen":
        """Click a card, wait until nothing is left to do, and return what came of it."""
        calls, handled = len(self.running.calls(PATCH)), len(self.handled)
        seen = await self.running.simulator.click(message_id, {"action": "show"})
        await self.running.quiet()
        return await self.seen(seen.event_id, calls, handled, seen.client_error)

    async def force(self, message_id: str, *, name: str) -> "Seen":
        """Let a click through that the platform should never have delivered."""
        calls, handled = len(self.running.calls(PATCH)), len(self.handled)
        now = self.clock.now()
        await self.running.append(facts.click(name, value={"action": "show"}, message_id=message_id, occurred_at=now))
        await self.running.quiet()
        return await self.seen(EventId(name), calls, handled, None)

    async def seen(self, event_id: EventId | None, calls: int, handled: int, client_error: int | str | None) -> "Seen":
        """Return what came of a click, given what was there before."""
        decided = [each for each in await self.running.decisions() if each.event_id == event_id]
        outcomes = [each for each in await self.running.outcomes() if each.event_id == event_id]
        return Seen(
            client_error=client_error,
            result=decided[0].result if decided else None,
            claim_reason=decided[0].reason if decided else None,
            handled=len(self.handled) - handled,
            calls=len(self.running.calls(PATCH)) - calls,
            outcomes=[(each.status, each.final, each.reason) for each in outcomes],
        )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What came of a click: at the person's client, in the handlers, at the platform, in the log."""

    client_error: int | str | None = None
    result: str | None
    claim_reason: str | None = None
    handled: int
    calls: int
    outcomes: list[tuple[str, bool, str | None]]


UPDATED = Seen(result="decided", handled=1, calls=1, outcomes=[("succeeded", True, None)])
TOO_OLD_TO_CHANGE = Seen(result="decided", handled=1, calls=0, outcomes=[("refused", True, "expired")])
NOT_DELIVERED = Seen(client_error="expired", result=None, handled=0, calls=0, outcomes=[])
NOT_HANDLED = Seen(result="refused", claim_reason="expired", handled=0, calls=0, outcomes=[])


@pytest.fixture
async def aging(tmp_path: Path) -> AsyncIterator[Aging]:
    """Both cards, just sent."""
    async with aging_world(tmp_path) as given:
        yield given


@asynccontextmanager
async def aging_world(folder: Path) -> AsyncIterator[Aging]:
    """Run a world on one clock in which a card of each format was just sent."""
    handled: list[EventId] = []
    clock = clock_of_now()
    async with world(files(folder), _counting(app_of_stories(), handled), clock=clock) as running:
        given = Aging(running=running, clock=clock, handled=handled)
        given.old, given.new = await given.send(OLD), await given.send(NEW)
        given.began = clock.now()
        yield given


def _counting(app: App, handled: list[EventId]) -> App:
    @app.on_action("show")
    def show(click: Interaction, card: Card | None) -> Decision:
        handled.append(click.event_id)
        n = (card.state or 0) + 1 if card else 1
        is_new = bool(card and card.content and card.content.get("schema"))
        shown = {**NEW, "header": {"title": {"tag": "plain_text", "content": str(n)}}} if is_new else {**OLD, "n": n}
        return Decision(state=n, effects=[UpdateCard(shown)])

    return app


async def test_forty_five_days_of_two_cards(aging: Aging) -> None:
    """1.0: changed for 14 days, heard for 30. 2.0: both for 14. Afterwards not a single call is made."""
    aging.day(0.001)
    assert [UPDATED, UPDATED] == [await aging.click(aging.old), await aging.click(aging.new)]
    aging.day(13.9)
    assert [UPDATED, UPDATED] == [await aging.click(aging.old), await aging.click(aging.new)]
    aging.day(14.1)
    assert [TOO_OLD_TO_CHANGE, NOT_DELIVERED] == [await aging.click(aging.old), await aging.click(aging.new)]
    assert NOT_HANDLED == await aging.force(aging.new, name="2.0 on day 14.1")
    aging.day(29.9)
    assert TOO_OLD_TO_CHANGE == await aging.click(aging.old)
    aging.day(30.02)
    assert NOT_DELIVERED == await aging.click(aging.old)
    assert TOO_OLD_TO_CHANGE == await aging.force(aging.old, name="1.0 half an hour after day 30")
    aging.day(30.1)
    assert NOT_DELIVERED == await aging.click(aging.old)
    assert NOT_HANDLED == await aging.force(aging.old, name="1.0 on day 30.1")
    aging.day(45)
    assert [NOT_DELIVERED, NOT_DELIVERED] == [await aging.click(aging.old), await aging.click(aging.new)]
    assert [NOT_HANDLED, NOT_HANDLED] == [
        await aging.force(aging.old, name="1.0 on day 45"),
        await aging.force(aging.new, name="2.0 on day 45"),
    ]
    await aging.running.check()


async def test_an_update_that_waits_over_the_border_is_not_sent(aging: Aging) -> None:
    """The age counts at the call, not at the click: a platform away over the fourteenth day makes it too late."""
    aging.day(13.999)
    await aging.running.stop_worker(aging.running.workers[0])
    seen = await aging.running.simulator.click(aging.old, {"action": "show"})
    aging.day(14.0)
    calls = len(aging.running.calls(PATCH))
    await aging.running.start_worker()
    await aging.running.quiet()
    outcomes = [each for each in await aging.running.outcomes() if each.event_id == seen.event_id]
    assert [("refused", "expired")] == [(each.status, each.reason) for each in outcomes]
    assert calls == len(aging.running.calls(PATCH))
    await aging.running.check()


async def test_a_card_of_unknown_age_is_tried_once_and_the_platform_believed(tmp_path: Path) -> None:
    """Another program sent it 20 days ago: the click is decided, one call is made, 230031 is the end of it."""
    async with aging_world(tmp_path) as aging:
        running = aging.running
        sent_at = aging.clock.now() - 20 * DAY_MS
        unknown = running.simulator.put_card(await running.chat(), OLD, sent_at=sent_at)
        tried_once = Seen(result="decided", handled=1, calls=1, outcomes=[("failed", True, "expired")])
        assert tried_once == await aging.click(unknown)
        assert [230031] == [call.code for call in running.calls(PATCH, target=unknown)]
        aging.day(1)
        await running.quiet()
        assert 1 == len(running.calls(PATCH, target=unknown))
        assert ["update_expired"] == [violation.rule for violation in running.simulator.platform.judge.violations]


async def test_a_young_card_of_unknown_age_is_updated(aging: Aging) -> None:
    """Not knowing the age forbids nothing."""
    running = aging.running
    unknown = running.simulator.put_card(await running.chat(), OLD, sent_at=aging.clock.now() - 13 * DAY_MS)
    assert UPDATED == await aging.click(unknown)
    await running.check()
