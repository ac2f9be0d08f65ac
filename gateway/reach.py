"""Whether the log can be reached from the start: a gateway is up without it, and says so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from gateway.bounded import at_most
from shared.clock import Clock
from shared.core.errors import LogUnavailable

FIRST_S: Final = 3.0
"""How long a log may take to be there before anything is said: brokers that are started beside us take as long."""

AGAIN_S: Final = 1.0
ASKED_S: Final = 10.0

log = structlog.get_logger("cardwire.gateway")


class Reachable(Protocol):
    """What is asked of a log."""

    async def ready(self) -> bool:
        """Say whether an append would be taken now."""

    async def differences(self, topics: Sequence[str]) -> Sequence[str]:
        """Return what of the topics is missing; raises `LogUnavailable` with why nobody knows."""


@asynccontextmanager
async def telling(event_log: Reachable, topic: str, *, clock: Clock) -> AsyncIterator[None]:
    """
    Tell once that the log is not there soon after the start, and once when it is; nothing where all is well.

    What happens later is told by those who append.
    """
    task = asyncio.create_task(_tell(event_log, topic, clock), name="cardwire-reach")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _tell(event_log: Reachable, topic: str, clock: Clock) -> None:
    await clock.sleep(FIRST_S)
    if await event_log.ready():
        return
    reason = await _reason(event_log, topic)
    log.warning("log_away", setting="CARDWIRE_LOG", reason=reason, hint="/readyz says whether clicks are recorded")
    while not await event_log.ready():
        await clock.sleep(AGAIN_S)
    log.info("log_there")


async def _reason(event_log: Reachable, topic: str) -> str:
    try:
        found = await at_most(ASKED_S, event_log.differences([topic]))
    except (LogUnavailable, OSError) as error:  # a TimeoutError is an OSError
        return str(error) or "it gave no answer in time"
    return "; ".join(found) or "it takes no records"
