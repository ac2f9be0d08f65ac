"""A log that is read: raw, through its port, and by the commands that people use, each a process of its own."""

import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bench.apart import apart
from bench.place import environment
from bench.work import PATIENCE_S
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import Topics
from worker.history.walk import walk

COLUMNS: Final = (
    "records",
    "s",
    "records/s",
    "of raw reading",
    "CPU µs/record",
    "× raw reading",
    "peak memory, MB",
)

_COMMAND: Final = (sys.executable, "-P", "-m", "cardwire")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    What one step took: its wall and CPU time, and the memory it had at most; of raw reading, which is ours, not.

    Attributes:
        reads: Which log it reads; ``None``: none.
    """

    name: str
    reads: str | None
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
        """CPU time for each record (µs), a command's start included."""
        return self.cpu_s / self.records * 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Where a log is, what it is called in tables, and how many records it has or is to have."""

    name: str
    url: str
    prefix: str
    records: int

    @property
    def topics(self) -> Topics:
        """Its topics."""
        return Topics.prefixed(self.prefix)

    @property
    def env(self) -> Mapping[str, str]:
        """The settings of commands."""
        return {**environment(), "CARDWIRE_LOG": self.url, "CARDWIRE_TOPIC_PREFIX": self.prefix}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenedLog]:
        """Give the log as long as the block lasts."""
        log = open_log(self.url, topics=self.topics, append_timeout_s=PATIENCE_S)
        try:
            yield log
        finally:
            await log.close()


async def read_raw(log: Log) -> Step:
    """Read all there is through the log's port, and do nothing with it."""
    async with log.opened() as opened:
        began, spent, count = time.perf_counter(), time.process_time(), 0
        for topic in (log.topics.interactions, log.topics.outcomes):
            for number, span in (await opened.spans(topic)).items():
                async for piece in walk(opened, topic, number, begin=span.begin, end=span.end):
                    count += len(piece)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - spent
    assert count == log.records
    return Step(name=f"{log.name}, read raw", reads=log.name, records=count, wall_s=wall_s, cpu_s=cpu_s)


def command(name: str, reads: str | None, log: Log, *given: str) -> tuple[Step, str]:
    """Run one of our commands on a log, to its good end, and return what it printed as well."""
    took = apart([*_COMMAND, *given], log.env)
    assert took.status == 0, took.told
    step = Step(name=name, reads=reads, records=log.records, wall_s=took.wall_s, cpu_s=took.cpu_s, peak_mb=took.peak_mb)
    return step, took.told


def lines(steps: Sequence[Step]) -> Iterator[list[str]]:
    """Yield a row for each step; what reads a log stands beside reading it raw."""
    raw: dict[str, Step] = {}
    for step in steps:
        if step.peak_mb is None and step.reads is not None:
            raw[step.reads] = step
        beside = None if step.peak_mb is None or step.reads is None else raw[step.reads]
        yield [
            step.name,
            f"{step.records:,}",
            f"{step.wall_s:,.1f}",
            f"{step.rate:,.0f}",
            "" if beside is None else f"{step.rate / beside.rate:.0%}",
            f"{step.cpu_us:,.0f}",
            "" if beside is None else f"{step.cpu_us / beside.cpu_us:.1f}",
            "" if step.peak_mb is None else f"{step.peak_mb:,.0f}",
        ]
