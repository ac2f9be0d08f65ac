"""Several workers that believe the same work to be theirs: one commits, the others are fenced."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import RenameChat, SendText, UpdateCard
from shared.core.events import Event, InteractionReceived
from shared.eventlog.memory import MemoryLog
from shared.observability.metrics import FENCED
from tests.scenario.handlers import BLANK, RENAME, SEND, app_of_stories, counted
from tests.support import facts
from tests.support.dump import dump
from tests.support.world import Stack, World, files, services, world

MEETING_S = 0.5
"""How long a handler waits for the other worker's: less than its deadline; one of them may still be joining."""

NOW = time.time_ns() // 1_000_000
"""A real broker deletes what looks a month old."""

CHATS = 6
CARDS = 60
ROUNDS = 20
"""Clicks on each card; with their marks 2,400 events."""


def meeting(places: threading.Barrier) -> App:
    """Return a handler that returns when two workers are in it, or nobody else comes."""
    app = App()

    @app.on_action("meet")
    def meet(click: Interaction, card: Card | None) -> Decision:
        with contextlib.suppress(threading.BrokenBarrierError):
            places.wait(MEETING_S)
        places.reset()
        n = counted(card) + 1
        return Decision(state=n, effects=[UpdateCard({**BLANK, "n": n}), SendText(click.event_id)])

    return app


def log_of_two(stack: Stack) -> MemoryLog | None:
    """Return a log that two groups can read: a SQLite one serves a single worker process."""
    return MemoryLog() if stack.log.startswith("sqlite") else None


async def test_of_two_deciders_of_one_click_one_commits_and_the_other_is_fenced(stack: Stack) -> None:
    """Both are in the handler at the same moment; one decision is stored, one update and one text go out."""
    app = meeting(threading.Barrier(2))
    async with world(stack, app, workers=0, shared_log=log_of_two(stack)) as running, AsyncExitStack() as both:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        two = [await both.enter_async_context(running.worker({"CARDWIRE_GROUP": name})) for name in ("one", "two")]
        clicks = 0
        while not sum(worker.metrics.value(FENCED) for worker in two):
            await running.simulator.click(message_id, {"action": "meet"})
            clicks += 1
            await running.until(lambda wanted=clicks: all_decided(running, wanted))  # type: ignore[misc]
        await running.quiet()
        assert [clicks, clicks] == [len(await running.decisions()), len(running.calls(SEND))]
        assert f'"n":{clicks}' in shown(running, message_id)
        await running.check()


async def all_decided(running: World, clicks: int) -> bool:
    """Say whether so many clicks are decided."""
    return len((await dump(running.ledger.database)).claims) == clicks


async def test_two_deciders_of_every_partition_count_every_click_once(stack: Stack) -> None:
    """Whoever comes first decides; the other drops its batch, looks where the ledger stands, and goes on there."""
    async with world(
        stack, app_of_stories(), workers=0, limits="none", shared_log=log_of_two(stack)
    ) as running, AsyncExitStack() as both:  # fmt: skip
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(10)]
        two = [await both.enter_async_context(running.worker({"CARDWIRE_GROUP": name})) for name in ("one", "two")]
        for nth in range(10):
            await running.append(*[counting(card, f"{card}-{nth}", chat_id) for card in cards])
        await running.quiet()
        assert [True] * len(cards) == ['"n":10' in shown(running, card) for card in cards]
        decided = Counter(decision.event_id for decision in await running.decisions())
        assert 100 == len(decided)
        assert sum(worker.metrics.value(FENCED) for worker in two) > 0
        await running.check()


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.timeout(120)
async def test_three_workers_share_chats_without_deadlock_or_lost_wake_up_on_services(
    kafka: str, postgres_url: str
) -> None:
    """Three deciders and three pumps, cards of all partitions, chats shared by all of them: 2,400 events."""
    async with world(services(kafka, postgres_url), crowd(), limits="none", workers=3) as running:
        await crowded(running)
        connection = await asyncpg.connect(postgres_url)
        deadlocks = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        await connection.close()
        assert 0 == deadlocks


@pytest.mark.timeout(120)
async def test_three_workers_share_chats_without_deadlock_or_lost_wake_up_on_one_file(tmp_path: Path) -> None:
    """The same with one SQLite file as the ledger of all three."""
    async with world(files(tmp_path), crowd(), limits="none", workers=3, shared_log=MemoryLog()) as running:
        await crowded(running)


def crowd() -> App:
    """Return a handler that counts, names the chat after its click, and sends a text at every tenth click."""
    app = App()

    @app.on_action("crowd")
    def count(click: Interaction, card: Card | None) -> Decision:
        n = counted(card) + 1
        text = [SendText(click.event_id)] if n % 10 == 0 else []
        return Decision(state=n, effects=[UpdateCard({**BLANK, "n": n}), RenameChat(click.value["name"]), *text])

    return app


async def crowded(running: World) -> None:
    """Click every card many times, and fail unless every count, name and text is right in the end."""
    chats = [await running.chat() for _ in range(CHATS)]
    cards = [(running.simulator.put_card(chats[n % CHATS], BLANK), chats[n % CHATS]) for n in range(CARDS)]
    for nth in range(ROUNDS):
        await running.append(*crowd_events(cards, nth))
    await running.quiet(patience_s=90)
    assert [True] * CARDS == [f'"n":{ROUNDS}' in shown(running, card) for card, _ in cards]
    newest = {chat: f"{ROUNDS - 1}/{max(n for n in range(CARDS) if cards[n][1] == chat)}" for chat in chats}
    assert newest == {chat: running.simulator.platform.chat(chat).name for chat in chats}
    per_chat = CARDS // CHATS
    texts = [len(running.simulator.platform.chat(chat).message_ids) - per_chat for chat in chats]
    assert [per_chat * ROUNDS // 10] * CHATS == texts
    assert len(running.calls(RENAME)) <= CARDS * ROUNDS
    await running.check()


def crowd_events(cards: Sequence[tuple[str, str]], nth: int) -> list[Event]:
    """Return one click on each card, each a little later than the one before, and their marks."""
    at = NOW + 1_000 * nth
    clicks = [
        facts.click(
            f"{card}-{nth}", value={"action": "crowd", "name": f"{nth}/{n}"}, message_id=card, chat_id=chat,
            occurred_at=at + n, received_at=at + n,
        )
        for n, (card, chat) in enumerate(cards)
    ]  # fmt: skip
    return [*clicks, *[facts.mark(click) for click in clicks]]


def counting(message_id: str, event_id: str, chat_id: str) -> InteractionReceived:
    """Return a click that counts."""
    return facts.click(event_id, value={"action": "count"}, message_id=message_id, chat_id=chat_id,
                       occurred_at=NOW)  # fmt: skip


def shown(running: World, message_id: str) -> str:
    """Return the card that everybody sees."""
    card = running.simulator.platform.message(message_id).card
    return card.text if card else ""
