"""Everything in processes of its own: simulator, gateway, worker, on a stack, under the platform's real limits."""

import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.stacks import Stack
from bench.work import make
from shared.core.events import InteractionReceived
from shared.core.ids import AppId, ChatId, MessageId
from shared.core.json_text import EpochMs
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from tests.chaos.platform import Platform, session
from tests.chaos.processes import Fleet, Kept, Spec
from tests.support.kafka import free_ports
from worker.ledger.open import open_ledger

APP_ID: Final = AppId("cli_bench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where everything is: the simulator's control interface, the log's URL and topics, the ledger's URL, workers."""

    platform: Platform
    log: str
    topics: Topics
    ledger: str
    workers: Sequence[Kept]


def on_card(made: InteractionReceived, card: str, chat_id: str, at: EpochMs) -> InteractionReceived:
    """Return a click as one on a card of the simulator's, at this time (ms)."""
    where = {"app_id": APP_ID, "message_id": MessageId(card), "chat_id": ChatId(chat_id)}
    return msgspec.structs.replace(made, **where, occurred_at=at, received_at=at)


@asynccontextmanager
async def everything(stack: Stack, *, workers: int = 1, limits: str = "1") -> AsyncIterator[Place]:
    """
    Run simulator, gateway and workers; the handlers are those of `bench.work`.

    Args:
        limits: Of the platform's calls, on both sides.
    """
    url, prefix = stack.new_log()
    topics, ledger_url = Topics.prefixed(prefix), stack.new_ledger()
    log, ledger = open_log(url, topics=topics), open_ledger(ledger_url)
    await make(log, topics)
    await ledger.upgrade()
    await ledger.close()
    await log.close()
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="cardwire-bench-") as folder:
        fleet = Fleet(Path(folder))
        try:
            callback = f"http://127.0.0.1:{port}/webhook/card"
            there = {
                "CARDWIRE_SIMULATOR_PORT": "0",
                "CARDWIRE_SIMULATOR_CALLBACK": callback,
                "CARDWIRE_SIMULATOR_LIMITS": limits,
            }
            (simulator,) = await fleet.start(Spec(name="simulator", role="simulator", env={**environment(), **there}))
            here = {
                "LARK_DOMAIN": simulator.addresses["openapi"],
                "CARDWIRE_APP": "bench.work:app",
                "CARDWIRE_LOG": url,
                "CARDWIRE_LEDGER": ledger_url,
                "CARDWIRE_TOPIC_PREFIX": prefix,
                "CARDWIRE_PORT": str(port),
                "CARDWIRE_LIMITS": limits,
                "CARDWIRE_ADMIN_PORT": "0",
            }
            roles = [("gateway", "gateway"), *((f"worker-{number}", "worker") for number in range(workers))]
            _, *kept = await fleet.start(
                *(Spec(name=name, role=role, env={**environment(), **here}) for name, role in roles)
            )
            async with session() as http:
                platform = Platform(http, simulator.addresses["control"])
                yield Place(platform=platform, log=url, topics=topics, ledger=ledger_url, workers=kept)
        finally:
            await fleet.close()


def environment() -> Mapping[str, str]:
    """Return our own environment less what would set up Cardwire, and the credentials of an app of our own."""
    others = ("LARK_", "FEISHU_", "CARDWIRE_", "APP_", "ENCRYPT_KEY", "VERIFICATION_TOKEN")
    bare = {name: text for name, text in os.environ.items() if not name.startswith(others)}
    return {
        **bare,
        "LARK_APP_ID": APP_ID,
        "LARK_APP_SECRET": "not-a-secret",
        "LARK_ENCRYPT_KEY": "not-a-key",
        "LARK_VERIFICATION_TOKEN": "not-a-token",
    }
