"""A gateway's way to its log, with a spill, around a log that fails in every way that a log can."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

from gateway.append import Appender
from gateway.spill.detour import Detour
from gateway.spill.folder import SpillFolder
from gateway.spill.orphans import Orphans
from gateway.spill.rejected import Rejected
from gateway.spill.spill import Bounds, Spill
from gateway.spill.spilled import SpillUnreadable
from shared.clock import Clock, SystemClock
from shared.core.errors import LogUnavailable
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord, Record
from shared.eventlog.sqlite.file import REAL, Disk
from shared.observability.metrics import GATEWAY_METRICS, Metrics

TOPIC = "t"
ROOMY = Bounds(rows=100_000, bytes=100_000_000)

Mood = Literal["well", "away", "half", "forgetful", "hangs", "stubborn"]
"""
``well`` appends · ``away`` appends nothing and says so · ``half`` appends the first half and fails · ``forgetful``
appends all and fails · ``hangs`` never answers, and may append later · ``stubborn`` does so even if it is cancelled.
"""


class HurriedClock(SystemClock):
    """The machine's clock, but every pause is over fifty times as fast."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 50)


class UnreliableLog(MemoryLog):
    """
    A log in memory with moods.

    Attributes:
        mood: What it does when no other was ordered.
        next_moods: What its next appends do instead.
        calls: What was asked for, in order.
        late: What hanging appends may still deliver.
        doubtful: Values of records of which nobody can know whether they were appended.
    """

    def __init__(self, mood: Mood = "well") -> None:
        super().__init__(partitions=2)
        self.mood: Mood = mood
        self.next_moods: deque[Mood] = deque()
        self.calls: list[Sequence[NewRecord]] = []
        self.late: list[Sequence[NewRecord]] = []
        self.doubtful: set[bytes] = set()
        self.released = asyncio.Event()

    async def append(self, records: Sequence[NewRecord]) -> None:
        self.calls.append(records)
        mood = self.next_moods.popleft() if self.next_moods else self.mood
        if mood == "well":
            await asyncio.sleep(0)
            await super().append(records)
            return
        self.doubtful |= {record.value for record in records}
        match mood:
            case "half":
                await super().append(records[: len(records) // 2])
            case "forgetful":
                await super().append(records)
            case "hangs" | "stubborn":
                self.late.append(records)
                await self._hang(stubborn=mood == "stubborn")
            case _:
                await asyncio.sleep(0)
        raise LogUnavailable("in a mood")

    async def ready(self) -> bool:
        return self.mood == "well"

    async def deliver_late(self) -> None:
        """Append what hanging appends were given."""
        while self.late:
            await super().append(self.late.pop(0))

    async def values(self) -> list[bytes]:
        """Return the values of all records, partition by partition, in order."""
        return [record.value for record in await self.all()]

    async def all(self) -> list[Record]:
        """Return all records, partition by partition, in order."""
        spans = await self.spans(TOPIC)
        return [record for number in spans for record in await self.read(TOPIC, number, 0, limit=1_000_000)]

    async def _hang(self, *, stubborn: bool) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                if not stubborn:
                    raise


class Way:
    """What of a gateway is between its callers and the log."""

    def __init__(self, appender: Appender, detour: Detour, spill: Spill, metrics: Metrics, folder: SpillFolder) -> None:
        self.appender, self.detour, self.spill, self.metrics, self.folder = appender, detour, spill, metrics, folder
        self.clock: Clock = SystemClock()

    async def append(self, value: bytes, *, card: str = "om_1") -> None:
        """Append as a callback does that has just arrived."""
        await self.appender.append(row(value, card=card), started=self.clock.monotonic())

    async def closed(self) -> None:
        """Wait until the breaker is closed."""
        await until(lambda: not self.detour.is_open)


@asynccontextmanager
async def a_way(
    log: MemoryLog,
    folder: Path,
    *,
    bounds: Bounds = ROOMY,
    disk: Disk = REAL,
    budget_s: float = 0.03,
    turn_s: float = 0.1,
    spill_s: float = 0.9,
    flush_s: float = 2.0,
) -> AsyncIterator[Way]:
    """Run it; ``flush_s`` is what its end may take to write what waits: 0 is the nearest thing to a crash."""
    clock, metrics, spills = HurriedClock(), Metrics(*GATEWAY_METRICS), SpillFolder(folder)
    spill = Spill(spills.claim_new(clock), bounds, clock=clock, disk=disk)
    with suppress(SpillUnreadable):  # as at every start
        await spill.open()
    rejected = Rejected(spills.rejected, clock=clock, metrics=metrics, disk=disk)
    detour = Detour(log, spill, rejected, clock=clock, metrics=metrics, turn_s=turn_s, spill_s=spill_s, forward_s=0.1)
    orphans = Orphans(spills, log, rejected, clock=clock, metrics=metrics, disk=disk)
    appender = Appender(log, clock=clock, metrics=metrics, detour=detour, budget_s=budget_s)
    detour.start()
    orphans.start()
    appender.start()
    try:
        yield Way(appender, detour, spill, metrics, spills)
    finally:
        await appender.close(within_s=flush_s)
        await orphans.close()
        await detour.close()
        await rejected.close()


def row(value: bytes, *, card: str = "om_1") -> NewRecord:
    """Return a record of a card."""
    return NewRecord(topic=TOPIC, key=f"cli_a1:{card}", value=value, headers=(("h", b"1"),), timestamp=7)


def spills_in(folder: Path) -> list[Path]:
    """Return the spill files of a folder."""
    return sorted(folder.glob("spill-*.db"))


def everything_in(folder: Path) -> list[str]:
    """Return the names of all files in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def until(holds: Callable[[], bool | Awaitable[bool]], *, patience_s: float = 10.0) -> None:
    """Wait until something holds; looks every few milliseconds."""
    async with asyncio.timeout(patience_s):
        while not (found if isinstance(found := holds(), bool) else await found):  # noqa: ASYNC110 -- no event tells
            await asyncio.sleep(0.003)
