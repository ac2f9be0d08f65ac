"""
A lost database, made again from the log: nothing is sent, nothing decided, and afterwards everything goes on.

Every other story here ends with a ledger rebuilt from its log and compared row by row (`World.check`); these are about
what comes after a loss, and about the rebuild itself.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import Reminder
from shared.core.codec import encode, header
from shared.core.decision import Card, Decision
from shared.core.effects import Remind, SendText, StoredEffect, UpdateCard
from shared.core.errors import NewerThanUs, StartRefused
from shared.core.events import CARD, EFFECTS_PER_DECISION, Decided, EffectOutcome, Event, PlannedEffect
from shared.core.ids import ChatId, EventId, MessageId
from shared.core.targets import chat_target, message_target
from shared.eventlog.memory import MemoryLog
from shared.eventlog.open import open_log
from shared.eventlog.port import RETENTION_MS, EventLog, NewRecord, Record, Topics
from tests.scenario.handlers import BLANK, COUNT, PATCH, RENAME, SEND, app_of_stories, counted
from tests.support import facts
from tests.support.dump import dump
from tests.support.postgres import Databases
from tests.support.rebuilt_equals_ledger import differences, remade
from tests.support.world import Stack, World, clock_of_now, files, world
from worker.history.walk import PIECE
from worker.ledger.open import open_ledger
from worker.ledger.restored import Changes, Found, NotEmpty, Progress, Stage, Step
from worker.ledger.restoring import open_restoring
from worker.rebuilding.rebuild import rebuild
from worker.settings import SETTLE_MS

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
FILLERS = 40
"""Records that nobody needs, by which offsets differ in a log that was moved."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """An empty ledger to rebuild into."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'rebuilt.db'}"
        return
    databases: Databases = request.getfixturevalue("postgres")
    url = databases.create()
    ledger = open_ledger(url)
    await ledger.upgrade()
    await ledger.close()
    yield url
    databases.drop(url)


def shown(running: World, message_id: str) -> int:
    """Return the number that a card shows."""
    card = running.simulator.platform.message(message_id).card
    return int(card.text.partition('"n":')[2].partition(",")[0] or 0) if card else 0


async def rebuilt_into(running: World, url: str) -> list[str]:
    """Rebuild a world's ledger and return where it differs from the old one; nobody may be called meanwhile."""
    calls = len(running.calls())
    made = await remade(running.event_log, running.topics, url, clock=running.clock)
    assert calls == len(running.calls())
    return differences(await dump(running.ledger.database), made)


@asynccontextmanager
async def worker_on(running: World, url: str) -> AsyncIterator[None]:
    """Run a worker on another ledger than the world's."""
    if running.clock is None:
        async with running.worker({"CARDWIRE_LEDGER": url}):
            yield
        return
    ledger = open_ledger(url, clock=running.clock)
    old, running.ledger = running.ledger, ledger
    try:
        async with running.worker({"CARDWIRE_LEDGER": url}, ledger=ledger):
            yield
    finally:
        running.ledger = old
        await ledger.close()


