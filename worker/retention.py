"""
What is old goes, once an hour and a little at a time: of the ledger, and of a SQLite log.

One worker of the fleet does it: it has the role while it sweeps, and keeps it for the rest of the hour, so that nobody
begins anew. Between two short transactions it leaves the database to those who decide and perform. A SQLite log also
lets go what is old behind its commits; but in a topic that nobody writes to, only this does.

Guarantees: whatever a crash leaves is found again by its age. One that is killed in the middle loses the role within a
minute, and whoever gets it begins with what is left.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Final

import structlog

from shared.clock import Clock
from shared.core.errors import LedgerUnavailable, LogUnavailable
from shared.eventlog.open import OpenedLog
from shared.eventlog.port import Topics
from worker.alarm import woken_within
from worker.keeping import ORDER, ROWS, Keeping, in_log
from worker.ledger.kept import ROLE, Place, Store, Sweep, Swept
from worker.ledger.port import RetainingLedger
from worker.meter import Meter

HOUR_S: Final = 3_600.0
LOOK_S: Final = 60.0
"""How often a worker asks whether it is its turn."""

ROLE_MS: Final = 60_000
"""How long the role is somebody's who no longer says so."""

PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
"""Between two transactions: as long as the last one took, so that at least half of the time is the others'."""

log = structlog.get_logger("cardwire.worker")


class Retention:
    """Sweeps the ledger and the log."""

    def __init__(
        self,
        *,
        ledger: RetainingLedger,
        event_log: OpenedLog,
        topics: Topics,
        keeping: Keeping,
        owner: str,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._ledger, self._keeping, self._owner = ledger, keeping, owner
        self._log, self._topics = event_log, topics
        self._clock, self._meter = clock, meter
        self._stopping = asyncio.Event()
        self._next_at = 0.0
        self._waiting = False

    def stop(self) -> None:
        """Finish the transaction under way and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep every hour until stopped; an absent ledger, or log, is waited for."""
        while not await woken_within(self._clock, LOOK_S, self._stopping):
            try:
                await self.look()
            except (LedgerUnavailable, LogUnavailable) as error:
                if not self._waiting:
                    log.warning("retention_waiting", error=type(error).__name__, reason=str(error))
                self._waiting = True
            else:
                self._waiting = False

    async def look(self) -> None:
        """Sweep if it is time, and nobody else does."""
        if self._clock.monotonic() < self._next_at or not await self._hold(ROLE_MS):
            return
        begun = self._clock.monotonic()
        gone = await self._sweep(begun)
        if gone is None:
            return
        aged = await self._ledger.aged()
        self._meter.retained({store: (aged.now - at) / 1000 for store, at in aged.oldest.items()}, at=aged.now / 1000)
        log.info("retention_ran", seconds=round(self._clock.monotonic() - begun, 3), rows=sum(gone.values()), **gone)
        await self._hold(round(HOUR_S * 1000))
        self._next_at = self._clock.monotonic() + HOUR_S

    async def _sweep(self, begun: float) -> Mapping[str, int] | None:
        """Return how many rows and records went, by table and topic; ``None``: somebody else goes on."""
        gone: Counter[str] = Counter()
        held_at = since = begun
        async for rows, is_last in self._steps():
            gone.update(rows)
            self._meter.swept(rows)
            if self._stopping.is_set():
                await self._hold(0)
                return None
            if not is_last:
                took = self._clock.monotonic() - since
                await self._clock.sleep(min(max(PAUSE_S, took), LONGEST_PAUSE_S))
            if self._clock.monotonic() - held_at > ROLE_MS / 3000:
                if not await self._hold(ROLE_MS):
                    return None
                held_at = self._clock.monotonic()
            since = self._clock.monotonic()
        return {store: number for store, number in gone.items() if number}

    async def _steps(self) -> AsyncIterator[tuple[Mapping[str, int], bool]]:
        """Give what each transaction deleted, and whether it came to its store's end."""
        async for _, swept in sweeps(self._ledger, self._keeping):
            yield swept.rows, swept.last is None
        async for name, gone in prunes(self._log, self._topics):
            yield {name: gone}, False

    async def _hold(self, for_ms: int) -> bool:
        return await self._ledger.hold(ROLE, self._owner, ttl_ms=for_ms)


async def sweeps(ledger: RetainingLedger, keeping: Keeping, *, dry: bool = False) -> AsyncIterator[tuple[Store, Swept]]:
    """
    Sweep all stores, and give what each transaction did; whoever takes the next one has had time in between.

    Args:
        dry: Delete nothing.

    Raises:
        LedgerUnavailable: What was given is done; beginning again goes on with the rest.
    """
    for store in ORDER:
        after: Place | None = None
        while True:
            sweep = Sweep(store=store, older_than_ms=keeping.of(store), after=after, limit=ROWS, dry=dry)
            swept = await ledger.sweep(sweep)
            yield store, swept
            if (after := swept.last) is None:
                break


async def prunes(event_log: OpenedLog, topics: Topics, *, dry: bool = False) -> AsyncIterator[tuple[str, int]]:
    """
    Have a log let go what is old, until nothing goes, and give of each transaction a topic's name and how many went.

    Args:
        dry: Delete nothing.

    Raises:
        LogUnavailable: What was given is done; beginning again goes on with the rest.
    """
    for name, topic in in_log(topics).items():
        while gone := await event_log.prune(topic, dry=dry):
            yield name, gone
            if dry:
                break
