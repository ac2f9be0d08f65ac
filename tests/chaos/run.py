"""
One run: two gateways, two workers and a simulator as real processes, clicks and faults, then the checker.

The spine is `run_chaos`: start, click and break, wait until quiet, gather the histories.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from tests.chaos import collect
from tests.chaos.breaking import Breaking
from tests.chaos.faults import Misfortune, draw
from tests.chaos.handlers import card_showing
from tests.chaos.history import Demands, History
from tests.chaos.load import Load, People
from tests.chaos.platform import Platform, session
from tests.chaos.processes import Fleet, Spec, now
from tests.chaos.quiet import until_quiet
from tests.chaos.stack import Stack
from worker.ledger.open import open_ledger
from worker.ledger.sql_ledger import SqlLedger

GATEWAYS: Final = 2
CARDS_PER_CHAT: Final = 10
LIMITS: Final = "20"
"""Times the documented limits, on both sides: the run is to be limited by faults, not by budgets."""

SESSION_S: Final = "2"
"""So soon others take over from a killed worker: a longer wait would leave the next kill nothing to interrupt."""

PATIENCE_S: Final = 45.0
"""How long a person tries: longer than a broker's restart on a busy machine."""

QUIET_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size of a run."""

    load: Load
    cards: int
    kills: int
    broker_restarts: int = 1
    least_kills: int = 3


TINY: Final = Plan(load=Load(clicks=600, per_second=40, patience_s=PATIENCE_S), cards=30, kills=6)
SMALL: Final = Plan(load=Load(clicks=2_000, per_second=55, patience_s=PATIENCE_S), cards=100, kills=8)
FULL: Final = Plan(load=Load(clicks=10_000, per_second=70, patience_s=PATIENCE_S), cards=500, kills=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """All that is there once everything was started."""

    fleet: Fleet
    platform: Platform
    log: EventLog
    ledger: SqlLedger
    topics: Topics


async def run_chaos(
    plan: Plan,
    stack: Stack,
    *,
    seed: int,
    folder: Path,
    prefix: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> History:
    """
    Do one run and return what it left behind; output of the processes goes to ``folder``.

    Args:
        prefix: Of topics and consumer group, where the broker has others.
        tell: Given a line for people as the run goes on.
    """
    async with _scene(stack, folder, prefix, seed=seed) as scene:
        chats = [(await scene.platform.post("chats", {"name": "chaos"}))["chat_id"] for _ in range(_chats(plan))]
        cards = [await _card(scene.platform, chats[number % len(chats)]) for number in range(plan.cards)]
        people = People(scene.platform, cards, plan.load, random.Random(seed))
        breaking = Breaking(scene.fleet, stack.broker)
        misfortune = _misfortune(plan, stack)
        tell(f"clicking for at least {plan.load.during_s:.0f} s")
        began_at = now()
        async with asyncio.TaskGroup() as group:
            group.create_task(breaking.run(draw(seed, misfortune, during_s=plan.load.during_s)))
            group.create_task(people.click())
        ended_at = now()
        tell("waiting until nothing is left to do")
        left = await until_quiet(scene.log, scene.ledger, scene.topics, within_s=QUIET_S)
        tell("stopping the processes and gathering what they left")
        await scene.fleet.stop("gateway", "worker")
        return History(
            began_at=began_at,
            ended_at=ended_at,
            demands=Demands(kills=dict.fromkeys(misfortune.processes, plan.least_kills)),
            clicks=people.clicked,
            interactions=await collect.lines(scene.log, scene.topics.interactions),
            outcomes=await collect.lines(scene.log, scene.topics.outcomes),
            cards=await collect.cards(scene.platform, cards),
            chats=await collect.chats(scene.platform, chats),
            deliveries=await collect.deliveries(scene.platform),
            calls=await collect.calls(scene.platform),
            broken=await collect.broken(scene.platform),
            faults=sorted([*breaking.done, *scene.fleet.backs()], key=lambda fault: fault.at),
            ended=scene.fleet.ended,
            unquiet=left,
            ledger=await collect.ledger_rows(scene.ledger),
        )


@asynccontextmanager
async def _scene(stack: Stack, folder: Path, prefix: str, *, seed: int) -> AsyncIterator[_Scene]:
    topics = Topics.prefixed(prefix)
    fleet = Fleet(folder)
    log = open_log(stack.log, topics=topics)
    ledger = open_ledger(stack.ledger)
    try:
        await ledger.upgrade()
        await log.create([topics.interactions, topics.outcomes, topics.dead])
        (simulator,) = await fleet.start(_simulator(seed))
        env = _env(stack, prefix, simulator.addresses["openapi"])
        await fleet.start(
            *(Spec(name=f"gateway-{number}", role="gateway", env=env) for number in range(1, GATEWAYS + 1)),
            *(Spec(name=f"worker-{number}", role="worker", env=env) for number in range(1, stack.workers + 1)),
        )
        # The people's connections are theirs: what is told about gateways must not queue behind clicks.
        async with session() as ours, session() as theirs:
            await _receive_callbacks(Platform(ours, simulator.addresses["control"]), fleet)
            platform = Platform(theirs, simulator.addresses["control"])
            yield _Scene(fleet=fleet, platform=platform, log=log, ledger=ledger, topics=topics)
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


def _simulator(seed: int) -> Spec:
    settings = {
        "CARDWIRE_SIMULATOR_PORT": "0",
        "CARDWIRE_SIMULATOR_LIMITS": LIMITS,
        "CARDWIRE_SIMULATOR_SEED": str(seed),
    }
    return Spec(name="simulator", role="simulator", env={**_bare(), **_credentials(), **settings})


def _env(stack: Stack, prefix: str, openapi: str) -> Mapping[str, str]:
    return {
        **_bare(),
        **_credentials(),
        "LARK_DOMAIN": openapi,
        "CARDWIRE_APP": "tests.chaos.handlers:app",
        "CARDWIRE_LOG": stack.log,
        "CARDWIRE_LEDGER": stack.ledger,
        "CARDWIRE_TOPIC_PREFIX": prefix,
        "CARDWIRE_GROUP": f"{prefix}chaos",
        "CARDWIRE_KAFKA_SESSION_S": SESSION_S,
        "CARDWIRE_LIMITS": LIMITS,
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


def _misfortune(plan: Plan, stack: Stack) -> Misfortune:
    return Misfortune(
        kills=plan.kills,
        least=plan.least_kills,
        processes={"gateway": GATEWAYS, "worker": stack.workers},
        broker_restarts=plan.broker_restarts if stack.broker is not None else 0,
    )


def _chats(plan: Plan) -> int:
    return max(1, plan.cards // CARDS_PER_CHAT)


async def _card(platform: Platform, chat_id: str) -> str:
    card: str = (await platform.post("cards", {"chat_id": chat_id, "card": card_showing(0, "")}))["message_id"]
    return card
