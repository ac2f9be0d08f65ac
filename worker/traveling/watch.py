"""
User code under a deadline, in a process of its own: a timer interrupts what takes too long.

The worker cannot interrupt a thread, so it leaves hanging ones behind. Here user code runs in the main thread of a
process that does nothing else, where a signal can end it: no thread is lost, and no click waits for a thread to take
it. The timer rings all the time, and looks whether anything is overdue, which costs a call nothing.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeVar

from shared.app.decide import place_of
from shared.app.handler import HANDLER_S
from shared.core.errors import HandlerError
from worker.deciding.judge import MissedDeadline

EVERY_S: Final = 0.5
"""How often it looks."""

IN_VAIN: Final = 20
"""How often user code is interrupted that goes on all the same."""

_T = TypeVar("_T")


class _Overdue(BaseException):
    """Ends user code; it has no business catching it."""


class Watch:
    """
    Calls user code; see `worker.deciding.judge.Call`.

    Args:
        handler_s: How long one call may take.
        given_up: Called when user code cannot be ended.
    """

    spent: Final = False

    def __init__(self, *, handler_s: float = HANDLER_S, given_up: Callable[[], None] | None = None) -> None:
        self._handler_s, self._given_up = handler_s, given_up
        self._since: float | None = None
        self._rings = 0

    def __call__(self, step: Callable[[], _T], /) -> _T:
        self._rings = 0
        self._since = time.monotonic()
        try:
            result = step()
        except BaseException as error:
            self._since = None
            if self._rings:
                raise MissedDeadline("the handler did not return in time") from None
            if isinstance(error, HandlerError):
                raise
            raise HandlerError(f"{type(error).__name__} in a handler{place_of(error)}") from error
        self._since = None
        if self._rings:
            raise MissedDeadline("the handler did not return in time")
        return result

    @contextmanager
    def ringing(self, *, every_s: float = EVERY_S) -> Iterator[None]:
        """Look after calls as long as the block lasts; in the main thread."""
        before = signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, every_s, every_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._since is None or time.monotonic() - self._since < self._handler_s:
            return
        self._rings += 1
        if self._rings > IN_VAIN and self._given_up is not None:
            self._given_up()
        raise _Overdue
