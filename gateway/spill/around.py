"""The way around an outage, put together: our spill, and what others left in the folder."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from gateway.bounded import at_most
from gateway.settings import SpillSettings
from gateway.spill.detour import Detour
from gateway.spill.folder import SpillFolder
from gateway.spill.orphans import Orphans
from gateway.spill.rejected import Rejected
from gateway.spill.spill import Bounds, Spill
from gateway.spill.spilled import SpillUnreadable
from shared.clock import Clock
from shared.eventlog.port import EventLog
from shared.eventlog.sqlite.file import REAL, Disk
from shared.observability.metrics import SPILL_ROWS, Metrics

MIB: Final = 1 << 20
OPEN_S: Final = 2.0
"""How long a start waits for the disk: without a spill the gateway is still of use."""

log = structlog.get_logger("cardwire.gateway")


@asynccontextmanager
async def spilling(
    settings: SpillSettings, log_url: str, event_log: EventLog, *, clock: Clock, metrics: Metrics, disk: Disk = REAL
) -> AsyncIterator[Detour | None]:
    """
    Give the way to a log with a spill beside it; ``None`` where none is set, or none is needed.

    Raises:
        ConfigError: The folder cannot be used; the text names CARDWIRE_SPILL, and an example.
    """
    if settings.folder is None:
        yield None
        return
    if log_url.startswith("sqlite:"):
        log.warning("spill_not_used", setting="CARDWIRE_SPILL", reason="a SQLite log is a file on this machine itself")
        yield None
        return
    folder = SpillFolder(Path(settings.folder))
    spill = Spill(
        folder.claim_new(clock),
        Bounds(rows=settings.max_rows, bytes=settings.max_mb * MIB),
        clock=clock,
        disk=disk,
    )
    try:
        await at_most(OPEN_S, spill.open())
    except (SpillUnreadable, TimeoutError) as error:
        # Full, most likely. With the log there, clicks are recorded all the same; and it may get better.
        log.warning("spill_cannot_be_made", file=spill.name, reason=str(error) or "the disk did not answer in time")
    metrics.set(SPILL_ROWS, 0, "orphan")
    metrics.set(SPILL_ROWS, spill.rows, "own")
    async with AsyncExitStack() as stack:
        rejected = Rejected(folder.rejected, clock=clock, metrics=metrics, disk=disk)
        stack.push_async_callback(rejected.close)
        detour = Detour(event_log, spill, rejected, clock=clock, metrics=metrics)
        stack.push_async_callback(detour.close)
        detour.start()
        orphans = Orphans(folder, event_log, rejected, clock=clock, metrics=metrics, disk=disk)
        stack.push_async_callback(orphans.close)
        orphans.start()
        yield detour
