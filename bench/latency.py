"""
Latency: from a click to the changed card, with everything in processes of its own and under the real limits.

Open loop: clicks are sent at constant times whatever becomes of the earlier ones, and a latency counts from the time at
which its click was *intended*. It ends when the simulator has taken the card's update. Both times are one machine's.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.figures import percentile
from bench.place import everything
from bench.stacks import Stack
from bench.work import card_showing
from tests.chaos.platform import Platform
from tests.chaos.processes import now

PER_SECOND: Final = 10.0
SETTLE_MS: Final = 300
WARM_UP: Final = 20
PATIENCE_S: Final = 20.0

HEAD: Final = (
    "click → card, 10/s", "clicks", "answer, ms (p50 / p95 / p99)", "card changed, ms (p50 / p95 / p99)",
    "of it beyond the settle gap", "max",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """What each click took (ms): until it was answered, and until its card was changed."""

    answered: Sequence[float]
    changed: Sequence[float]


async def measure(stack: Stack, *, clicks: int) -> Latencies:
    """Click so many cards, once each, and return what it took. Some more clicks before them warm up."""
    async with everything(stack) as place:
        cards = await _cards(place.platform, clicks + WARM_UP)
        began_at = now() + 200
        async with asyncio.TaskGroup() as group:
            sent = [
                group.create_task(_click(place.platform, card, began_at, number)) for number, card in enumerate(cards)
            ]
        intended = [began_at + round(number * 1000 / PER_SECOND) for number in range(len(cards))]
        changed = await _changed(place.platform, cards)
    return Latencies(
        answered=[task.result() for task in sent][WARM_UP:],
        changed=[at - since for at, since in zip(changed, intended, strict=True)][WARM_UP:],
    )


async def _click(platform: Platform, card: str, began_at: int, number: int) -> float:
    """Click at the intended time, and return how long after it the answer was there (ms)."""
    intended_at = began_at + number * 1000 / PER_SECOND
    await asyncio.sleep((intended_at - now()) / 1000)
    action = {"tag": "button", "value": {"action": "count"}}
    seen = await platform.post("click", {"message_id": card, "action": action})
    assert seen["client_error"] is None, seen
    return now() - intended_at


async def _cards(platform: Platform, count: int) -> Sequence[str]:
    chat_id = (await platform.post("chats", {"name": "bench"}))["chat_id"]
    card = {"chat_id": chat_id, "card": card_showing(0, "")}
    return [(await platform.post("cards", card))["message_id"] for _ in range(count)]


async def _changed(platform: Platform, cards: Sequence[str]) -> Sequence[int]:
    """Return when each card was updated (ms), waiting for the last ones."""
    times = []
    async with asyncio.timeout(PATIENCE_S):
        for card in cards:
            while not (patches := await _patches(platform, card)):  # noqa: ASYNC110 (another process's doing)
                await asyncio.sleep(0.1)
            times.append(patches[0])
    return times


async def _patches(platform: Platform, card: str) -> Sequence[int]:
    versions = (await platform.get(f"messages/{card}"))["versions"]
    return [version["at_ms"] for version in versions if version["by"] == "patch"]


def line(what: str, measured: Latencies) -> list[str]:
    """Return the row of a table about these clicks; see `HEAD`."""
    shares = (0.5, 0.95, 0.99)
    answered = [percentile(measured.answered, share) for share in shares]
    changed = [percentile(measured.changed, share) for share in shares]
    return [
        what,
        str(len(measured.changed)),
        " / ".join(f"{value:.0f}" for value in answered),
        " / ".join(f"{value:.0f}" for value in changed),
        " / ".join(f"{value - SETTLE_MS:.0f}" for value in changed),
        f"{max(measured.changed):.0f}",
    ]
