"""What the system needs goes away and comes back: nothing accepted is lost, nothing is done twice, nothing gives up."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.cards import Toast
from shared.core.decision import Card, Decision
from shared.core.effects import SendText, UpdateCard
from shared.core.events import InteractionReceived
from shared.core.ids import MessageId
from shared.eventlog.memory import MemoryConsumer, MemoryLog
from shared.eventlog.port import Polled
from simulator.faults import FaultKind, FaultRule
from tests.scenario.handlers import BLANK, COUNT, PATCH, RENAME, SEND, app_of_stories, counted
from tests.support.kafka import KafkaBroker
from tests.support.postgres import PostgresServer
from tests.support.world import Stack, World, clock_of_now, files, services, world
from worker.app import RunningWorker
from worker.platform.breaker import PROBE_MS

ACCEPTED = "记下了"
CARDS = 4
EVERYWHERE = "/open-apis/*"


def counting_app() -> App:
    """Return a handler that answers a toast of its own, counts, and sends a text at every click."""
    app = App()

    @app.on_action("count", answer=Toast.info(ACCEPTED))
    def count(click: Interaction, card: Card | None) -> Decision:
        n = counted(card) + 1
        shown = {**BLANK, "n": n, "by": click.event_id}
        return Decision(state=n, effects=[UpdateCard(shown), SendText(click.event_id)])

    return app


class Clicking:
    """People who click, and what they were told."""

    def __init__(self, running: World, chat_id: str, cards: Sequence[str]) -> None:
        self._running, self._chat_id, self._cards = running, chat_id, cards
        self.accepted: list[str] = []
        self.others: list[str] = []

    async def round(self, times: int = 1) -> None:
        """Click every card once, or more often."""
        for _ in range(times):
            await asyncio.gather(*[self._click(card) for card in self._cards])

    async def _click(self, card: str) -> None:
        seen = await self._running.simulator.click(card, COUNT)
        assert seen.event_id is not None
        assert (200, None) == (seen.status, seen.client_error)
        (self.accepted if seen.client_text == ACCEPTED else self.others).append(seen.event_id)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Click until something holds: now and then, for each click is a text, and all go to one chat, in its pace."""
        while not await condition():
            await self.round()
            await asyncio.sleep(0.25)

    async def all_done(self) -> None:
        """Fail unless every accepted click was counted exactly once, and nothing was given up."""
        running = self._running
        await running.quiet(patience_s=60)
        logged = {
            event.event_id: str(event.message_id)
            for event in await running.events(running.topics.interactions)
            if isinstance(event, InteractionReceived)
        }
        assert set(self.accepted) <= set(logged)
        decisions = {decision.event_id: decision.result for decision in await running.decisions()}
        assert dict.fromkeys(logged, "decided") == decisions
        on_card = Counter(logged.values())
        assert on_card == {card: self._shown(card) for card in on_card}
        final = {(o.event_id, o.index): o.status for o in await running.outcomes() if o.final}
        assert {"succeeded", "superseded"} >= set(final.values())
        texts = Counter(self._texts())
        assert dict.fromkeys(logged, 1) == dict(texts)
        await running.check()

    def _shown(self, card: str) -> int:
        shown = self._running.simulator.platform.message(card).card
        return int(shown.text.partition('"n":')[2].partition(",")[0] or 0) if shown else 0

    def _texts(self) -> list[str]:
        platform = self._running.simulator.platform
        messages = [platform.message(message_id) for message_id in platform.chat(self._chat_id).message_ids]
        return [message.content.split('"')[3] for message in messages if message.msg_type == "text"]


@asynccontextmanager
async def clicked(stack: Stack, *, workers: int = 1) -> AsyncIterator[tuple[World, Clicking]]:
    """Run a world in which some cards were clicked once and everything is well."""
    async with world(stack, counting_app(), workers=workers, limits="20") as running:
        chat_id = await running.chat()
        people = Clicking(running, chat_id, [running.simulator.put_card(chat_id, BLANK) for _ in range(CARDS)])
        await people.round()
        yield running, people


@pytest.mark.postgres
@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_a_ledger_that_goes_away_is_waited_for(
    postgres_server: PostgresServer, tmp_path: Path, fault: str
) -> None:
    """Clicks are accepted meanwhile, the worker is unready and decides nothing; afterwards it decides them all."""
    stack = replace(files(tmp_path), ledger=postgres_server.databases.create())
    async with clicked(stack) as (running, people):
        await running.until(lambda: bool(running.calls(PATCH)))
        worker = running.workers[0]
        assert await worker.is_ready()
        await asyncio.to_thread(postgres_server.kill if fault == "killed" else postgres_server.pause)
        await people.until(lambda: is_unready(worker))
        assert ["ledger_away"] == list(await worker.lacks())
        assert worker.is_alive()
        await people.round()
        await asyncio.to_thread(postgres_server.recover)
        await running.until(worker.is_ready)
        await people.round()
        await people.all_done()
        assert [] == people.others
        assert 3 * CARDS <= len(people.accepted)


