"""Sixty days on one clock, swept all day: nothing grows for ever, and what is promised to be known is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import Reminder
from shared.clock import ManualClock
from shared.core.decision import Card
from shared.core.effects import Remind, UpdateCard
from shared.core.events import InteractionReceived
from shared.eventlog.open import open_log
from shared.eventlog.port import NewRecord, Topics
from tests.scenario.handlers import BLANK, app_of_stories
from tests.support import facts
from tests.support.dump import dump
from tests.support.old_ledgers import rows_of
from tests.support.world import Stack, World, world
from worker.keeping import KEEP_DAYS, LOG_DAYS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DAYS: Final = 60
SETTLED: Final = 49
"""From here on as much goes as comes: what was decided on the first days is gone, and their reminders with it."""

WRONG: Final = 10
"""On so many days, the first, a record comes that nobody can read: later nobody writes to the topic where these lie."""

SWEEPS: Final = 6
"""A day: each commits for its role alone, and a disk takes its time."""

DEAD_LETTERS_GO_ON: Final = {"CARDWIRE_DEAD_LETTERS_STOP": "0"}


def _app() -> App:
    app = app_of_stories()

    @app.on_action("break")
    def break_it(click: Interaction, card: Card | None) -> list[UpdateCard]:
        raise ValueError(click.value)

    @app.on_action("mine")
    def mine(click: Interaction, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({"elements": []}, audience=click.operator.open_id)]

    @app.on_action("later")
    def later(click: Interaction, card: Card | None) -> list[Remind]:
        return [Remind(after=3 * 86_400, key="k")]

    @app.on_reminder("k")
    def remember(reminder: Reminder, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({**BLANK, "late": True})]

    return app


@dataclass(kw_only=True)
class Calendar:
    """A deployment on one clock, and what its stores held day by day."""

    running: World
    clock: ManualClock
    chat_id: str
    clicks: dict[int, InteractionReceived] = field(default_factory=dict)
    rows: list[Mapping[str, int]] = field(default_factory=list)

    def click(self, event: str, message_id: str, **value: Any) -> InteractionReceived:
        """Return a click of now."""
        now = self.clock.now()
        given: dict[str, Any] = {"occurred_at": now, "received_at": now, "chat_id": self.chat_id}
        return facts.click(event, value=value, message_id=message_id, card_token=f"c-{event}", **given)

    async def day(self, day: int) -> None:
        """Let a day's clicks come: on a new card, on yesterday's, and on one that is past its time."""
        today, old = f"om_day{day}", f"om_day{max(0, day - 1)}"
        clicks = [
            self.click(f"count{day}", today, action="count"),
            self.click(f"again{day}", old, action="count"),
            self.click(f"break{day}", today, action="break"),
            self.click(f"mine{day}", today, action="mine"),
            self.click(f"later{day}", today, action="later"),
            self.click(f"card{day}", today, action="card", card=BLANK),
            self.click(f"other{day}", today, action="what nobody handles"),
        ]
        self.clicks[day] = clicks[0]
        if day < WRONG:
            wrong = NewRecord(topic=self.running.topics.interactions, key="k", value=b"?", headers=(), timestamp=0)
            await self.running.event_log.append([wrong])
        await self.running.append(*clicks, *map(facts.mark, clicks))
        await self.running.until(lambda: self._is_done(day), patience_s=60)

    async def _is_done(self, day: int) -> bool:
        # Not `quiet`: reminders of the last days are pending all the time.
        known = await dump(self.running.ledger.database)
        waits = [row for row in known.effects if row["status"] == "pending" and row["kind"] != "Remind"]
        done = any(row["event_id"] == f"other{day}" for row in known.claims)
        return done and not waits and await self.running.ledger.outbox_depth() == 0

    async def night(self) -> None:
        """Let the rest of the day pass; a sweep comes whenever more than an hour has."""
        for _ in range(SWEEPS):
            self.clock.advance(86_400 / SWEEPS)
            await self.running.busy.over()

    async def count(self) -> None:
        """Note how many rows there are."""
        ledger = {name: len(rows) for name, rows in (await rows_of(self.running.stack.ledger)).items()}
        log = {}
        topics = self.running.topics
        for topic in (topics.interactions, topics.outcomes, topics.dead):
            spans = (await self.running.event_log.spans(topic)).values()
            log[topic] = sum(span.end - span.begin for span in spans)
        self.rows.append({**ledger, **log})


async def test_in_sixty_days_nothing_grows_for_ever(either_ledger: Stack) -> None:
    """Clicks, failures, updates for one person, reminders, sent cards; a late duplicate is known to the last day."""
    clock = ManualClock()
    shared_log = open_log(either_ledger.log, topics=Topics(), clock=clock)
    async with world(either_ledger, _app(), clock=clock, workers=0, shared_log=shared_log) as running:
        await running.start_worker(env=DEAD_LETTERS_GO_ON)
        calendar = Calendar(running=running, clock=clock, chat_id=await running.chat())
        for day in range(DAYS):
            await calendar.day(day)
            if day == KEEP_DAYS - 1:
                await _is_known(calendar, 0)
            await calendar.night()
            await calendar.count()
    await shared_log.close()
    first, last = calendar.rows[SETTLED], calendar.rows[-1]
    for store, number in last.items():
        highest = max(rows[store] for rows in calendar.rows[:SETTLED])
        assert number <= highest + 10, (store, [rows[store] for rows in calendar.rows])
    assert first["claims"] >= 7 * KEEP_DAYS
    assert last["claims"] < 10 * (KEEP_DAYS + 5)
    assert last["card_tokens"] <= 16
    assert last[Topics().interactions] < 16 * (LOG_DAYS + 3)
    assert (WRONG, 0) == (max(rows[Topics().dead] for rows in calendar.rows), last[Topics().dead])


async def _is_known(calendar: Calendar, day: int) -> None:
    """Have the first day's click come once more, as a spill may bring it: nothing is decided."""
    running = calendar.running
    before = len((await dump(running.ledger.database)).claims)
    calls = len(running.calls())
    await running.append(calendar.clicks[day])
    end = {p: span.end for p, span in (await running.event_log.spans(running.topics.interactions)).items()}

    async def read() -> bool:
        return {p: each.next for p, each in (await running.ledger.positions()).items()} == end

    await running.until(read)
    assert (before, calls) == (len((await dump(running.ledger.database)).claims), len(running.calls()))
