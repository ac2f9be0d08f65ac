"""
A log moved from SQLite to Kafka and back, by the commands that people use, beside reading the same logs raw.

Each command is a process of its own, from its start to its end, so that its memory and its CPU time are its own. In
the end both exports have the same digests, or this fails.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.place import environment
from bench.stacks import Stack
from bench.work import click, make, mark
from shared.core.codec import encode
from shared.core.events import Decided, InteractionReceived
from shared.core.json_text import json_text
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import NewRecord, Topics
from worker.history.walk import walk

HEAD: Final = (
    "move",
    "records",
    "s",
    "records/s",
    "of raw reading",
    "CPU µs/record",
    "× raw reading",
    "peak memory, MB",
)
CARDS: Final = 500
APPEND: Final = 6_000
PATIENCE_S: Final = 30.0

_COMMAND: Final = (sys.executable, "-P", "-m", "cardwire", "log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What one step took: its wall and CPU time, and the memory it had at most; of raw reading, which is ours, not."""

    name: str
    records: int
    wall_s: float
    cpu_s: float
    peak_mb: float | None = None

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.wall_s

    @property
    def cpu_us(self) -> float:
        """CPU time of the command for each record (µs), its start included."""
        return self.cpu_s / self.records * 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    url: str
    prefix: str

    @property
    def topics(self) -> Topics:
        return Topics.prefixed(self.prefix)

    @property
    def env(self) -> Mapping[str, str]:
        return {**environment(), "CARDWIRE_LOG": self.url, "CARDWIRE_TOPIC_PREFIX": self.prefix}


async def measure(stack: Stack, *, records: int) -> Sequence[Move]:
    """Move so many records there and back."""
    with tempfile.TemporaryDirectory(prefix="cardwire-bench-") as name:
        folder = Path(name)
        here, back = (_Place(url=f"sqlite:///{folder / each}.db", prefix="") for each in ("here", "back"))
        url, prefix = stack.new_log()
        there = _Place(url=url, prefix=prefix)
        made = await _fill(here, records)
        async with _opened(there) as log:
            await make(log, there.topics)
        moves = [await _raw("SQLite, read raw", here)]
        moves += [_run("SQLite → files", "export", here, folder / "out", made)]
        moves += [_run("files → Kafka", "import", there, folder / "out", made)]
        moves += [await _raw("Kafka, read raw", there)]
        moves += [_run("Kafka → files", "export", there, folder / "again", made)]
        moves += [_run("files → SQLite", "import", back, folder / "again", made)]
        moves += [_run("SQLite → files, again", "export", back, folder / "last", made)]
        assert _digests(folder / "out") == _digests(folder / "again") == _digests(folder / "last")
        print(f"{made:,} records: SQLite, Kafka and SQLite have the same digests", flush=True)
        return moves


def lines(moves: Sequence[Move]) -> Iterator[list[str]]:
    """Yield a row for each step; what reads a log stands beside reading it raw."""
    raw = {move.name.split(",")[0]: move for move in moves if move.peak_mb is None}
    for move in moves:
        beside = None if move.peak_mb is None else raw.get(move.name.split(" →")[0])
        yield [
            move.name,
            f"{move.records:,}",
            f"{move.wall_s:,.1f}",
            f"{move.rate:,.0f}",
            "" if beside is None else f"{move.rate / beside.rate:.0%}",
            f"{move.cpu_us:,.0f}",
            "" if beside is None else f"{move.cpu_us / beside.cpu_us:.1f}",
            "" if move.peak_mb is None else f"{move.peak_mb:,.0f}",
        ]


async def _fill(place: _Place, records: int) -> int:
    """Append clicks, their marks and what was decided; return how many records there are."""
    async with _opened(place) as log:
        await make(log, place.topics)
        made: list[NewRecord] = []
        for number in range(records // 3):
            one = click(number, number % CARDS)
            decided = NewRecord.of(place.topics.outcomes, encode(_decided(one, number)))
            made += [*(NewRecord.of(place.topics.interactions, encode(each)) for each in (one, mark(one))), decided]
            if len(made) >= APPEND:
                await log.append(made)
                made = []
        await log.append(made)
    return records // 3 * 3


def _decided(one: InteractionReceived, number: int) -> Decided:
    return Decided(
        event_id=one.event_id,
        app_id=one.app_id,
        tenant_key=one.tenant_key,
        message_id=one.message_id,
        partition=0,
        offset=number,
        result="decided",
        handler="count",
        version=number // CARDS + 1,
        state=json_text({"clicks": number // CARDS + 1}),
        content=json_text({"elements": ["-" * 400]}),
        occurred_at=one.occurred_at,
        decided_at=one.received_at,
    )


async def _raw(name: str, place: _Place) -> Move:
    """Read all there is through the log's port, and do nothing with it."""
    async with _opened(place) as log:
        began, spent, count = time.perf_counter(), time.process_time(), 0
        for topic in (place.topics.interactions, place.topics.outcomes):
            for number, span in (await log.spans(topic)).items():
                async for piece in walk(log, topic, number, begin=span.begin, end=span.end):
                    count += len(piece)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - spent
        return Move(name=name, records=count, wall_s=wall_s, cpu_s=cpu_s)


def _run(name: str, command: str, place: _Place, folder: Path, records: int) -> Move:
    began = time.perf_counter()
    process = subprocess.Popen([*_COMMAND, command, str(folder)], env=dict(place.env), stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as stdout:
        told = stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    assert process.returncode == 0, told
    return Move(
        name=name, records=records, wall_s=wall_s, cpu_s=used.ru_utime + used.ru_stime, peak_mb=used.ru_maxrss / 1024
    )


def _digests(folder: Path) -> Sequence[Any]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return [[(part["records"], part["sha256"]) for part in topic["partitions"]] for topic in manifest["topics"]]


@asynccontextmanager
async def _opened(place: _Place) -> AsyncIterator[OpenedLog]:
    log = open_log(place.url, topics=place.topics, append_timeout_s=PATIENCE_S)
    try:
        yield log
    finally:
        await log.close()
