"""
When a process may open no more files, it accepts no connections.

asyncio then tries the listening socket as often as its backlog is long, a thousand times within a second, writes an
error with a traceback each time, and goes on by itself a second later. Here that becomes one line in a while.
"""

import asyncio
import errno
from typing import Any, Final

import structlog

from shared.clock import Clock

EVERY_S: Final = 10.0

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What asyncio waits out. The process, or the whole machine, has all the files or memory that it may have."""

log = structlog.get_logger("cardwire.gateway")


class Starved:
    """An exception handler of an event loop: tells at most once in ``every_s`` that no connection can be accepted."""

    def __init__(self, clock: Clock, *, every_s: float = EVERY_S) -> None:
        self._clock, self._every_s = clock, every_s
        self._told_at = float("-inf")
        self._before: Any = None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Be the loop's handler; what is not about accepting goes to the one before."""
        self._before = loop.get_exception_handler()
        loop.set_exception_handler(self)

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        match context:
            case {"exception": OSError() as error, "socket": _} if error.errno in EXHAUSTED:
                self._tell(error)
            case _ if self._before is not None:
                self._before(loop, context)
            case _:
                loop.default_exception_handler(context)

    def _tell(self, error: OSError) -> None:
        now = self._clock.monotonic()
        if now - self._told_at >= self._every_s:
            self._told_at = now
            log.error("connections_wait", reason=error.strerror, error=errno.errorcode.get(error.errno or 0))
