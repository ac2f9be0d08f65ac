"""
One run: two gateways, two workers and a simulator as real processes, clicks and faults, then the checker.

The spine is `run_chaos`: start, click and break, wait until quiet, gather the histories.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.breaking import Breaking
from tests.chaos.faults import Misfortune, draw
from tests.chaos.history import Demands, History
from tests.chaos.load import Load, People
from tests.chaos.processes import now
from tests.chaos.quiet import until_quiet
from tests.chaos.scene import Layout, on_stage
from tests.chaos.stack import Stack

GATEWAYS: Final = 2
LIMITS: Final = "20"
"""Times the documented limits, on both sides: the run is to be limited by faults, not by budgets."""

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
    layout = Layout(gateways=GATEWAYS, clocks=(0.0,) * stack.workers, limits=LIMITS)
    async with on_stage(stack, folder, prefix, layout, seed=seed) as scene:
        chats, cards = await scene.cards(plan.cards)
        people = People(scene.platform, cards, plan.load, random.Random(seed))
        breaking = Breaking(scene, stack, seed=seed)
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
        return await scene.history(
            span=(began_at, ended_at),
            demands=Demands(kills=dict.fromkeys(misfortune.processes, plan.least_kills)),
            clicks=people.clicked,
            cards=cards,
            chats=chats,
            faults=breaking.done,
            unquiet=left,
        )


def _misfortune(plan: Plan, stack: Stack) -> Misfortune:
    return Misfortune(
        kills=plan.kills,
        least=plan.least_kills,
        processes={"gateway": GATEWAYS, "worker": stack.workers},
        broker_restarts=plan.broker_restarts if stack.broker is not None else 0,
    )
