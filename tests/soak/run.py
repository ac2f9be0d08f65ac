"""A soak: append everything, keep one worker at it, kill that again and again, and compare what is left."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from bench.work import APP_ID, make
from shared.core.codec import decode
from shared.core.events import Decided, EffectOutcome, Output
from shared.core.fold import fold
from shared.core.json_text import JsonText, json_value
from shared.eventlog.open import open_log
from shared.eventlog.port import PARTITIONS, EventLog, Topics
from tests.chaos.processes import Fleet, Kept, Spec
from tests.chaos.stack import Stack
from tests.soak.clicks import Clicks
from tests.soak.handlers import SHOWN_EVERY
from tests.support.dump import Dump, dump
from tests.support.fold_equals_ledger import differences, rows, stored
from tests.support.proved import promises_broken_in
from tests.support.rebuilt_equals_ledger import unlike
from worker.ledger.engine import Database
from worker.ledger.sql_ledger import SqlLedger
from worker.ledger.tables import PENDING, effects

LOOK_S: Final = 0.25
READ: Final = 1_000
WORKERS: Final = ("worker-1", "worker-2")
SESSION_S: Final = 6
"""As short as a broker allows: partitions of a killed worker go to the other no sooner."""

Asked = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """
    How much it is, and how it is disturbed.

    Attributes:
        kill_every_s: One of the two workers is killed so often, in turns.
        kills: That many times at most; ``None``: until everything is decided.
    """

    clicks: int
    cards: int
    kill_every_s: float
    kills: int | None = None


@dataclass(slots=True, kw_only=True)
class Soaked:
    """
    What a soak came to.

    Attributes:
        wrong: What is not as it must be, a line each.
        appended_s: How long the appending took, and `worked_s` everything behind it.
    """

    kills: int = 0
    records: int = 0
    decided: int = 0
    effects: Mapping[str, int] = field(default_factory=dict)
    appended_s: float = 0.0
    worked_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


async def soak(
    size: Size, stack: Stack, *, seed: int, folder: Path, patience_s: float, prefix: str = "soak."
) -> Soaked:
    """
    Run one.

    Raises:
        TimeoutError: The worker is not done in time.
    """
    topics, soaked = Topics.prefixed(prefix), Soaked()
    clicks = Clicks(size.clicks, size.cards, seed)
    async with AsyncExitStack() as closing:
        log = open_log(stack.log, topics=topics)
        closing.push_async_callback(log.close)
        await make(log, topics)
        database = Database(stack.ledger, None)
        ledger = SqlLedger(database)
        closing.push_async_callback(ledger.close)
        await ledger.upgrade()
        await ledger.begin(PARTITIONS)
        began = time.monotonic()
        await clicks.append(log, topics.interactions)
        ends = {number: span.end for number, span in (await log.spans(topics.interactions)).items()}
        soaked.records, soaked.appended_s = sum(ends.values()), time.monotonic() - began
        fleet = Fleet(folder)
        closing.push_async_callback(fleet.close)
        async with asyncio.timeout(patience_s):
            workers = await fleet.start(*(_spec(name, stack, prefix) for name in WORKERS[: stack.workers]))
            soaked.kills = await _kill_until(workers, size, lambda: _is_decided(ledger, ends))
            while not await _is_performed(ledger, database):  # noqa: ASYNC110 (a database sets no event of ours)
                await asyncio.sleep(LOOK_S)
        await fleet.close()
        soaked.worked_s = time.monotonic() - began - soaked.appended_s
        soaked.wrong += [f"{each.name} ended by itself: {each.last_line}" for each in fleet.ended]
        held = await dump(ledger.database)
        _compare(soaked, clicks, await _outputs(log, topics.outcomes), held)
        soaked.wrong += await unlike(log, topics, held)
        soaked.wrong += await promises_broken_in(log, topics)
    return soaked


async def _kill_until(workers: Sequence[Kept], size: Size, is_done: Asked) -> int:
    """Kill the workers in turns until everything is decided, and return how often that was."""
    kills, kill_at = 0, time.monotonic() + size.kill_every_s
    while not await is_done():
        await asyncio.sleep(LOOK_S)
        if time.monotonic() >= kill_at and kills != size.kills:
            workers[kills % len(workers)].kill()
            kills, kill_at = kills + 1, kill_at + size.kill_every_s
    return kills


async def _is_decided(ledger: SqlLedger, ends: Mapping[int, int]) -> bool:
    return {number: at.next for number, at in (await ledger.positions()).items()} == ends


async def _is_performed(ledger: SqlLedger, database: Database) -> bool:
    pending = select(func.count()).where(effects.c.status == PENDING)
    waiting = await database.snapshot(lambda connection: connection.execute(pending).scalar_one())
    return waiting == 0 and await ledger.outbox_depth() == 0


async def _outputs(log: EventLog, topic: str) -> list[Output]:
    found: list[Output] = []
    for partition, span in (await log.spans(topic)).items():
        offset = span.begin
        while offset < span.end and (records := await log.read(topic, partition, offset, limit=READ)):
            events = [decode(record.headers, record.value) for record in records]
            found += [event for event in events if isinstance(event, Decided | EffectOutcome)]
            offset = records[-1].offset + 1
    return found


def _spec(name: str, stack: Stack, prefix: str) -> Spec:
    env = {
        **os.environ,
        "LARK_APP_ID": APP_ID,
        "LARK_APP_SECRET": "not-a-secret",
        "CARDWIRE_APP": "tests.soak.handlers:app",
        "CARDWIRE_LOG": stack.log,
        "CARDWIRE_TOPIC_PREFIX": prefix,
        "CARDWIRE_LEDGER": stack.ledger,
        "CARDWIRE_KAFKA_SESSION_S": str(SESSION_S),
        "CARDWIRE_LIMITS": "none",
        "CARDWIRE_ADMIN_PORT": "0",
    }
    return Spec(name=name, role="worker", env=env, program=("tests.soak.worker",))


def _compare(soaked: Soaked, clicks: Clicks, outputs: list[Output], dump: Dump) -> None:
    """Note what is not as it must be: counters, claims, effects, and whether the log tells the same."""
    counted = {row["message_id"]: json_value(JsonText(row["state"].decode()))["clicks"] for row in dump.cards}
    soaked.wrong += [
        f"{card}: {times} clicks, {counted.get(card, 0)} counted"
        for card, times in clicks.expected.items()
        if counted.get(card, 0) != times
    ]
    soaked.decided = len(dump.claims)
    if {row["result"] for row in dump.claims} != {"decided"} or len(dump.claims) != clicks.count:
        soaked.wrong.append(f"{clicks.count} clicks, {len(dump.claims)} claims")
    soaked.effects = Counter(row["status"] for row in dump.effects)
    wanted = sum(times // SHOWN_EVERY for times in clicks.expected.values())
    if len(dump.effects) != wanted or not set(soaked.effects) <= {"succeeded", "superseded"}:
        soaked.wrong.append(f"{wanted} updates, of which the ledger has {dict(soaked.effects)}")
    soaked.wrong += _not_newest(dump)
    soaked.wrong += map(str, differences(rows(fold(outputs)), stored(dump)))


def _not_newest(dump: Dump) -> list[str]:
    newest: dict[str, int] = {}
    for row in dump.effects:
        newest[row["message_id"]] = max(row["order"], newest.get(row["message_id"], 0))
    shown = {row["message_id"]: row["shown_order"] for row in dump.faces}
    return [f"{card} does not show its newest update" for card, order in newest.items() if shown.get(card) != order]
