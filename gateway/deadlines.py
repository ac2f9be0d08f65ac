"""
Deadlines of many who wait, by one timer.

A timer for each would be made and cancelled with every click, for 3 µs of the 100 that a click may cost.
"""

import asyncio
from collections import deque
from typing import Final

from shared.core.errors import LogUnavailable

SLACK_S: Final = 0.05
"""So much later than its deadline a wait may be ended, where one that came before it has a later one."""


class Deadlines:
    """
    Ends waits that have become too long, on one loop.

    Args:
        reason: What the error says that ends them.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._waits: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, done: asyncio.Future[None], left_s: float) -> None:
        """Let ``done`` raise `LogUnavailable`, unless it is done in so long."""
        loop, waits = asyncio.get_running_loop(), self._waits
        at = loop.time() + left_s
        while waits and waits[0][1].done():
            waits.popleft()
        if waits and at < waits[-1][0] - SLACK_S:  # The body came slowly: no other will be ended before it.
            loop.call_at(at, loop.call_soon, self._end, done)
            return
        waits.append((at, done))
        if self._timer is None:
            self._timer = loop.call_at(at, self._look)

    def _look(self) -> None:
        """End those whose time is up, and look again when the next one's is."""
        loop, waits = asyncio.get_running_loop(), self._waits
        now = loop.time()
        while waits and (waits[0][1].done() or waits[0][0] <= now):
            # One turn of the loop later: on a busy one, what is waited for may be there, and nobody told yet.
            loop.call_soon(self._end, waits.popleft()[1])
        self._timer = loop.call_at(waits[0][0], self._look) if waits else None

    def _end(self, done: asyncio.Future[None]) -> None:
        if not done.done():
            done.set_exception(LogUnavailable(self._reason))
