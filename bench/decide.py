"""
Deciding: events per second of the worker's first stage, from the log to the ledger, beside the raw writer.

A round fills the log, then lets `Consume` decide it all; the clock runs from the moment it may read to its last
commit. The rows of that round are then written by the raw writer into a database of its own.
"""

import asyncio
import gc
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, cast

from bench import raw
from bench.figures import Round, Spent, spent, spread
from bench.stacks import Stack
from bench.work import APP_ID, app, fill, inputs, make
from shared.clock import SystemClock
from shared.core.json_text import EpochMs
from shared.eventlog.open import open_log
from shared.eventlog.port import PARTITIONS, Consumer, EventLog, Polled, Topics
from worker.deciding.consume import Consume
from worker.deciding.failing import SHARE
from worker.deciding.handlers import HandlerThreads
from worker.ledger.decided import Write
from worker.ledger.open import open_ledger
from worker.ledger.port import DecidingLedger
from worker.meter import Meter
from worker.settings import SETTLE_MS

PATIENCE_S: Final = 120.0

HEAD: Final = (
    "decide", "events/s (min / median / max)", "raw writer, events/s", "ratio", "CPU µs/event, own + database",
    "raw writer's", "ratio of CPU", "batch",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is decided in how many rounds."""

    events: int
    rounds: int


@dataclass(slots=True)
class Pair:
    """Rounds of ours and of the raw writer, run in turns."""

    ours: list[Round] = field(default_factory=list)
    raw: list[Round] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Our rate as a part of the raw writer's of the same round."""
        return [mine.rate / plain.rate for mine, plain in zip(self.ours, self.raw, strict=True)]

    @property
    def cpu_ratios(self) -> list[float]:
        """The raw writer's CPU time as a part of ours, of the same round."""
        return [plain.cpu_us / mine.cpu_us for mine, plain in zip(self.ours, self.raw, strict=True)]


class _Gate:
    """The consumer's log, which notes when reading may begin: when the first position is sought."""

    def __init__(self, log: EventLog, measured: Spent) -> None:
        self._log, self._measured = log, measured

    async def consume(self, topic: str, *, group: str) -> Consumer:
        return _Gated(await self._log.consume(topic, group=group), self._measured)


class _Gated:
    def __init__(self, consumer: Consumer, measured: Spent) -> None:
        self._consumer, self._measured, self._is_first = consumer, measured, True

    async def poll(self, *, max_records: int, wait_s: float) -> Polled:
        return await self._consumer.poll(max_records=max_records, wait_s=wait_s)

    def seek(self, partition: int, offset: int) -> None:
        if self._is_first:
            self._measured.begin()
            self._is_first = False
        self._consumer.seek(partition, offset)

    async def close(self) -> None:
        await self._consumer.close()


async def measure(stack: Stack, size: Size, *, cards: int) -> Pair:
    """Return rounds on ``cards`` cards. A first one warms up and is not counted."""
    async with AsyncExitStack() as closing:
        url, prefix = stack.new_log()
        topics = Topics.prefixed(prefix)
        log = open_log(url, topics=topics)
        closing.push_async_callback(log.close)
        await make(log, topics)
        ledger, beside = open_ledger(stack.new_ledger()), open_ledger(raw_url := stack.new_ledger())
        for each in (ledger, beside):
            closing.push_async_callback(each.close)
            await each.upgrade()
            await each.begin(PARTITIONS)
        writer = await raw.connect(raw_url)
        closing.push_async_callback(writer.close)
        pair = Pair()
        for number in range(size.rounds + 1):
            first = number * (size.events // 2)
            records = inputs(size.events, topic=topics.interactions, cards=cards, first=first)
            events = await fill(log, topics.interactions, records)
            mine, written = await decide(stack, log, topics, ledger, events)
            plain = await _write(stack, writer, [raw.rows(*each) for each in written], events)
            if number:
                pair.ours.append(mine)
                pair.raw.append(plain)
                pair.batches += [_records(write) for write, _ in written]
        return pair


async def decide(
    stack: Stack, log: EventLog, topics: Topics, ledger: DecidingLedger, events: int, *, settle_ms: int = SETTLE_MS
) -> tuple[Round, list[tuple[Write, EpochMs]]]:
    """Decide what is in the log, and return how long it took and what was written."""
    measured = Spent(stack.database_pids)
    written: list[tuple[Write, EpochMs]] = []
    left = events

    def committed(write: Write, at: EpochMs) -> None:
        nonlocal left
        written.append((write, at))
        left -= _records(write)
        if left <= 0:
            measured.end()
            consume.stop()

    handlers = HandlerThreads()
    consume = Consume(
        apps={APP_ID: app},
        event_log=cast("EventLog", _Gate(log, measured)),  # joining is all that it is asked for
        ledger=ledger,
        topics=topics,
        group="bench",
        clock=SystemClock(),
        meter=Meter(),
        committed=committed,
        handlers=handlers,
        dead_letters_stop=SHARE,
        settle_ms=settle_ms,
    )
    _forget()
    async with asyncio.timeout(PATIENCE_S):
        await consume.run()
    handlers.close()
    return Round(count=events, spent=measured), written


async def _write(stack: Stack, writer: raw.Writer, transactions: Sequence[raw.Rows], events: int) -> Round:
    _forget()
    with spent(stack.database_pids) as measured:
        await writer.write(transactions)
    return Round(count=events, spent=measured)


def _records(write: Write) -> int:
    return sum(move.next - move.expected for move in write.moves)


def _forget() -> None:
    """Keep what the benchmark itself holds out of the garbage collector's rounds."""
    gc.collect()
    gc.freeze()


def line(what: str, pair: Pair) -> list[str]:
    """Return the row of a table about these rounds; see `HEAD`."""
    return [
        what,
        spread([each.rate for each in pair.ours]),
        spread([each.rate for each in pair.raw]),
        spread(pair.ratios, 2),
        _cpu(pair.ours),
        _cpu(pair.raw),
        spread(pair.cpu_ratios, 2),
        f"{statistics.median(pair.batches):.0f}",
    ]


def _cpu(rounds: Sequence[Round]) -> str:
    own = statistics.median(each.own_us for each in rounds)
    database = statistics.median(each.services_us for each in rounds)
    return f"{own:.0f} + {database:.0f}"
