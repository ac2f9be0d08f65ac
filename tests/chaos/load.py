"""
The load client: people who click at constant times, whatever becomes of the earlier clicks (open loop).

That is as long as somebody is not still waiting for an answer: on a slow machine a run takes longer instead of
drowning in attempts. A person whose click is not answered, or who is told that it may not have been recorded, has the
same bytes delivered again, until it is accepted or patience ends. Every tenth callback is delivered twice at once.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson

from tests.chaos.history import Attempt, Clicked
from tests.chaos.platform import PEOPLE, Platform
from tests.chaos.processes import now

TWICE_EVERY: Final = 10
FIRST_PAUSE_S: Final = 0.3
MAX_PAUSE_S: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    What is clicked.

    Attributes:
        per_second: Clicks a second.
        patience_s: How long a person keeps trying.
        sick_every: Of so many clicks one is on the first card, where every other asks for what cannot be decided, and
            one on the second; 0: all cards are alike.
    """

    clicks: int
    per_second: float
    patience_s: float
    sick_every: int = 0

    @property
    def during_s(self) -> float:
        """How long clicks are sent."""
        return self.clicks / self.per_second


@dataclass(slots=True)
class People:
    """
    Who clicks.

    Attributes:
        clicked: Every click so far, in order of their ends.
    """

    platform: Platform
    cards: Sequence[str]
    load: Load
    rng: random.Random
    clicked: list[Clicked] = field(default_factory=list)

    async def click(self) -> None:
        """Send all clicks, each at its time, and return when the last one is over."""
        began, idle = asyncio.get_running_loop().time(), asyncio.Semaphore(PEOPLE)
        async with asyncio.TaskGroup() as group:
            for number in range(self.load.clicks):
                await asyncio.sleep(began + number / self.load.per_second - asyncio.get_running_loop().time())
                await idle.acquire()
                message_id, action = self._chosen(number)
                task = group.create_task(self._one(message_id, action, copies=1 + (number % TWICE_EVERY == 0)))
                task.add_done_callback(lambda _: idle.release())

    def _chosen(self, number: int) -> tuple[str, str]:
        """Return the card that a click is on, and the action that it asks for."""
        every = self.load.sick_every
        if not every:
            return self.rng.choice(self.cards), "count"
        match number % (2 * every):
            case 1:
                return self.cards[0], "poison"
            case place if place % every == 1:
                return self.cards[0], "count"
            case place if place % every == 2:
                return self.cards[1], "count"
            case _:
                return self.rng.choice(self.cards[2:]), "count"

    async def _one(self, message_id: str, action: str, *, copies: int) -> None:
        intended_at, loop = now(), asyncio.get_running_loop()
        patient_until, pause_s = loop.time() + self.load.patience_s, FIRST_PAUSE_S
        ask: dict[str, Any] = {
            "message_id": message_id,
            "action": {"tag": "button", "value": {"action": action}},
            "copies": copies,
        }
        event_id: str | None = None
        attempts: list[Attempt] = []
        while True:
            attempts.append(await self._attempt(ask))
            event_id = attempts[-1].event_id or event_id
            if attempts[-1].is_accepted or loop.time() > patient_until:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
            if event_id is not None:
                ask = {"again": event_id, "copies": copies}
        self.clicked.append(
            Clicked(
                message_id=message_id,
                event_id=event_id,
                intended_at=intended_at,
                copies=copies,
                attempts=tuple(attempts),
            )
        )

    async def _attempt(self, ask: Mapping[str, Any]) -> Attempt:
        at = now()
        try:
            return _seen(at, await self.platform.post("click", ask))
        except aiohttp.ClientConnectionError:
            # The person's own connection broke: whether the click left is unknown, so it counts as one more attempt.
            return Attempt(at=at)


def _seen(at: int, seen: Mapping[str, Any]) -> Attempt:
    toast = orjson.loads(seen["body"]).get("toast") if seen["status"] == 200 and seen["body"] else None
    return Attempt(
        at=at,
        event_id=seen["event_id"],
        status=seen["status"],
        client_error=seen["client_error"],
        toast=toast["type"] if toast else None,
        answered_in_ms=seen["answered_in_ms"],
    )
