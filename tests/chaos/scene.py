"""What a run is played on: a simulator, gateways and workers as real processes, beside a log and a ledger."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from tests.chaos import collect
from tests.chaos.handlers import card_showing
from tests.chaos.history import Clicked, Demands, FaultDone, History
from tests.chaos.platform import Platform, session
from tests.chaos.processes import Fleet, Spec
from tests.chaos.stack import Stack
from worker.ledger.open import open_ledger
from worker.ledger.sql_ledger import SqlLedger

SESSION_S: Final = "2"
"""So soon others take over from a killed worker: a longer wait would leave the next kill nothing to interrupt."""

CARDS_PER_CHAT: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """
    How many there are of each, and how they are set.

    Attributes:
        limits: Times the documented limits, on both sides.
        spill: Whether gateways go on accepting without their log.
        clocks: How far the wall clock of each worker is off (s).
    """

    gateways: int
    clocks: Sequence[float]
    limits: str
    spill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is there once everything was started."""

    fleet: Fleet
    platform: Platform
    log: EventLog
    ledger: SqlLedger
    topics: Topics
    env: Mapping[str, str]

    def worker(self, number: int, *, ahead_s: float = 0.0) -> Spec:
        """Return a worker to start; one whose clock is off is told so by its launcher, for want of a setting."""
        program = ("tests.chaos.workers.clock", f"{ahead_s:g}", "worker") if ahead_s else ()
        return Spec(name=f"worker-{number}", role="worker", env=self.env, program=program)

    async def cards(self, count: int) -> tuple[Sequence[str], Sequence[str]]:
        """Put cards into chats, and return the ids of both."""
        names = range(max(1, count // CARDS_PER_CHAT))
        chats = [(await self.platform.post("chats", {"name": "chaos"}))["chat_id"] for _ in names]
        asked = [{"chat_id": chats[number % len(chats)], "card": card_showing(0, "")} for number in range(count)]
        return chats, [(await self.platform.post("cards", each))["message_id"] for each in asked]

    async def history(
        self,
        *,
        span: tuple[int, int],
        demands: Demands,
        clicks: Sequence[Clicked],
        cards: Sequence[str],
        chats: Sequence[str],
        faults: Sequence[FaultDone],
        unquiet: Sequence[str],
        row: str = "",
    ) -> History:
        """Return what is left behind, when all processes but the simulator have stopped."""
        unlike = await collect.unlike_rebuilt(self.platform, self.log, self.topics, self.ledger)
        return History(
            row=row,
            began_at=span[0],
            ended_at=span[1],
            demands=demands,
            clicks=clicks,
            interactions=await collect.lines(self.log, self.topics.interactions),
            outcomes=await collect.lines(self.log, self.topics.outcomes),
            cards=await collect.cards(self.platform, cards),
            chats=await collect.chats(self.platform, chats),
            deliveries=await collect.deliveries(self.platform),
            calls=await collect.calls(self.platform),
            broken=await collect.broken(self.platform),
            faults=sorted([*faults, *self.fleet.backs()], key=lambda fault: fault.at),
            ended=self.fleet.ended,
            unquiet=unquiet,
            unlike=unlike,
            ledger=await collect.ledger_rows(self.ledger),
        )


@asynccontextmanager
async def on_stage(stack: Stack, folder: Path, prefix: str, layout: Layout, *, seed: int) -> AsyncIterator[Scene]:
    """
    Start everything, and end it.

    Args:
        folder: Where the output of the processes goes, and the spills.
        prefix: Of topics and consumer group, where the broker has others.
    """
    topics = Topics.prefixed(prefix)
    fleet = Fleet(folder)
    log = open_log(stack.log, topics=topics)
    ledger = open_ledger(stack.ledger)
    try:
        await ledger.upgrade()
        await log.create([topics.interactions, topics.outcomes, topics.dead])
        (simulator,) = await fleet.start(_simulator(seed, layout))
        # The people's connections are theirs: what is told about gateways must not queue behind clicks.
        async with session() as ours, session() as theirs:
            scene = Scene(
                fleet=fleet,
                platform=Platform(theirs, simulator.addresses["control"]),
                log=log,
                ledger=ledger,
                topics=topics,
                env=_env(stack, prefix, simulator.addresses["openapi"], layout, folder),
            )
            await fleet.start(
                *(Spec(name=f"gateway-{n}", role="gateway", env=scene.env) for n in range(1, layout.gateways + 1)),
                *(scene.worker(number, ahead_s=ahead_s) for number, ahead_s in enumerate(layout.clocks, start=1)),
            )
            await _receive_callbacks(Platform(ours, simulator.addresses["control"]), fleet)
            yield scene
    finally:
        await fleet.close()
        await ledger.close()
        await log.close()


async def _receive_callbacks(platform: Platform, fleet: Fleet) -> None:
    """Tell the simulator where the gateways are, now and whenever one comes back at another port."""
    gateways = fleet.of("gateway")

    async def tell() -> None:
        urls = [f"{gateway.addresses['callbacks']}/webhook/card" for gateway in gateways]
        await platform.post("callback", {"urls": urls})

    await tell()
    for gateway in gateways:
        gateway.changed = tell


def _simulator(seed: int, layout: Layout) -> Spec:
    settings = {
        "CARDWIRE_SIMULATOR_PORT": "0",
        "CARDWIRE_SIMULATOR_LIMITS": layout.limits,
        "CARDWIRE_SIMULATOR_SEED": str(seed),
    }
    return Spec(name="simulator", role="simulator", env={**_bare(), **_credentials(), **settings})


def _env(stack: Stack, prefix: str, openapi: str, layout: Layout, folder: Path) -> Mapping[str, str]:
    return {
        **_bare(),
        **_credentials(),
        **({"CARDWIRE_SPILL": str(folder / "spill")} if layout.spill else {}),
        "LARK_DOMAIN": openapi,
        "CARDWIRE_APP": "tests.chaos.handlers:app",
        "CARDWIRE_LOG": stack.log,
        "CARDWIRE_LEDGER": stack.ledger,
        "CARDWIRE_TOPIC_PREFIX": prefix,
        "CARDWIRE_GROUP": f"{prefix}chaos",
        "CARDWIRE_KAFKA_SESSION_S": SESSION_S,
        "CARDWIRE_LIMITS": layout.limits,
        "CARDWIRE_PORT": "0",
        "CARDWIRE_ADMIN_PORT": "0",
        "CARDWIRE_LOG_FORMAT": "json",
    }


def _bare() -> Mapping[str, str]:
    """Return our own environment less what would set up Cardwire: a run is the same on every machine."""
    ours = ("LARK_", "FEISHU_", "CARDWIRE_", "APP_", "ENCRYPT_KEY", "VERIFICATION_TOKEN")
    return {name: text for name, text in os.environ.items() if not name.startswith(ours)}


def _credentials() -> Mapping[str, str]:
    return {
        "LARK_APP_ID": "cli_chaos",
        "LARK_APP_SECRET": "chaos-secret",
        "LARK_ENCRYPT_KEY": "chaos-key",
        "LARK_VERIFICATION_TOKEN": "chaos-token",
    }
