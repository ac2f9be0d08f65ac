"""
The outbox relay: what the ledger committed is told to the log.

Guarantees: at least once, in commit order per card and topic; a row is deleted only after the log has it, so a crash
in between tells it twice, under the same ``ce_id``. One relay at a time in the fleet, by a lease, so that order holds.
What is to be decided is told before what was decided and done: whoever finds an outcome in the log finds what followed
from it, and a ledger that is rebuilt from a log which ends between the two does it once more instead of losing it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from shared.clock import Clock
from shared.core.codec import header
from shared.core.errors import LedgerUnavailable, LogUnavailable, RecordRefused
from shared.eventlog.port import EventLog, NewRecord
from worker.alarm import woken_within
from worker.ledger.port import RelayingLedger
from worker.meter import Meter

ROWS: Final = 500
ROLE: Final = "relay"
ROLE_MS: Final = 10_000
IDLE_S: Final = 0.5
GATHER_S: Final = 0.1
"""How long to wait for company after a nudge: nobody waits for outcomes, so a few at a time are cheaper."""

MEASURE_S: Final = 1.0
AWAY_S: Final = 1.0
FULL: Final = 100_000
"""Outbox rows above which the pump stops leasing: what it does could no longer be told."""

log = structlog.get_logger("cardwire.worker")


class Relay:
    """
    Moves outbox rows to the log.

    Args:
        inputs: The topic of what is to be decided.
    """

    def __init__(
        self, *, event_log: EventLog, ledger: RelayingLedger, inputs: str, owner: str, clock: Clock, meter: Meter
    ) -> None:
        self._inputs = inputs
        self._log, self._ledger, self._owner, self._clock, self._meter = event_log, ledger, owner, clock, meter
        self._nudged = asyncio.Event()
        self._mine_until = 0.0
        self._measure_at = 0.0
        self._stopping = False
        self._waiting_for: str | None = None
        self.full = False

    def nudge(self) -> None:
        """There is something to relay."""
        self._nudged.set()

    def stop(self) -> None:
        """Relay what is there and return from `run`."""
        self._stopping = True
        self.nudge()

    async def run(self) -> None:
        """Relay until stopped; an absent log or ledger is waited for."""
        while True:
            stopping = self._stopping
            self._nudged.clear()
            wait_s = IDLE_S
            try:
                await self._drain()
            except (LogUnavailable, LedgerUnavailable) as error:
                wait_s = AWAY_S
                self._wait_for("log" if isinstance(error, LogUnavailable) else "ledger", error)
            else:
                self._went_on()
            if stopping:
                await self._resign()
                return
            if await woken_within(self._clock, wait_s, self._nudged) and not self._stopping:
                await self._clock.sleep(AWAY_S if wait_s == AWAY_S else GATHER_S)

    def _wait_for(self, what: str, error: Exception) -> None:
        """Say so once, however long it takes."""
        if self._waiting_for is None:
            log.warning("relay_waiting", waiting_for=what, error=type(error).__name__, reason=str(error))
        self._waiting_for = what

    def _went_on(self) -> None:
        if self._waiting_for is not None:
            log.info("relay_resumed", waited_for=self._waiting_for)
        self._waiting_for = None

    async def _drain(self) -> None:
        while await self._is_mine():
            rows = await self._ledger.outbox(limit=ROWS)
            if rows:
                # One append promises no order across topics.
                await self._tell([record for _, record in rows if record.topic == self._inputs])
                await self._tell([record for _, record in rows if record.topic != self._inputs])
                await self._ledger.relayed([number for number, _ in rows])
                self._meter.relayed(len(rows))
            if len(rows) < ROWS:
                break
        await self._measure()

    async def _tell(self, records: Sequence[NewRecord]) -> None:
        """Append records; one that the log never takes is given up alone, loudly, so that it holds nobody back."""
        if not records:
            return
        try:
            await self._log.append(records)
        except RecordRefused as error:
            if len(records) == 1:
                told = header(records[0].headers, "ce_id")
                log.error("outcome_lost", id=told, topic=records[0].topic, reason=str(error))  # noqa: TRY400
                return
            for half in (records[: len(records) // 2], records[len(records) // 2 :]):
                await self._tell(half)

    async def _is_mine(self) -> bool:
        """Keep the role, or try to get it; asked again only when a third of its time has passed."""
        now = self._clock.monotonic()
        if now < self._mine_until:
            return True
        mine = await self._ledger.hold(ROLE, self._owner, ttl_ms=ROLE_MS)
        self._mine_until = now + ROLE_MS / 3000 if mine else 0.0
        return mine

    async def _resign(self) -> None:
        """Leave the role to whoever comes next, who would otherwise wait for its end: a restart is no silence."""
        try:
            await self._ledger.hold(ROLE, self._owner, ttl_ms=0)
        except LedgerUnavailable as error:
            log.warning("relay_not_resigned", error=type(error).__name__, reason=str(error))

    async def _measure(self) -> None:
        now = self._clock.monotonic()
        if now >= self._measure_at:
            self._measure_at = now + MEASURE_S
            depth = await self._ledger.outbox_depth()
            self.full = depth > FULL
            self._meter.outbox(depth)