async def test_after_a_lost_database_the_21st_click_counts_21(stack: Stack, fresh: str) -> None:
    """From files and from Kafka, into SQLite and PostgreSQL: the same rows, no call, and counters that go on."""
    async with world(stack, app_of_stories(), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker():
            for _ in range(20):
                await running.simulator.click(message_id, COUNT)
            await running.simulator.click(message_id, {"action": "text", "text": "once"})
            await running.quiet()
        assert [] == await rebuilt_into(running, fresh)
        async with worker_on(running, fresh):
            await running.simulator.click(message_id, COUNT)
            await running.until(lambda: shown(running, message_id) == 21)
        assert 1 == len(running.calls(SEND))


def moody(mood: dict[str, bool]) -> App:
    """Return a handler that fails while it is told to, and parks its card then."""
    app = App()

    @app.on_action("press", on_error="park_card")
    def press(click: Interaction, card: Card | None) -> Decision:
        if mood["fails"] and click.value["n"] == 1:
            raise RuntimeError("not today")
        pressed = [*(card.state if card and card.state else []), click.value["n"]]
        return Decision(effects=[UpdateCard({**BLANK, "pressed": pressed})], state=pressed)

    return app


async def test_dead_letters_and_parked_cards_outlive_the_database(either_ledger: Stack, fresh: str) -> None:
    """What failed is kept whole, its card stands still, and a redrive that nobody had come to yet is done."""
    mood = {"fails": True}
    async with world(either_ledger, moody(mood), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker():
            for n in (0, 1, 2):
                await running.simulator.click(message_id, {"action": "press", "n": n})
            await running.quiet()
        first, behind = (one.event_id for one in await running.ledger.failures.inputs())
        assert [] == await rebuilt_into(running, fresh)
        ledger = open_ledger(fresh)
        told = [(one.event_id, one.reason, one.parks) for one in await ledger.failures.inputs()]
        await ledger.close()
        assert [first, behind] == [event for event, _, _ in told]
        await running.append(*(facts.redrive(event, 1, message_id=message_id, app_id=running.env["LARK_APP_ID"])
                               for event in (first, behind)))  # fmt: skip
        mood["fails"] = False
        async with worker_on(running, fresh):
            await running.until(lambda: '"pressed":[0,1,2]' in str(running.simulator.platform.message(message_id).card))


async def test_a_redrive_that_was_wanted_before_the_loss_is_done_after_it(tmp_path: Path) -> None:
    """The position stays before it: only the claim can tell whether somebody had come to it."""
    mood = {"fails": True}
    async with world(files(tmp_path), moody(mood), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker():
            await running.simulator.click(message_id, {"action": "press", "n": 1})
            await running.quiet()
        (letter,) = await running.ledger.failures.inputs()
        wish = facts.redrive(letter.event_id, 1, message_id=message_id, app_id=letter.app_id)
        await running.append(wish)
        url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
        assert [] == await rebuilt_into(running, url)
        mood["fails"] = False
        async with worker_on(running, url):
            await running.until(lambda: '"pressed":[1]' in str(running.simulator.platform.message(message_id).card))


async def test_a_reminder_comes_although_the_database_was_lost_meanwhile(tmp_path: Path) -> None:
    """Once, at its time, decided on the state of that day."""
    app = App()

    @app.on_action("later")
    def later(click: Interaction, card: Card | None) -> Decision:
        return Decision(state="open", effects=[Remind(3600, key="ask")])

    @app.on_reminder("ask")
    def ask(reminder: Reminder, card: Card | None) -> list[SendText]:
        return [SendText(f"still {card.state if card else None}")]

    clock = clock_of_now()
    async with world(files(tmp_path), app, workers=0, clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker():
            await running.simulator.click(message_id, {"action": "later"})
            await running.until(lambda: _decided(running, 1))
            await running.until(lambda: _relayed(running))
        url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
        assert [] == await rebuilt_into(running, url)
        async with worker_on(running, url):
            clock.advance(3000)
            assert [] == running.calls(SEND)
            clock.advance(700)
            await running.quiet()
        assert 1 == len(running.calls(SEND))


async def _decided(running: World, number: int) -> bool:
    return len(await running.decisions()) == number


async def _relayed(running: World) -> bool:
    return await running.ledger.outbox_depth() == 0


@dataclass(kw_only=True)
class Written:
    """A log that is written by hand: inputs of one card, and what was decided about them."""

    running: World
    chat_id: ChatId
    message_id: MessageId
    at: int
    offset: int = 0

    async def decided(
        self, event: str, effect: StoredEffect, *, ago_ms: int, marked: bool = False, **fields: Any
    ) -> Decided:
        """Append a click and its decision, so long ago, with one effect."""
        app_id = self.running.env["LARK_APP_ID"]
        click = facts.click(event, message_id=self.message_id, chat_id=self.chat_id, app_id=app_id,
                            occurred_at=self.at - ago_ms, received_at=self.at - ago_ms)  # fmt: skip
        inputs: list[Event] = [click, *([facts.mark(click, answered_at=self.at - ago_ms)] if marked else [])]
        await self.running.append(*inputs)
        on_card = isinstance(effect, UpdateCard)
        planned = PlannedEffect(
            index=1,
            target=message_target(self.message_id) if on_card else chat_target(self.chat_id),
            coalesce=CARD if on_card else None,
            eligibility="after_answer" if on_card else "at_once",
            order=self.offset * EFFECTS_PER_DECISION + 1,
            effect=effect,
        )
        decided = Decided(
            event_id=EventId(event), app_id=click.app_id, tenant_key=click.tenant_key, message_id=self.message_id,
            partition=await self._partition(), offset=self.offset, result="decided", occurred_at=click.occurred_at,
            decided_at=self.at - ago_ms, effects=(planned,), **fields,
        )  # fmt: skip
        self.offset += len(inputs)
        await self.tell(decided)
        return decided

    async def tell(self, *events: Event) -> None:
        """Append to the outcomes topic."""
        await self.running.event_log.append([NewRecord.of(self.running.topics.outcomes, encode(one)) for one in events])

    async def _partition(self) -> int:
        spans = await self.running.event_log.spans(self.running.topics.interactions)
        return next(partition for partition, span in spans.items() if span.end)


@asynccontextmanager
async def written(tmp_path: Path) -> AsyncIterator[Written]:
    """Run a world without a worker, whose log is written by hand."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_of_stories(), workers=0, clock=clock) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, BLANK)
        yield Written(
            running=running, chat_id=ChatId(chat_id), message_id=MessageId(message_id), at=clock.now() - 1_000
        )


def failed(decided: Decided, *, ago_ms: int, begun_at: int | None) -> EffectOutcome:
    """Return the outcome of an attempt that failed so long before the decision's log ends, to be made again."""
    (planned,) = decided.effects
    at = decided.decided_at + ago_ms
    return EffectOutcome(
        event_id=decided.event_id, app_id=decided.app_id, tenant_key=decided.tenant_key, message_id=decided.message_id,
        index=1, k=1, kind=type(planned.effect).__name__, target=planned.target, status="failed", final=False,
        retry_at=at + 500, begun_at=begun_at, started_at=at - 10, finished_at=at,
    )  # fmt: skip


async def test_pending_sends_are_made_once_or_given_up_as_unknown(tmp_path: Path) -> None:
    """Younger than an hour they go out under the old uuid; of older ones nobody knows, unless it was told."""
    async with written(tmp_path) as log:
        await log.decided("old", SendText("old"), ago_ms=120 * MINUTE_MS)
        await log.decided("young", SendText("young"), ago_ms=10 * MINUTE_MS)
        unsure = await log.decided("unsure", SendText("unsure"), ago_ms=90 * MINUTE_MS)
        await log.tell(failed(unsure, ago_ms=89 * MINUTE_MS, begun_at=unsure.decided_at))
        away = await log.decided("away", SendText("away"), ago_ms=90 * MINUTE_MS)
        await log.tell(failed(away, ago_ms=89 * MINUTE_MS, begun_at=None))
        url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
        made = await remade(log.running.event_log, log.running.topics, url, clock=log.running.clock)
        assert (4, 2) == (made.rebuilt.finished.sends_unsure, made.rebuilt.finished.sends_unknown)
        async with worker_on(log.running, url):
            await log.running.quiet()
        ended = {one.event_id: one.status for one in await log.running.outcomes() if one.final}
        assert {"old": "unknown", "unsure": "unknown", "young": "succeeded", "away": "succeeded"} == ended
        assert 2 == len(log.running.calls(SEND))


async def test_an_old_click_whose_decision_is_gone_is_not_decided_again(tmp_path: Path) -> None:
    """Brokers delete by segments: of the last days that a log has, an input may be there and its decision not."""
    async with written(tmp_path) as log:
        app_id = log.running.env["LARK_APP_ID"]
        for event, ago_ms in (("old", RETENTION_MS + HOUR_MS), ("young", RETENTION_MS - 2 * HOUR_MS)):
            at = log.at - ago_ms
            click = facts.click(event, message_id=log.message_id, chat_id=log.chat_id, app_id=app_id,
                                occurred_at=at, received_at=at)  # fmt: skip
            await log.running.append(click, facts.mark(click, answered_at=at))
        url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
        made = await remade(log.running.event_log, log.running.topics, url, clock=log.running.clock)
        assert 1 == made.rebuilt.forgotten
        async with worker_on(log.running, url):
            await log.running.until(lambda: _decided(log.running, 1))
        assert ["young"] == [one.event_id for one in await log.running.decisions()]


async def test_pending_updates_become_the_newest_one(tmp_path: Path) -> None:
    """Those that were answered and those of which no mark ever came; what is shown since is not painted over."""
    async with written(tmp_path) as log:
        await log.decided("one", UpdateCard({**BLANK, "n": 1}), ago_ms=4_000, version=1)
        shown_since = await log.decided("two", UpdateCard({**BLANK, "n": 2}), ago_ms=3_500, marked=True, version=2)
        await log.tell(_shown(shown_since))
        url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
        await remade(log.running.event_log, log.running.topics, url, clock=log.running.clock)
        async with worker_on(log.running, url):
            await log.running.quiet()
            assert ["superseded"] == [one.status for one in await log.running.outcomes() if one.event_id == "one"]
            assert [] == log.running.calls(PATCH)
            await log.running.simulator.click(log.message_id, COUNT)
            await log.running.quiet()
        assert 1 == len(log.running.calls(PATCH))


def _shown(decided: Decided) -> EffectOutcome:
    (planned,) = decided.effects
    return EffectOutcome(
        event_id=decided.event_id, app_id=decided.app_id, tenant_key=decided.tenant_key, message_id=decided.message_id,
        index=1, k=1, kind="UpdateCard", target=planned.target, status="succeeded", shown="f" * 64,
        shown_order=planned.order, card_format="1.0", started_at=decided.decided_at,
        finished_at=decided.decided_at + 400, marked_at=decided.decided_at,
    )  # fmt: skip


async def test_a_chats_name_does_not_go_back_behind_the_loss(either_ledger: Stack, fresh: str) -> None:
    """A click that is older than the one whose name the chat has changes nothing, also when it comes afterwards."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), workers=0, clock=clock) as running:
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(2)]
        young, old = (
            facts.click(
                name, value={"action": "rename", "name": name}, message_id=card, chat_id=chat_id,
                app_id=running.env["LARK_APP_ID"], occurred_at=clock.now() - ago_ms, received_at=clock.now(),
            )
            for name, card, ago_ms in (("young", cards[0], 0), ("old", cards[1], 5_000))
        )  # fmt: skip
        async with running.worker():
            await running.append(young)
            await running.quiet()
        assert [] == await rebuilt_into(running, fresh)
        async with worker_on(running, fresh):
            await running.append(old)
            await running.quiet()
        ended = {one.event_id: (one.status, one.reason) for one in await running.outcomes()}
        assert {"young": ("succeeded", None), "old": ("superseded", "by young/1")} == ended
        assert 1 == len(running.calls(RENAME))


class Stopped(Exception):
    """A rebuild that a test ends at a moment of its own."""


async def half_rebuilt(running: World, url: str, *, at: str) -> None:
    """Begin a rebuild and end it with its first piece of a stage."""

    def stop(stage: str, _done: int, _of: int) -> None:
        if stage == at:
            raise Stopped

    restoring = open_restoring(url, settle_ms=SETTLE_MS)
    await restoring.check()
    with pytest.raises(Stopped):
        await rebuild(running.event_log, restoring, running.topics, tell=stop)
    await restoring.close()


@pytest.mark.parametrize("stage", ["outcomes", "inputs"])
async def test_no_worker_starts_on_a_ledger_that_is_half_rebuilt(either_ledger: Stack, fresh: str, stage: str) -> None:
    """Whenever the rebuild was ended; it goes on where it was, and then workers start."""
    async with world(either_ledger, app_of_stories(), workers=0) as running:
        cards = [running.simulator.put_card(await running.chat(), BLANK) for _ in range(4)]
        async with running.worker():
            for card in cards:
                await running.simulator.click(card, COUNT)
            await running.quiet()
        await half_rebuilt(running, fresh, at=stage)
        with pytest.raises(StartRefused, match="`cardwire rebuild`"):
            async with running.worker({"CARDWIRE_LEDGER": fresh}):
                pass
        made = await remade(running.event_log, running.topics, fresh)
        assert made.rebuilt.resumed
        assert [] == differences(await dump(running.ledger.database), made)
        async with worker_on(running, fresh):
            await running.simulator.click(cards[0], COUNT)
            await running.until(lambda: shown(running, cards[0]) == 2)


async def test_a_ledger_that_holds_something_is_refused(either_ledger: Stack) -> None:
    """One line says what it holds, and nothing of it is changed."""
    async with world(either_ledger, app_of_stories(), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker():
            await running.simulator.click(message_id, COUNT)
            await running.quiet()
        before = await dump(running.ledger.database)
        with pytest.raises(NotEmpty, match="is not empty, it holds positions, claims, cards"):
            await remade(running.event_log, running.topics, either_ledger.ledger)
        assert before == await dump(running.ledger.database)


class Told:
    """A log into which a worker of the old ledger tells something while a rebuild reads it."""

    def __init__(self, behind: EventLog, topics: Topics, *events: Event) -> None:
        self._behind, self._topics, self._events = behind, topics, list(events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    async def read(self, topic: str, partition: int, offset: int, *, limit: int) -> Sequence[Record]:
        if topic == self._topics.interactions and self._events:
            told, self._events = self._events, []
            await self._behind.append([NewRecord.of(self._topics.outcomes, encode(one)) for one in told])
        return await self._behind.read(topic, partition, offset, limit=limit)


async def test_workers_that_still_run_on_the_old_ledger_are_noticed(tmp_path: Path) -> None:
    """Nothing is finished then; once they are stopped, the rebuild takes in what they told."""
    log, topics = MemoryLog(), Topics()
    click = facts.click("e1")
    decided = Decided(
        event_id=click.event_id, app_id=click.app_id, tenant_key=click.tenant_key, message_id=click.message_id,
        partition=0, offset=0, result="ignored", occurred_at=facts.NOW, decided_at=facts.NOW,
    )  # fmt: skip
    await log.create([topics.interactions, topics.outcomes])
    await log.append([NewRecord.of(topics.interactions, encode(click))])
    restoring = open_restoring(f"sqlite:///{tmp_path / 'rebuilt.db'}", settle_ms=SETTLE_MS)
    await restoring.check()
    with pytest.raises(StartRefused, match="stop them, and run `cardwire rebuild` again"):
        await rebuild(Told(log, topics, decided), restoring, topics)
    assert 1 == (await rebuild(log, restoring, topics)).finished.rows["claims"]
    await restoring.close()
    ledger = open_ledger(f"sqlite:///{tmp_path / 'rebuilt.db'}")
    (partition,) = (number for number, span in (await log.spans(topics.interactions)).items() if span.end)
    assert 1 == (await ledger.positions())[partition].next
    await ledger.close()


async def logged(*clicks_of_cards: int) -> tuple[MemoryLog, Sequence[tuple[str, int, int]]]:
    """Return a log of so many clicks on each card, all decided, and what is told of a rebuild from it."""
    log, topics = MemoryLog(), Topics()
    await log.create([topics.interactions, topics.outcomes])
    clicks = [
        facts.click(f"e{card}-{n}", message_id=f"om_{card}")
        for card, number in enumerate(clicks_of_cards)
        for n in range(number)
    ]
    await log.append([NewRecord.of(topics.interactions, encode(click)) for click in clicks])
    held = {
        partition: await log.read(topics.interactions, partition, 0, limit=span.end)
        for partition, span in (await log.spans(topics.interactions)).items()
        if span.end
    }
    told = [
        Decided(
            event_id=EventId(header(one.headers, "ce_id") or ""), app_id=facts.APP, tenant_key=facts.TENANT,
            message_id=MessageId(one.key.partition(":")[2]), partition=partition, offset=one.offset, result="ignored",
            occurred_at=facts.NOW, decided_at=facts.NOW,
        )
        for partition, records in held.items()
        for one in records
    ]  # fmt: skip
    await log.append([NewRecord.of(topics.outcomes, encode(one)) for one in told])
    pieces = [min(PIECE, len(records) - at) for records in held.values() for at in range(0, len(records), PIECE)]
    stages: tuple[Stage, ...] = ("outcomes", "inputs")
    return log, [(stage, done, len(clicks)) for stage in stages for done in accumulate(pieces)]


async def steps_told(log: EventLog, url: str, *, until: int | None = None) -> Sequence[tuple[str, int, int]]:
    """Rebuild, or go on, and return what was told of how far it is; it is ended when so much was told."""
    told: list[tuple[str, int, int]] = []

    def tell(stage: Stage, done: int, of: int) -> None:
        told.append((stage, done, of))
        if len(told) == until:
            raise Stopped

    restoring = open_restoring(url, settle_ms=SETTLE_MS)
    await restoring.check()
    with suppress(Stopped):
        await rebuild(log, restoring, Topics(), tell=tell)
    await restoring.close()
    return told


@pytest.mark.parametrize("until", [1, 3, 6, 8])
async def test_how_far_it_is_rises_to_the_whole_and_goes_on_where_it_was(tmp_path: Path, until: int) -> None:
    """Piece by piece in both stages; a run that goes on begins with what was read before, in this stage or the next."""
    log, whole = await logged(PIECE + 50, 7, 11, 5)
    assert 10 == len(whole)
    assert whole == await steps_told(log, f"sqlite:///{tmp_path / 'at-once.db'}")
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    assert whole[:until] == await steps_told(log, url, until=until)
    assert whole[until:] == await steps_told(log, url)


@pytest.mark.parametrize("apart", [False, True], ids=["in one piece", "in two"])
async def test_a_claim_is_kept_from_its_last_decision_on(fresh: str, *, apart: bool) -> None:
    """As long as that decision is told of in the log, as in the ledger that was lost."""
    log, topics = MemoryLog(), Topics()
    await log.create([topics.interactions, topics.outcomes])
    click = facts.click("e1")
    await log.append([NewRecord.of(topics.interactions, encode(one)) for one in (click, facts.redrive("e1", 1))])
    failed = Decided(
        event_id=click.event_id, app_id=click.app_id, tenant_key=click.tenant_key, message_id=click.message_id,
        partition=0, offset=0, result="failed", occurred_at=facts.NOW, decided_at=facts.NOW,
    )  # fmt: skip
    redriven = replace(failed, result="decided", redrive=1, offset=1, decided_at=facts.NOW + HOUR_MS)
    await log.append([NewRecord.of(topics.outcomes, encode(failed))])
    if apart:
        await steps_told(log, fresh, until=1)
    await log.append([NewRecord.of(topics.outcomes, encode(redriven))])
    made = await remade(log, topics, fresh)
    assert [("decided", facts.NOW + HOUR_MS)] == [(row["result"], row["claimed_at"]) for row in made.rows.claims]


async def test_a_ledger_that_workers_began_meanwhile_is_refused(tmp_path: Path) -> None:
    """Of a log without decisions a worker takes any empty ledger for its own: one line says so."""
    log, topics = MemoryLog(), Topics()
    await log.create([topics.interactions, topics.outcomes])
    await log.append([NewRecord.of(topics.interactions, encode(facts.click("e1")))])
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    restoring, ledger = open_restoring(url, settle_ms=SETTLE_MS), open_ledger(url)
    await restoring.check()
    await restoring.start("outcomes", {0: 0})
    await ledger.begin(12)
    with pytest.raises(NotEmpty, match="it holds positions"):
        await restoring.finish({0: Progress(next=1)})
    assert [0] * 12 == [position.next for position in (await ledger.positions()).values()]
    await ledger.close()
    await restoring.close()


async def test_inputs_that_are_read_again_are_of_a_moved_log_as_before(fresh: str) -> None:
    """New outcomes bring it about; what showed that the log was moved has been put right, and shows it no longer."""
    restoring = open_restoring(fresh, settle_ms=SETTLE_MS)
    await restoring.check()
    await restoring.start("outcomes", {0: 0})
    await restoring.start("inputs", {0: 5})
    found = Found(heard={}, rights={}, letters={}, answered={}, homes={}, redriven={}, new_style_at={}, tickets={})
    reached = Progress(next=9, position=7, last_id="e7", moved=True)
    await restoring.add(found, Step(stage="inputs", partition=0, expected=5, to=reached))
    assert {0: reached} == await restoring.start("inputs", {0: 5})
    told = Changes(
        claims={}, cards={}, faces={}, planned={}, standings={}, tokens={}, letters={}, lifted=(), traceparents={}
    )
    await restoring.store(told, Step(stage="outcomes", partition=0, expected=0, to=Progress(next=1)))
    assert {0: Progress(next=5, moved=True), 1: Progress(next=2)} == await restoring.start("inputs", {0: 5, 1: 2})
    await restoring.close()


async def test_a_log_without_topics_is_refused(tmp_path: Path) -> None:
    """A wrong address or prefix makes no empty ledger that looks like a whole one."""
    restoring = open_restoring(f"sqlite:///{tmp_path / 'rebuilt.db'}", settle_ms=SETTLE_MS)
    await restoring.check()
    with pytest.raises(StartRefused, match="has no topic"):
        await rebuild(MemoryLog(), restoring, Topics())
    await restoring.close()


async def test_a_newer_programs_record_ends_it_and_an_unreadable_one_is_counted(tmp_path: Path) -> None:
    """What nobody can read was parked by the workers, too; what a newer program wrote may not be passed over."""
    log, topics = MemoryLog(), Topics()
    await log.create([topics.interactions, topics.outcomes])
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    junk = NewRecord(topic=topics.outcomes, key="k", value=b"{", headers=(("ce_type", b"x"),), timestamp=1)
    await log.append([junk])
    restoring = open_restoring(url, settle_ms=SETTLE_MS)
    await restoring.check()
    newer = NewRecord(
        topic=topics.outcomes, key="k", value=b"{}", headers=(("ce_type", b"lark.card.decided.v9"),), timestamp=1
    )
    await log.append([newer])
    with pytest.raises(NewerThanUs):
        await rebuild(log, restoring, topics)
    await restoring.close()


async def moved(
    source: EventLog, folder: Path, topics: Topics, *, fillers: int, without: str | None = None
) -> EventLog:
    """Return a copy of a log: keys and order are kept, offsets are others; without the records of one event."""
    target = open_log(f"sqlite:///{folder / 'moved.db'}", topics=topics)
    await target.append([_filler(topics, number) for number in range(fillers)])
    for topic in (topics.interactions, topics.outcomes):
        for partition, span in (await source.spans(topic)).items():
            records = await source.read(topic, partition, span.begin, limit=span.end)
            left = [
                one for one in records if topic == topics.outcomes or without is None or without not in str(one.headers)
            ]
            await target.append(
                [NewRecord(topic=topic, key=one.key, value=one.value, headers=one.headers, timestamp=one.timestamp)
                 for one in left if b"filler" not in one.value]
            )  # fmt: skip
    return target


def _filler(topics: Topics, number: int) -> NewRecord:
    """Return the mark of a click that nobody knows, for one partition or another."""
    return NewRecord.of(topics.interactions, encode(facts.mark(facts.click(f"filler{number}", message_id=None))))


@pytest.mark.parametrize(
    ("before", "after"), [pytest.param(0, FILLERS, id="to larger"), pytest.param(FILLERS, 0, id="to smaller")]
)
@pytest.mark.parametrize("gone", [False, True], ids=["whole", "without the oldest"])
async def test_a_log_that_was_moved_is_at_home_in_its_new_place(
    tmp_path: Path, before: int, after: int, *, gone: bool
) -> None:
    """Positions, places and orders are those of the new log, whatever the old offsets were; counters go on."""
    async with world(files(tmp_path), app_of_stories(), workers=0) as running:
        await running.event_log.append([_filler(running.topics, number) for number in range(before)])
        cards = [running.simulator.put_card(await running.chat(), BLANK) for _ in range(3)]
        async with running.worker():
            events = [(await running.simulator.click(card, COUNT)).event_id for card in cards * 2]
            await running.quiet()
        log = await moved(
            running.event_log, tmp_path, running.topics, fillers=after, without=events[0] if gone else None
        )
        url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
        made = await remade(log, running.topics, url)
        places = {(row["partition"], row["offset"]): row["event_id"] for row in made.rows.claims}
        for (partition, offset), event in places.items():
            records = await log.read(running.topics.interactions, partition, offset, limit=1)
            here = any((("ce_id", event.encode())) in record.headers for record in records)
            assert here or (gone and event == events[0])
        spans = await log.spans(running.topics.interactions)
        assert {number: span.end for number, span in spans.items()} == {
            row["partition"]: row["next"] for row in made.rows.positions
        }
        await log.close()
        there = {"CARDWIRE_LEDGER": url, "CARDWIRE_LOG": f"sqlite:///{tmp_path / 'moved.db'}"}
        async with running.worker(there):
            other = open_log(there["CARDWIRE_LOG"], topics=running.topics)
            third = facts.click(
                "third", value=COUNT, message_id=cards[0], app_id=running.env["LARK_APP_ID"],
                occurred_at=made.now, received_at=made.now,
            )  # fmt: skip
            await other.append(
                [NewRecord.of(running.topics.interactions, encode(one)) for one in (third, facts.mark(third))]
            )
            await running.until(lambda: shown(running, cards[0]) == 3)
            await other.close()


async def test_handlers_of_today_are_nobodys_business(tmp_path: Path) -> None:
    """Decisions are facts: with a handler that would decide otherwise now, the ledger is what it was."""
    async with world(files(tmp_path), app_of_stories(), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker():
            for _ in range(3):
                await running.simulator.click(message_id, COUNT)
            await running.quiet()
        changed = App()

        @changed.on_action("count")
        def count(click: Interaction, card: Card | None) -> Decision:
            n = counted(card) + 100
            return Decision(state=n, effects=[UpdateCard({**BLANK, "n": n, "by": click.event_id})])

        running.app = changed
        url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
        assert [] == await rebuilt_into(running, url)
        async with worker_on(running, url):
            await running.simulator.click(message_id, COUNT)
            await running.until(lambda: shown(running, message_id) == 103)
