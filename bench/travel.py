"""
Time travel: how fast `cardwire diff` decides a recorded log again, beside reading the same log raw.

The log is made by the worker's own decider: clicks on many cards, their marks, and the decisions about them. The raw
reader reads every record of the same topics by the same port, partitions side by side in as many processes, and looks
into none of them.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from bench.stacks import Stack
from bench.work import APP_ID, APPEND, PATIENCE_S, app, append, events_of, make
from shared.eventlog.open import open_log
from shared.eventlog.port import Span, Topics
from shared.settings import LogSettings, load
from tests.support.past import Recorder
from worker.history.walk import walk
from worker.traveling.crew import Done, Moved, crew
from worker.traveling.partition import Trip, opened
from worker.traveling.travel import Extent, extent, travel

HANDLERS: Final = "bench.work:app"

HEAD: Final = (
    "diff", "interactions", "records, outcomes twice", "time", "interactions/s", "raw reading, records/s", "ratio",
    "differences", "cards", "most memory, all processes",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Journeyed:
    """What a run took (s), and what was found."""

    interactions: int
    records: int
    took_s: float
    raw_s: float
    differing: int
    cards: int
    peak_bytes: int


def measure(stack: Stack, *, interactions: int, cards: int) -> Journeyed:
    """Make a log of so many interactions on so many cards, travel through it, and read it raw."""
    url, prefix = stack.new_log()
    env = {"CARDWIRE_LOG": url, "CARDWIRE_TOPIC_PREFIX": prefix, "CARDWIRE_APP": HANDLERS}
    # In a process of its own: what it needed would be taken for what time travel needs.
    filling = get_context("spawn").Process(target=fill, args=(url, prefix, interactions, cards))
    filling.start()
    filling.join()
    assert filling.exitcode == 0
    over = asyncio.run(extent(load(LogSettings, env)))
    raw_s = _timed(lambda: read_raw(env, over))
    with tempfile.TemporaryDirectory(prefix="cardwire-bench-") as folder:
        began = time.perf_counter()
        traveled = travel(Trip(env=env, folder=Path(folder)), over, moved=lambda _: None)
        took_s = time.perf_counter() - began
    return Journeyed(
        interactions=traveled.findings.compared,
        records=over.records,
        took_s=took_s,
        raw_s=raw_s,
        differing=traveled.findings.differing,
        cards=traveled.findings.cards,
        peak_bytes=traveled.peak_bytes,
    )


def line(what: str, measured: Journeyed) -> list[str]:
    """Return the row of a table about a run; see `HEAD`."""
    return [
        what,
        f"{measured.interactions:,}",
        f"{measured.records:,}",
        f"{measured.took_s:.1f} s",
        f"{measured.interactions / measured.took_s:,.0f}",
        f"{measured.records / measured.raw_s:,.0f}",
        f"{measured.raw_s / measured.took_s:.2f}",
        f"{measured.differing:,}",
        f"{measured.cards:,}",
        f"{measured.peak_bytes / (1 << 20):,.0f} MiB",
    ]


def fill(url: str, prefix: str, interactions: int, cards: int) -> None:
    """Make the log."""
    asyncio.run(_fill(url, Topics.prefixed(prefix), interactions, cards))


async def _fill(url: str, topics: Topics, interactions: int, cards: int) -> None:
    log = open_log(url, topics=topics, append_timeout_s=PATIENCE_S)
    recorder = Recorder(apps={APP_ID: app}, topics=topics)
    try:
        await make(log, topics)
        step = APPEND * 10
        for first in range(0, interactions, step):
            asked, told = recorder.record(events_of(min(step, interactions - first), cards, first))
            for records in (asked, told):
                for start in range(0, len(records), APPEND):
                    await append(log, records[start : start + APPEND])
    finally:
        await log.close()


def read_raw(env: dict[str, str], over: Extent) -> None:
    """Read every record as often as time travel does: interactions once, outcomes twice."""
    topics = Topics.prefixed(env["CARDWIRE_TOPIC_PREFIX"])
    tasks = [(topics.interactions, number, span) for number, span in over.interactions.items()]
    tasks += [(topics.outcomes, number, span) for number, span in over.outcomes.items()] * 2
    with crew(2, serve_raw, env) as members:
        for _ in members.work(tasks, lambda _: None):
            pass


def serve_raw(connection: Connection, env: dict[str, str]) -> None:
    """Read whatever comes over a connection."""
    settings = load(LogSettings, env)
    try:
        while True:
            task: tuple[str, int, Span] = connection.recv()
            asyncio.run(_read(settings, *task))
            connection.send(Moved(1))
            connection.send(Done(None))
    except (EOFError, BrokenPipeError):
        return


async def _read(settings: LogSettings, topic: str, partition: int, span: Span) -> None:
    async with opened(settings, Topics.prefixed(settings.topic_prefix)) as log:
        async for piece in walk(log, topic, partition, begin=span.begin, end=span.end):
            assert piece


def _timed(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
