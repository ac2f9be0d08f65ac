"""
Effects of one worker and of three, each a process of its own, without limits, on a platform that answers at once.

The effects are decided beforehand and put off until all workers are ready; the clock runs from then until none is
pending. Rounds of one and of three come in turns.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import BigInteger, Connection, Update, bindparam, func, select, update

from bench.decide import PATIENCE_S, decide
from bench.figures import spread
from bench.pump import environment
from bench.stacks import Stack
from bench.work import fill, inputs, make
from shared.eventlog.open import open_log
from shared.eventlog.port import PARTITIONS, Topics
from tests.chaos.processes import Fleet, Spec
from worker.ledger.engine import Database
from worker.ledger.sql_ledger import SqlLedger
from worker.ledger.tables import PENDING, effects, targets

WORKERS: Final = (1, 3)
LATER_MS: Final = 30_000
"""How long effects are put off: until the slowest worker is ready and has joined its group."""

LOOK_S: Final = 0.02

HEAD: Final = ("workers", "effects/s (min / median / max)", "× one worker")


async def measure(stack: Stack, *, count: int, rounds: int) -> dict[int, list[float]]:
    """Return the effects per second of each round, by how many workers there were."""
    rates: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    for _ in range(rounds):
        for workers in WORKERS:
            rates[workers].append(await _round(stack, workers, count))
    return rates


async def _round(stack: Stack, workers: int, count: int) -> float:
    async with AsyncExitStack() as closing:
        url, prefix = stack.new_log()
        topics, ledger_url = Topics.prefixed(prefix), stack.new_ledger()
        log, database = open_log(url, topics=topics), Database(ledger_url, None)
        closing.push_async_callback(log.close)
        ledger = SqlLedger(database)
        closing.push_async_callback(ledger.close)
        await make(log, topics)
        await ledger.upgrade()
        await ledger.begin(PARTITIONS)
        records = inputs(2 * count, topic=topics.interactions, cards=count)
        await decide(stack, log, topics, ledger, await fill(log, topics.interactions, records), settle_ms=0)
        due_at = await ledger.now() + LATER_MS
        await _put_off(database, due_at)
        folder = closing.enter_context(TemporaryDirectory(prefix="cardwire-bench-"))
        fleet = Fleet(Path(folder))
        closing.push_async_callback(fleet.close)
        env = {**os.environ, **environment(url, prefix, ledger_url)}
        specs = [
            Spec(name=f"worker-{number}", role="worker", env=env, program=("tests.soak.worker",))
            for number in range(workers)
        ]
        await fleet.start(*specs)
        left_ms = due_at - await ledger.now()
        assert left_ms > 0, "the workers were ready too late"
        await asyncio.sleep(left_ms / 1_000)
        began = time.perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            while await _pending(database):  # noqa: ASYNC110 (a database sets no event of ours)
                await asyncio.sleep(LOOK_S)
        return count / (time.perf_counter() - began)


async def _put_off(database: Database, due_at: int) -> None:
    at = bindparam("at", due_at, type_=BigInteger())
    for table in (effects, targets):
        later = update(table).where(table.c.due.is_not(None)).values(due=at)
        await database.transaction(partial(_execute, later))


def _execute(statement: Update, connection: Connection) -> None:
    connection.execute(statement)


async def _pending(database: Database) -> int:
    pending = select(func.count()).where(effects.c.status == PENDING)
    return await database.snapshot(lambda connection: int(connection.execute(pending).scalar_one()))


def lines(rates: dict[int, list[float]]) -> Sequence[list[str]]:
    """Return the rows of a table about these rounds; see `HEAD`."""
    return [
        [
            str(workers),
            spread(found),
            spread([many / one for many, one in zip(found, rates[WORKERS[0]], strict=True)], digits=2),
        ]
        for workers, found in rates.items()
    ]