@pytest.mark.kafka
@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_a_broker_that_goes_away_loses_no_accepted_click(
    kafka_broker: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """
    Whoever clicks meanwhile is told that it may not have been recorded; whoever was told otherwise is counted.

    The worker says once that it waits, and once that it goes on.
    """
    said = _said(capsys)
    stack = replace(files(tmp_path), log=f"kafka://{kafka_broker.bootstrap}", prefix=f"outage-{fault}.")
    async with clicked(stack) as (running, people):
        await people.round(2)
        await asyncio.to_thread(kafka_broker.kill if fault == "killed" else kafka_broker.stop)
        await people.round()
        assert CARDS <= len(people.others)
        assert (["log_away"], ["log_away"]) == (await running.gateway.lacks(), await running.workers[0].lacks())
        await running.until(lambda: "consuming_paused" in said())
        await asyncio.to_thread(kafka_broker.recover)
        await running.until(running.gateway.is_ready)
        await accepted_again(running, people)
        await people.all_done()
        await running.until(lambda: "consuming_resumed" in said())
    told = re.findall(r"(consuming_\w+).*?=(log|ledger)\b", said())
    assert [("consuming_paused", "log"), ("consuming_resumed", "log")] == told


@pytest.mark.kafka
@pytest.mark.postgres
async def test_broker_and_ledger_both_away_lose_nothing_accepted(
    kafka_broker: KafkaBroker, postgres_server: PostgresServer
) -> None:
    """Both killed under load and started again, the ledger last."""
    stack = services(kafka_broker.bootstrap, postgres_server.databases.create())
    async with clicked(stack) as (running, people):
        worker = running.workers[0]
        await asyncio.to_thread(kafka_broker.kill)
        await asyncio.to_thread(postgres_server.kill)
        await people.round()
        assert CARDS <= len(people.others)
        await running.until(lambda: is_unready(worker))
        assert worker.is_alive()
        await asyncio.to_thread(kafka_broker.recover)
        await running.until(running.gateway.is_ready)
        await asyncio.to_thread(postgres_server.recover)
        await running.until(worker.is_ready)
        await accepted_again(running, people)
        await people.all_done()


def _said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return what gives all output so far."""
    pieces: list[str] = []

    def said() -> str:
        pieces.append(capsys.readouterr().out)
        return "".join(pieces)

    return said


class Mute(MemoryLog):
    """A log whose consumers hear nothing, however long they wait, until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def consume(self, topic: str, *, group: str) -> MemoryConsumer:
        return MuteConsumer(self, topic, group)


class MuteConsumer(MemoryConsumer):
    """See `Mute`."""

    def __init__(self, log: Mute, topic: str, group: str) -> None:
        super().__init__(log, topic, group)
        self._go_on = log.go_on

    async def poll(self, *, max_records: int, wait_s: float) -> Polled:
        await self._go_on.wait()
        return await super().poll(max_records=max_records, wait_s=wait_s)


async def test_a_worker_that_is_stopped_waits_for_no_record(tmp_path: Path) -> None:
    """Whatever its log does: nobody would decide what came."""
    event_log = Mute()
    async with world(files(tmp_path), App(), workers=0) as running, running.worker(event_log=event_log) as worker:
        try:
            async with asyncio.timeout(5):
                await worker.stop()
        finally:
            event_log.go_on.set()


async def is_unready(worker: RunningWorker) -> bool:
    """Say whether a worker says that it cannot work."""
    return not await worker.is_ready()


async def accepted_again(running: World, people: Clicking) -> None:
    """Click until a whole round is accepted."""

    async def is_accepted() -> bool:
        before = len(people.accepted)
        await people.round()
        return len(people.accepted) == before + CARDS

    await running.until(is_accepted)


@pytest.mark.parametrize("kind", ["drop_before", "500"])
async def test_a_platform_that_is_away_costs_no_attempt_and_no_effect(either_ledger: Stack, kind: FaultKind) -> None:
    """Two minutes without it: few calls are wasted, and every effect is performed afterwards."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(20)]
        running.simulator.faults.set(1, [FaultRule(path=EVERYWHERE, kind=kind, p=1.0)])
        for card in cards:
            await running.simulator.click(card, COUNT)
            await running.simulator.click(card, {"action": "text", "text": "hello"})
            await running.simulator.click(card, {"action": "rename", "name": "跟进中"})
        began = clock.now()
        await running.until(lambda: clock.now() >= began + 120_000, patience_s=60)
        assert len(running.calls()) < 100
        running.simulator.faults.set(1, [])
        await running.quiet(patience_s=60)
        platform = running.simulator.platform
        assert [True] * len(cards) == ['"n":1' in str(platform.message(card).card) for card in cards]
        assert "跟进中" == platform.chat(chat_id).name
        assert 2 * len(cards) == len(platform.chat(chat_id).message_ids)
        final = [outcome for outcome in await running.outcomes() if outcome.final]
        assert {"succeeded": 2 * len(cards) + 1, "superseded": len(cards) - 1} == Counter(o.status for o in final)
        assert {1} == {outcome.attempts for outcome in final if outcome.status == "succeeded"}
        assert {0} == {outcome.attempts for outcome in await running.outcomes() if not outcome.final}
        await running.check()
        assert {None} == {call.fault for call in running.calls(RENAME) if call.code == 0}


DAY_AND_AN_HOUR_S = 25 * 3600


async def test_after_more_than_a_day_without_the_platform_nothing_stale_is_sent(either_ledger: Stack) -> None:
    """Neither what was tried nor what was only put off: all of it ends with its reason, and can be redriven."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(12)]
        running.simulator.faults.set(1, [FaultRule(path=EVERYWHERE, kind="drop_before", p=1.0)])
        await stale(running, cards)
        began = clock.now()
        await running.until(lambda: clock.now() >= began + 10_000)
        clock.advance(DAY_AND_AN_HOUR_S)
        running.simulator.faults.set(1, [])
        await running.quiet()
        assert [] == [call for call in running.calls() if call.code == 0]
        final = [outcome for outcome in await running.outcomes() if outcome.final]
        assert {("failed", "out_of_time"): 2 * len(cards)} == Counter((one.status, one.reason) for one in final)
        assert 2 * len(cards) == len(await running.ledger.failures.effects())
        assert any(outcome.k == 1 for outcome in final)
        await running.check()


async def test_workers_that_were_away_for_more_than_a_day_send_nothing_stale(either_ledger: Stack) -> None:
    """What was decided before is given up; what was clicked meanwhile is decided now, and performed."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        chat_id = await running.chat()
        *cards, other = [running.simulator.put_card(chat_id, BLANK) for _ in range(5)]
        running.simulator.faults.set(1, [FaultRule(path=EVERYWHERE, kind="drop_before", p=1.0)])
        await stale(running, cards)
        await running.stop_worker(running.workers[0])
        running.simulator.faults.set(1, [])
        meanwhile = await running.simulator.click(other, {"action": "text", "text": "meanwhile"})
        clock.advance(DAY_AND_AN_HOUR_S)
        async with running.worker():
            await running.quiet()
        final = {(one.event_id == meanwhile.event_id, one.status, one.reason): one for one in await running.outcomes()}
        ends = {key for key, one in final.items() if one.final}
        assert {(False, "failed", "out_of_time"), (True, "succeeded", None)} == ends
        assert 1 == len(running.calls(SEND)) - len([call for call in running.calls(SEND) if call.fault])
        await running.check()


async def stale(running: World, cards: Sequence[str]) -> None:
    """Have each card clicked twice, for an update and for a text, and all of it decided."""
    for card in cards:
        await running.simulator.click(card, COUNT)
        await running.simulator.click(card, {"action": "text", "text": "hello"})

    async def is_decided() -> bool:
        return len(await running.decisions()) == 2 * len(cards)

    await running.until(is_decided)


async def test_everybody_goes_on_when_the_first_call_gets_through(either_ledger: Stack) -> None:
    """The cards that waited behind that call are not left to sleep as long as it might have taken."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(20)]
        running.simulator.faults.set(1, [FaultRule(path="/open-apis/im/*", kind="drop_before", p=1.0)])
        for card in cards:
            await running.simulator.click(card, COUNT)
        await running.until(lambda: len(running.calls(PATCH)) > len(cards))
        running.simulator.faults.set(1, [])
        back_at = clock.now()
        messages = running.simulator.platform.messages
        await running.until(lambda: all('"n":1' in str(messages[MessageId(card)].card) for card in cards))
        assert clock.now() - back_at < PROBE_MS


async def test_a_worker_stopped_in_the_middle_of_its_work_leaves_nothing_behind(stack: Stack) -> None:
    """It finishes its calls, settles, tells; the next one goes on: nothing is lost and every text is sent once."""
    async with clicked(stack, workers=0) as (running, people):
        running.simulator.faults.set(1, [FaultRule(path=EVERYWHERE, kind="delay", p=1.0, ms=100)])
        for _ in range(3):
            async with running.worker():
                before = len(running.calls(SEND))
                clicking = asyncio.create_task(people.round(2))
                await running.until(lambda before=before: len(running.calls(SEND)) > before)  # type: ignore[misc]
            await clicking
        running.simulator.faults.set(1, [])
        async with running.worker():
            await people.all_done()
        assert 7 * CARDS == len(people.accepted)
        assert 7 * CARDS == len(running.calls(SEND))
