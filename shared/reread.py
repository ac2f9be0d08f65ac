"""
Secrets that change while a process runs: settings are read again every few seconds, away from the event loop.

Guarantees
    What is new counts from one moment to the next, for everything that begins after it. Settings that cannot be read,
    or contradict each other, change nothing: the last ones that could be used stay in force, and one line says so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar

import structlog

from shared.clock import Clock
from shared.core.errors import ConfigError
from shared.settings.changed import changed

REREAD_S: Final = 3.0
"""Short enough to wait for at a console, long enough to cost nothing."""

AGAIN_S: Final = 0.2
"""How soon after one reading out of turn another may follow. Shorter than a process takes to start: so what a gateway
found in a file when it started is never newer than what a worker finds that is to refuse what this gateway let in."""

WITHIN_S: Final = 1.0
"""How long whoever asked for a reading out of turn waits for it."""

S = TypeVar("S")

log = structlog.get_logger("cardwire")


class Rereading:
    """
    Settings that are read again and again, one reading after the other.

    Args:
        read: Reads them; may block. Raises `ConfigError`.
        known: What is in force.
        renew: Told what was read, whenever it differs from what was read before.
        every_s: The period.
        again_s: How often `now` reads at most.
        within_s: How long it waits.
        process: Whose settings they are, for the log line: ``gateway`` or ``worker``.
    """

    def __init__(
        self,
        read: Callable[[], S],
        known: S,
        renew: Callable[[S], None],
        *,
        clock: Clock,
        every_s: float,
        again_s: float = AGAIN_S,
        within_s: float,
        process: str,
    ) -> None:
        self._once = partial(_once, _State(known=known, process=process), read, renew)
        self._clock, self._every_s, self._again_s, self._within_s = clock, every_s, again_s, within_s
        self._asked: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def keep(self) -> None:
        """Read them for ever."""
        while True:
            await self._clock.sleep(self._every_s)
            await self._once()

    async def now(self) -> None:
        """
        Read them out of turn, before something is decided for good by them: at most once in ``again_s``.

        Returns when they are read, or after ``within_s``, if the disk takes so long; never raises.
        """
        at = self._clock.monotonic()
        if self._asked is not None and at - self._asked < self._again_s:
            return
        self._asked = at
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._once(), name="cardwire-reread-now")
        await asyncio.wait({self._asking}, timeout=self._within_s)

    async def end(self) -> None:
        """Leave a reading out of turn alone."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)


@dataclass(slots=True, kw_only=True)
class _State(Generic[S]):
    known: S
    process: str
    problem: str | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@asynccontextmanager
async def rereading(
    read: Callable[[], S],
    known: S,
    renew: Callable[[S], None],
    *,
    clock: Clock,
    process: str,
    every_s: float = REREAD_S,
    within_s: float = WITHIN_S,
) -> AsyncIterator[Rereading]:
    """Read settings again and again until the block is left; its arguments are those of `Rereading`."""
    reading = Rereading(read, known, renew, clock=clock, every_s=every_s, within_s=within_s, process=process)
    task = asyncio.create_task(reading.keep(), name="cardwire-reread")
    try:
        yield reading
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await reading.end()


async def _once(state: _State[S], read: Callable[[], S], renew: Callable[[S], None]) -> None:
    async with state.turn:  # or what was read earlier could be told later
        try:
            found = await asyncio.to_thread(read)
            if found != state.known:
                renew(found)
                log.info("settings_reread", process=state.process, changed=list(changed(state.known, found)))
            state.known = found
        except Exception as error:  # noqa: BLE001 -- whatever it is, what is in force stays so
            told = str(error) if isinstance(error, ConfigError) else type(error).__name__
            if told != state.problem:
                log.warning("settings_kept", process=state.process, reason="; ".join(told.splitlines()))
            state.problem = told
        else:
            state.problem = None
