"""How many effects a second one worker performs, and how many three do, with all limits off; and what was busy then."""

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.chaos.platform import Platform
from tests.compose.engine import ROOT, Compose, docker
from tests.compose.many.handlers import TEXTS
from tests.compose.people import simulator

SETTINGS: Final = {
    "CARDWIRE_HANDLERS": str(ROOT / "tests/compose/many"),
    "CARDWIRE_APP": "handlers:app",
    "CARDWIRE_LIMITS": "none",
    "CARDWIRE_SIMULATOR_LIMITS": "none",
}
CHATS: Final = 100
CLICKS: Final = 300
ROUNDS: Final = 2
PATIENCE_S: Final = 90.0
BUSY: Final = ("worker", "simulator", "postgres", "kafka", "gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """
    One measurement.

    Attributes:
        cores: How many cores each service kept busy meanwhile.
    """

    workers: int
    effects_per_s: float
    cores: Mapping[str, float]

    def line(self) -> str:
        """Say it in one line."""
        busy = ", ".join(f"{service} {cores:.2f}" for service, cores in self.cores.items())
        return f"{self.workers} workers   {self.effects_per_s:,.0f} effects/s; cores busy: {busy}"


async def rounds(compose: Compose) -> Sequence[Round]:
    """Measure one worker and three in turns."""
    async with simulator(compose) as platform:
        chats = [(await platform.post("chats", {"name": "scaling"}))["chat_id"] for _ in range(CHATS)]
        card = {"elements": [], "header": {"title": {"tag": "plain_text", "content": "many"}}}
        cards = [(await platform.post("cards", {"chat_id": chat, "card": card}))["message_id"] for chat in chats]
        return [await _round(compose, platform, cards, workers) for _ in range(ROUNDS) for workers in (1, 3)]


def verdict(measured: Sequence[Round]) -> Sequence[str]:
    """Return what the rounds show, the best of each number of workers compared."""
    one, three = (max((each for each in measured if each.workers == n), key=lambda r: r.effects_per_s) for n in (1, 3))
    have, used = os.cpu_count() or 1, sum(three.cores.values())
    factor = f"scaling     3 workers perform {three.effects_per_s / one.effects_per_s:.2f} × the effects of one"
    saturated = f"            with three, the stack kept {used:.2f} of {have} cores busy"
    return [*(each.line() for each in measured), factor, saturated]


async def _round(compose: Compose, platform: Platform, cards: Sequence[str], workers: int) -> Round:
    await compose.scale("worker", 0)
    before = await _calls(platform)
    await asyncio.gather(*(_click(platform, cards[number % len(cards)]) for number in range(CLICKS)))
    spent, began = await _cpu_s(compose), time.monotonic()
    await compose.scale("worker", workers)
    calls = await _until_called(platform, before, CLICKS * TEXTS)
    seconds = time.monotonic() - began
    cores = {name: (now_s - spent.get(name, 0)) / seconds for name, now_s in (await _cpu_s(compose)).items()}
    return Round(
        workers=workers,
        effects_per_s=len(calls) * 1000 / max(1, calls[-1]["at_ms"] - calls[0]["at_ms"]),
        cores=cores,
    )


async def _click(platform: Platform, message_id: str) -> None:
    seen = await platform.post(
        "click", {"message_id": message_id, "action": {"tag": "button", "value": {"action": "many"}}}
    )
    if seen["client_error"] is not None:
        raise AssertionError(f"a click was not accepted: {seen}")


async def _calls(platform: Platform) -> int:
    trail = await platform.pages("calls")
    return int(trail[-1]["n"]) if trail else 0


async def _until_called(platform: Platform, after: int, count: int) -> Sequence[Mapping[str, Any]]:
    """Return the calls that send texts, when all are there."""
    found: list[Mapping[str, Any]] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            await asyncio.sleep(0.5)
            while page := await platform.get("calls", after=after, limit=1000):
                after = int(page[-1]["n"])
                found += [call for call in page if call["path"].endswith("/im/v1/messages")]
    return found


async def _cpu_s(compose: Compose) -> Mapping[str, float]:
    """Return how much processor time each service's containers have used since they began."""
    used = {}
    for service in BUSY:
        containers = await compose.containers(service)
        used[service] = sum([await _used_s(container) for container in containers])
    return used


async def _used_s(container: str) -> float:
    read = "cat /sys/fs/cgroup/cpu.stat 2>/dev/null || sed 's/^/usage_nsec /' /sys/fs/cgroup/cpuacct/cpuacct.usage"
    said = (await docker("exec", container, "sh", "-c", read)).out
    match re.search(r"^usage_(u|n)sec (\d+)", said, re.MULTILINE):
        case None:
            return 0.0
        case found:
            return int(found[2]) / (1e6 if found[1] == "u" else 1e9)
