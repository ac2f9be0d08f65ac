"""
Latency: from a click to the changed card, with everything in processes of its own and under the real limits.

Open loop: clicks are sent at constant times whatever becomes of the earlier ones, and a latency counts from the time at
which its click was *intended*. It ends when the simulator has taken the card's update. Both times are one machine's.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import percentile
from bench.stacks import Stack
from bench.work import card_showing, make
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from tests.chaos.platform import Platform, session
from tests.chaos.processes import Fleet, Spec, now
from tests.support.kafka import free_ports
from worker.ledger.open import open_ledger

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
    with tempfile.TemporaryDirectory(prefix="cardwire-bench-") as folder:
        async with _everything(stack, Path(folder)) as platform:
            cards = await _cards(platform, clicks + WARM_UP)
            began_at = now() + 200
            async with asyncio.TaskGroup() as group:
                sent = [
                    group.create_task(_click(platform, card, began_at, number)) for number, card in enumerate(cards)
                ]
            intended = [began_at + round(number * 1000 / PER_SECOND) for number in range(len(cards))]
            changed = await _changed(platform, cards)
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


@asynccontextmanager
async def _everything(stack: Stack, folder: Path) -> AsyncIterator[Platform]:
    url, prefix = stack.new_log()
    topics, ledger_url = Topics.prefixed(prefix), stack.new_ledger()
    log, ledger = open_log(url, topics=topics), open_ledger(ledger_url)
    await make(log, topics)
    await ledger.upgrade()
    await ledger.close()
    await log.close()
    (port,) = free_ports(1)
    fleet = Fleet(folder)
    try:
        callback = f"http://127.0.0.1:{port}/webhook/card"
        there = {"CARDWIRE_SIMULATOR_PORT": "0", "CARDWIRE_SIMULATOR_CALLBACK": callback}
        (simulator,) = await fleet.start(Spec(name="simulator", role="simulator", env={**_env(), **there}))
        here = {
            "LARK_DOMAIN": simulator.addresses["openapi"],
            "CARDWIRE_APP": "bench.work:app",
            "CARDWIRE_LOG": url,
            "CARDWIRE_LEDGER": ledger_url,
            "CARDWIRE_TOPIC_PREFIX": prefix,
            "CARDWIRE_PORT": str(port),
            "CARDWIRE_ADMIN_PORT": "0",
        }
        await fleet.start(*(Spec(name=role, role=role, env={**_env(), **here}) for role in ("gateway", "worker")))
        async with session() as http:
            yield Platform(http, simulator.addresses["control"])
    finally:
        await fleet.close()


def _env() -> Mapping[str, str]:
    """Return our own environment less what would set up Cardwire, and the credentials of an app of our own."""
    others = ("LARK_", "FEISHU_", "CARDWIRE_", "APP_", "ENCRYPT_KEY", "VERIFICATION_TOKEN")
    bare = {name: text for name, text in os.environ.items() if not name.startswith(others)}
    return {
        **bare,
        "LARK_APP_ID": "cli_bench",
        "LARK_APP_SECRET": "not-a-secret",
        "LARK_ENCRYPT_KEY": "not-a-key",
        "LARK_VERIFICATION_TOKEN": "not-a-token",
    }


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
