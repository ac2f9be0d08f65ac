"""
One hot card: ten thousand clicks on it within seconds, and how everything behind it keeps up.

*Straight*: the clicks and their marks are appended to the log at a constant rate, as if gateways without end took them.
*Whole*: the simulator clicks as fast as it and the gateway can. Simulator, gateway and worker are processes of their
own, under the platform's real limits; the ledger's position and the card's versions say how far they are.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from bench.place import Place, everything, on_card
from bench.stacks import Stack
from bench.work import append, card_showing, click, mark
from shared.core.codec import decode, encode
from shared.core.events import EffectOutcome, Event
from shared.core.json_text import EpochMs
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, NewRecord
from tests.chaos.processes import now
from worker.ledger.open import open_ledger
from worker.ledger.port import LedgerPositions

OVER_S: Final = 8.0
STEP_S: Final = 0.05
AT_ONCE: Final = 48
LOOK_S: Final = 0.5
SETTLE_MS: Final = 300
PATIENCE_S: Final = 180.0
READ: Final = 1_000

HEAD: Final = (
    "one hot card", "clicks in", "all decided after", "greatest backlog, records", "updates, most in a second",
    "last settle gap to the right card, ms", "backlog each second",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Hot:
    """
    What became of the clicks. Times from the first click on (s).

    Attributes:
        clicked_s: How long the clicking took.
        backlog: How many records (clicks and marks) waited for their decision, looked at twice a second.
        updates_at: When the card was updated (ms).
        late_ms: From the end of the last settle gap to the card that shows all clicks.
    """

    clicked_s: float
    decided_s: float
    backlog: Sequence[int]
    updates_at: Sequence[EpochMs]
    late_ms: int


async def measure(stack: Stack, *, clicks: int, whole: bool) -> Hot:
    """Click one card so often, straight into the log or through the whole stack."""
    async with AsyncExitStack() as closing:
        place = await closing.enter_async_context(everything(stack))
        topics = place.topics
        log, ledger = open_log(place.log, topics=topics), open_ledger(place.ledger)
        closing.push_async_callback(log.close)
        closing.push_async_callback(ledger.close)
        chat_id = (await place.platform.post("chats", {"name": "hot"}))["chat_id"]
        card = (await place.platform.post("cards", {"chat_id": chat_id, "card": card_showing(0, "")}))["message_id"]
        began, backlog = time.monotonic(), _Backlog(log, topics.interactions, ledger)
        watching = asyncio.create_task(backlog.watch())
        async with asyncio.timeout(PATIENCE_S):
            if whole:
                await _click(place, card, clicks)
            else:
                await _append(log, topics.interactions, card, chat_id, clicks)
            clicked_s = time.monotonic() - began
            backlog.is_all = True
            await watching
            decided_s = time.monotonic() - began
            story = await _shown(place, card, clicks)
        updates = [version["at_ms"] for version in story["versions"] if version["by"] == "patch"]
        return Hot(
            clicked_s=clicked_s,
            decided_s=decided_s,
            backlog=backlog.seen,
            updates_at=updates,
            late_ms=updates[-1] - SETTLE_MS - await _last_mark(log, topics.outcomes),
        )


async def _append(log: EventLog, topic: str, card: str, chat_id: str, clicks: int) -> None:
    """Append clicks and marks at a constant rate, whatever becomes of them."""
    began, per_step = time.monotonic(), max(1, round(clicks * STEP_S / OVER_S))
    for step, first in enumerate(range(0, clicks, per_step)):
        await asyncio.sleep(began + step * STEP_S - time.monotonic())
        numbers = range(first, min(first + per_step, clicks))
        await append(log, [NewRecord.of(topic, encode(event)) for event in _events(numbers, card, chat_id)])


def _events(numbers: range, card: str, chat_id: str) -> Iterator[Event]:
    for number in numbers:
        at = now()
        made = on_card(click(number, 0), card, chat_id, at)
        yield made
        yield mark(made)


async def _click(place: Place, card: str, clicks: int) -> None:
    """Have the simulator click, so many at once."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with slots:
            action = {"tag": "button", "value": {"action": "count"}}
            seen = await place.platform.post("click", {"message_id": card, "action": action})
            assert seen["client_error"] is None, seen

    async with asyncio.TaskGroup() as group:
        for _ in range(clicks):
            group.create_task(one())


@dataclass(slots=True)
class _Backlog:
    """Looks how many records wait for their decision."""

    log: EventLog
    topic: str
    ledger: LedgerPositions
    seen: list[int] = field(default_factory=list)
    is_all: bool = False

    async def watch(self) -> None:
        """Look until nothing waits any more, once all is there."""
        while True:
            is_all = self.is_all
            ends = await self.log.spans(self.topic)
            at = await self.ledger.positions()
            self.seen.append(sum(span.end - at[number].next for number, span in ends.items() if number in at))
            if is_all and not self.seen[-1]:
                return
            await asyncio.sleep(LOOK_S)


async def _shown(place: Place, card: str, clicks: int) -> dict[str, Any]:
    """Wait for the card that shows all clicks, and return its story."""
    while True:
        story: dict[str, Any] = await place.platform.get(f"messages/{card}")
        if f"({clicks})" in json.dumps(story["card"], ensure_ascii=False):
            return story
        await asyncio.sleep(LOOK_S)


async def _last_mark(log: EventLog, topic: str) -> EpochMs:
    """Return when the worker saw the mark of the last update that was made (ms)."""
    marked_at = 0
    for partition, span in (await log.spans(topic)).items():
        offset = span.begin
        while offset < span.end and (records := await log.read(topic, partition, offset, limit=READ)):
            for record in records:
                event = decode(record.headers, record.value)
                if isinstance(event, EffectOutcome) and event.status == "succeeded":
                    marked_at = max(marked_at, event.marked_at or 0)
            offset = records[-1].offset + 1
    return marked_at


def line(what: str, hot: Hot) -> list[str]:
    """Return the row of a table about these clicks; see `HEAD`."""
    most = max(Counter(at // 1_000 for at in hot.updates_at).values())
    return [
        what,
        f"{hot.clicked_s:.1f} s",
        f"{hot.decided_s:.1f} s",
        f"{max(hot.backlog):,}",
        f"{len(hot.updates_at)}, {most}",
        str(hot.late_ms),
        " ".join(f"{waiting:,}" for waiting in hot.backlog[::2]),
    ]
