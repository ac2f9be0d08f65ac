"""
One row: people click while one thing is broken; then all is gathered for the checker.

The spine is `run_row`: start, click and break, wait until quiet, stop, gather.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.chaos.breaking import Breaking
from tests.chaos.faults import shifted
from tests.chaos.history import History
from tests.chaos.load import Load, People
from tests.chaos.processes import now
from tests.chaos.quiet import until_quiet
from tests.chaos.scene import Layout, on_stage
from tests.chaos.stack import Stack
from tests.chaos.workers.rows import Row

LIMITS: Final = "1"
"""The documented ones: they hold while anything is broken, and while what was left behind is caught up with."""

PATIENCE_S: Final = 30.0
SICK_EVERY: Final = 12


async def run_row(
    row: Row,
    stack: Stack,
    *,
    seed: int,
    folder: Path,
    prefix: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> History:
    """
    Run one row and return what it left behind; what the processes print goes to ``folder``.

    Args:
        stack: Its broker and its database server are broken where the row says so.
        prefix: Of topics and consumer group, where the broker has others.
        tell: Given a line for people as the row goes on.
    """
    # One gateway that is never broken: the gateway has a matrix of its own. It spills what the log does not take.
    layout = Layout(gateways=1, clocks=row.clocks, limits=LIMITS, spill=True)
    async with on_stage(stack, folder, prefix, layout, seed=seed) as scene:
        chats, cards = await scene.cards(row.cards)
        load = Load(
            clicks=int(row.seconds * row.per_second),
            per_second=row.per_second,
            patience_s=PATIENCE_S,
            sick_every=SICK_EVERY,
        )
        people = People(scene.platform, cards, load, random.Random(seed))
        breaking = Breaking(scene, stack, seed=seed, hung=cards[1])
        tell(f"{row.name}: clicking for {row.seconds:g} s")
        began_at = now()
        async with asyncio.TaskGroup() as group:
            group.create_task(breaking.run(shifted(seed, row.all_faults, processes=len(row.clocks))))
            group.create_task(people.click())
        ended_at = now()
        tell(f"{row.name}: waiting until nothing is left to do")
        left = await until_quiet(scene.log, scene.ledger, scene.topics, within_s=row.quiet_s)
        await scene.fleet.stop("gateway", "worker")
        return await scene.history(
            row=row.name,
            span=(began_at, ended_at),
            demands=row.all_demands,
            clicks=people.clicked,
            cards=cards,
            chats=chats,
            faults=breaking.done,
            unquiet=left,
        )
