"""
Secrets that change while a process runs: settings are read again every few seconds, away from the event loop.

Guarantees
    What is new counts from one moment to the next, for everything that begins after it. Settings that cannot be read,
    or contradict each other, change nothing: the last ones that could be used stay in force, and one line says so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import structlog

from shared.clock import Clock
from shared.core.errors import ConfigError

REREAD_S: Final = 3.0
"""Short enough to wait for at a console, long enough to cost nothing."""

S = TypeVar("S")

log = structlog.get_logger("cardwire")


@asynccontextmanager
async def rereading(
    read: Callable[[], S], known: S, renew: Callable[[S], None], *, clock: Clock, every_s: float = REREAD_S
) -> AsyncIterator[None]:
    """
    Read settings again and again until the block is left.

    Args:
        read: Reads them; may block. Raises `ConfigError`.
        known: What is in force.
        renew: Told what was read, whenever it differs from what was read before.
    """
    task = asyncio.create_task(_keep_reading(read, known, renew, clock, every_s), name="cardwire-reread")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep_reading(
    read: Callable[[], S], known: S, renew: Callable[[S], None], clock: Clock, every_s: float
) -> None:
    problem: str | None = None
    while True:
        await clock.sleep(every_s)
        try:
            found = await asyncio.to_thread(read)
            if found != known:
                renew(found)
                log.info("settings_reread")
            known = found
        except Exception as error:  # noqa: BLE001 -- whatever it is, what is in force stays so
            told = str(error) if isinstance(error, ConfigError) else type(error).__name__
            if told != problem:
                log.warning("settings_kept", reason=told)
            problem = told
        else:
            problem = None
