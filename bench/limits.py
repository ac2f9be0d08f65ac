"""
The platform's limits: how much of them is used while there is work, and whether one is ever exceeded.

All cards are clicked at once, straight into the log. Three workers share the limits; while they are at it one is
killed, one is stopped, and both come back, so partitions change hands. The simulator counts the calls, and judges them
by calendar windows as the platform does; the fullest sliding window is told as well.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from bench.place import Place, everything, on_card
from bench.stacks import Stack
from bench.work import append, card_showing, click, mark
from shared.core.codec import encode
from shared.core.json_text import EpochMs
from shared.eventlog.open import open_log
from shared.eventlog.port import NewRecord
from tests.chaos.processes import now

WORKERS: Final = 3
AT_ONCE: Final = 32
PATCH: Final = "PATCH"
SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
SPARE: Final = 1.3
"""So many times the calls that the limits allow are wanted, so that there is work until the end."""

HEAD: Final = (
    "limits", "for", "calls", "of what is allowed", "fullest calendar window", "fullest sliding one",
    "limits exceeded",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """
    What is measured.

    Attributes:
        limits: As the settings take them.
        window_ms: The window that binds, and `quota`: how many calls it allows.
    """

    limits: str
    for_s: int
    window_ms: int
    quota: int


SECONDS: Final = Burst(limits="50/s 6000/min", for_s=20, window_ms=SECOND_MS, quota=50)
"""The second's limit alone binds."""

MINUTES: Final = Burst(limits="1", for_s=180, window_ms=MINUTE_MS, quota=1_000)
"""The documented limits: over minutes the minute's binds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """When calls arrived, from the first on, and how many rules were broken."""

    calls_at: Sequence[EpochMs]
    broken: int


async def measure(stack: Stack, burst: Burst) -> Used:
    """Click as many cards as keep the workers busy, and return which calls came within the time."""
    async with AsyncExitStack() as closing:
        place = await closing.enter_async_context(everything(stack, workers=WORKERS, limits=burst.limits))
        log = open_log(place.log, topics=place.topics)
        closing.push_async_callback(log.close)
        wanted = round(burst.quota * burst.for_s * 1_000 / burst.window_ms * SPARE)
        records = await _clicks(place, wanted)
        breaking = asyncio.create_task(_break(place, burst.for_s))
        await append(log, records)
        await asyncio.sleep(burst.for_s + 3)
        await breaking
        calls = [call["at_ms"] for call in await place.platform.pages("calls") if call["method"] == PATCH]
        broken = [each for each in await place.platform.get("violations") if "_per_" in each["rule"]]
        until = min(calls) + burst.for_s * 1_000
        return Used(calls_at=[at for at in calls if at < until], broken=len(broken))


async def _clicks(place: Place, cards: int) -> Sequence[NewRecord]:
    chat_id = (await place.platform.post("chats", {"name": "limits"}))["chat_id"]
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Sequence[NewRecord]:
        async with slots:
            made = await place.platform.post("cards", {"chat_id": chat_id, "card": card_showing(0, "")})
        clicked = on_card(click(number, 0), made["message_id"], chat_id, now())
        return [NewRecord.of(place.topics.interactions, encode(event)) for event in (clicked, mark(clicked))]

    return [record for pair in await asyncio.gather(*map(one, range(cards))) for record in pair]


async def _break(place: Place, for_s: int) -> None:
    """Kill one worker after a fourth of the time, and stop another after half of it; their keeper starts them again."""
    await asyncio.sleep(for_s / 4)
    place.workers[0].kill()
    await asyncio.sleep(for_s / 4)
    place.workers[1].leave()


def line(what: str, burst: Burst, used: Used) -> list[str]:
    """Return the row of a table about these calls; see `HEAD`."""
    allowed = burst.quota * burst.for_s * 1_000 / burst.window_ms
    calendar = Counter(at // burst.window_ms for at in used.calls_at)
    sliding = max(sum(at <= other < at + burst.window_ms for other in used.calls_at) for at in used.calls_at)
    return [
        f"{what}, {burst.limits}",
        f"{burst.for_s} s",
        f"{len(used.calls_at):,}",
        f"{len(used.calls_at) / allowed:.1%}",
        f"{max(calendar.values())} of {burst.quota}",
        str(sliding),
        str(used.broken),
    ]
