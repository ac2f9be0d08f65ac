"""
`cardwire rebuild` beside reading the same log raw: the fold in memory, and into the ledger.

Each runs in a process of its own, so that the memory it took at most is its own; the log was made before.
"""

import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import uvloop

from bench.cpu import cpu_s
from bench.recorded import RECORDS_PER_CLICK, record
from bench.stacks import Stack
from shared.core.fold import step
from shared.core.folded import Folded
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from worker.history.walk import walk
from worker.ledger.open import open_ledger
from worker.ledger.restoring import open_restoring
from worker.memory import peak_bytes
from worker.rebuilding import outcomes
from worker.rebuilding.rebuild import rebuild
from worker.settings import SETTLE_MS

HEAD: Final = ("rebuild", "records", "records/s (min / median / max)", "CPU µs/record, own + services", "peak RSS, MB")
WAYS: Final = ("read raw", "fold in memory", "into the ledger")
CARDS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of one way."""

    records: int
    seconds: float
    own_s: float
    services_s: float
    peak_mb: int


async def measure(place: Stack, *, events: int, rounds: int) -> Mapping[str, Sequence[Ran]]:
    """Make a log of so many records, of both topics together, and go through it, in each way so often."""
    url, prefix = place.new_log()
    await record(url, Topics.prefixed(prefix), events // RECORDS_PER_CLICK, cards=CARDS)
    ran: dict[str, list[Ran]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            ledger_url = place.new_ledger()
            if way == "into the ledger":
                ledger = open_ledger(ledger_url)
                await ledger.upgrade()
                await ledger.close()
            ran[way].append(_apart(place, way, url, prefix, ledger_url))
    return ran


def lines(name: str, ran: Mapping[str, Sequence[Ran]]) -> list[list[str]]:
    """Return the table's rows."""
    return [[f"{name}, {way}", *_cells(of)] for way, of in ran.items()]


def _cells(ran: Sequence[Ran]) -> list[str]:
    rates = [one.records / one.seconds for one in ran]
    own = median(1e6 * one.own_s / one.records for one in ran)
    services = median(1e6 * one.services_s / one.records for one in ran)
    return [
        f"{ran[0].records:,}",
        " / ".join(f"{each:,.0f}" for each in (min(rates), median(rates), max(rates))),
        f"{own:.0f} + {services:.0f}",
        f"{max(one.peak_mb for one in ran)}",
    ]


def _apart(place: Stack, way: str, url: str, prefix: str, ledger_url: str) -> Ran:
    pids = [*place.database_pids, *place.broker_pids]
    before = cpu_s(pids) if pids else 0.0
    command = [sys.executable, "-m", "bench.rebuild", way, url, prefix, ledger_url]
    said: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    after = cpu_s(pids) if pids else 0.0
    return Ran(services_s=(after or 0.0) - (before or 0.0), **said)


async def _raw(log: EventLog, topics: Topics, _ledger: str) -> int:
    return await _walked(log, (topics.outcomes, topics.interactions), lambda _: None)


async def _folded(log: EventLog, topics: Topics, _ledger: str) -> int:
    folded = Folded()

    def fold(records: Any) -> None:
        for output in outcomes.read(records).outputs:
            step(folded, output)

    return await _walked(log, (topics.outcomes,), fold)


async def _rebuilt(log: EventLog, topics: Topics, ledger_url: str) -> int:
    ledger = open_restoring(ledger_url, settle_ms=SETTLE_MS)
    try:
        return sum((await rebuild(log, ledger, topics)).records.values())
    finally:
        await ledger.close()


async def _walked(log: EventLog, of: Sequence[str], take: Callable[[Any], None]) -> int:
    read = 0
    for topic in of:
        for partition, span in (await log.spans(topic)).items():
            async for piece in walk(log, topic, partition, begin=span.begin, end=span.end):
                take(piece)
                read += len(piece)
    return read


_DONE: Final[Mapping[str, Callable[[EventLog, Topics, str], Awaitable[int]]]] = dict(
    zip(WAYS, (_raw, _folded, _rebuilt), strict=True)
)


async def _main(way: str, url: str, prefix: str, ledger_url: str) -> None:
    topics = Topics.prefixed(prefix)
    log = open_log(url, topics=topics)
    began, own = time.perf_counter(), time.process_time()
    try:
        records = await _DONE[way](log, topics, ledger_url)
    finally:
        await log.close()
    told = {
        "records": records,
        "seconds": time.perf_counter() - began,
        "own_s": time.process_time() - own,
        "peak_mb": peak_bytes() >> 20,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
