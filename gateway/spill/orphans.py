"""
Spill files that other gateways left behind: crashed ones, and those that were stopped while the log was away.

One after the other is claimed, drained into the log and deleted, beside our own work: our clicks never wait for them,
and our breaker knows nothing of them. A click that lay in one may therefore be logged behind a later one of its card.

Guarantees
    Of several gateways that look at once, one drains each file. A file that cannot be read is left where it is, and
    told. What was forwarded is not forwarded again while this process lives, even where nothing can be deleted.
    *Crash*: the file is an orphan again, and what of it was forwarded and not yet deleted is forwarded again.
"""

import asyncio
from collections import deque
from typing import Final

import structlog

from gateway.spill.breaker import Breaker
from gateway.spill.detour import FORWARD_S
from gateway.spill.folder import Claim, SpillFolder
from gateway.spill.forward import Forwarder
from gateway.spill.rejected import Rejected
from gateway.spill.spill import Bounds, Spill
from gateway.spill.spilled import SpillUnreadable
from shared.clock import Clock
from shared.core.errors import LogUnavailable
from shared.eventlog.port import EventLog
from shared.eventlog.sqlite.file import REAL, Disk
from shared.observability.metrics import SPILL_BYTES, SPILL_ROWS, Metrics

LOOK_S: Final = 10.0
"""How often is looked for them: a gateway that is stopped in an outage leaves its file to those that stay."""

_NOTHING: Final = Bounds(rows=0, bytes=0)

log = structlog.get_logger("cardwire.gateway")


class Orphans:
    """Drains what others left in the folder, for as long as it runs."""

    def __init__(
        self,
        folder: SpillFolder,
        event_log: EventLog,
        rejected: Rejected,
        *,
        clock: Clock,
        metrics: Metrics,
        disk: Disk = REAL,
    ) -> None:
        self._folder, self._log, self._rejected = folder, event_log, rejected
        self._clock, self._metrics, self._disk = clock, metrics, disk
        self._begun: deque[Spill] = deque()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what is not drained stays. Never raises."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for spill in self._begun:
            await spill.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:
                log.exception("spill_adoption_failed")
            await self._clock.sleep(LOOK_S)

    async def _look(self) -> None:
        for _ in range(len(self._begun)):
            await self._bring(self._begun.popleft())
        # Our own file is locked, too: by us, through another descriptor, so it is never among them.
        for claim in self._folder.orphans():
            await self._adopt(claim)
        await self._rejected.retry()

    async def _adopt(self, claim: Claim) -> None:
        await self._bring(Spill(claim, _NOTHING, clock=self._clock, disk=self._disk), is_new=True)

    async def _bring(self, spill: Spill, *, is_new: bool = False) -> None:
        """Drain a file and let go of it; one of which only we know how far we got is kept for the next look."""
        try:
            if is_new:
                await spill.open()
            if spill.rows:
                log.warning("spill_adopted", file=spill.name, rows=spill.rows)
                await self._drain(spill)
                log.info("spill_drained", file=spill.name)
        except SpillUnreadable as error:
            log.warning("spill_unreadable", file=spill.name, reason=str(error))
        finally:
            if spill.rows and not spill.is_trimmed:
                self._begun.append(spill)
            else:
                await spill.close()

    async def _drain(self, spill: Spill) -> None:
        forwarder = Forwarder(spill, self._log, self._rejected, clock=self._clock, metrics=self._metrics)
        pauses = Breaker()
        while spill.rows:
            try:
                await forwarder.forward(within_s=FORWARD_S)
                pauses.got_through()
            except SpillUnreadable:
                raise
            except LogUnavailable:
                pauses.failed()
                await self._clock.sleep(pauses.pause_s)
            finally:
                self._metrics.set(SPILL_ROWS, spill.rows, "orphan")
                self._metrics.set(SPILL_BYTES, spill.bytes, "orphan")
