"""
The outbox relay: what the ledger committed is told to the log.

Guarantees: at least once, in commit order per card; a row is deleted only after the log has it, so a crash in
between tells it twice, under the same ``ce_id``. One relay at a time in the fleet, by a lease, so that order holds.
"""

import asyncio
from typing import Final

import structlog

from shared.clock import Clock
from shared.core.errors import LedgerUnavailable, LogUnavailable, RecordRefused
from shared.eventlog.port import EventLog
from worker.ledger.port import Ledger
from worker.meter import Meter

ROWS: Final = 500
ROLE: Final = "relay"
ROLE_MS: Final = 10_000
IDLE_S: Final = 0.5
AWAY_S: Final = 1.0
FULL: Final = 100_000
"""Outbox rows above which the pump stops leasing: what it does could no longer be told."""

log = structlog.get_logger("cardwire.worker")


class Relay:
    """Moves outbox rows to the log."""

    def __init__(self, *, event_log: EventLog, ledger: Ledger, owner: str, clock: Clock, meter: Meter) -> None:
        self._log, self._ledger, self._owner, self._clock, self._meter = event_log, ledger, owner, clock, meter
        self._nudged = asyncio.Event()
        self._stopping = False
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
            away = False
            try:
                await self._drain()
            except (LogUnavailable, LedgerUnavailable, RecordRefused) as error:
                away = True
                log.warning("relay_waiting", error=type(error).__name__, reason=str(error))
            if stopping:
                return
            await self._wait(AWAY_S if away else IDLE_S, early=not away)

    async def _drain(self) -> None:
        while await self._ledger.hold(ROLE, self._owner, ttl_ms=ROLE_MS):
            rows = await self._ledger.outbox(limit=ROWS)
            if rows:
                await self._log.append([record for _, record in rows])
                await self._ledger.relayed([number for number, _ in rows])
                self._meter.relayed(len(rows))
            if len(rows) < ROWS:
                break
        depth = await self._ledger.outbox_depth()
        self.full = depth > FULL
        self._meter.outbox(depth)

    async def _wait(self, seconds: float, *, early: bool) -> None:
        """Wait; ``early``: or until nudged."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        nudged = asyncio.ensure_future(self._nudged.wait())
        try:
            await asyncio.wait([sleeping, nudged] if early else [sleeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            nudged.cancel()
