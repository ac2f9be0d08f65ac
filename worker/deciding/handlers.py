"""
User code, in a thread of its own, under deadlines.

A batch is decided in one thread, so that the event loop never waits for a handler. A handler that hangs cannot
be stopped; it can be left behind. Then the thread is abandoned with it, the calls that did come back are
replayed from a list (deciding is pure, so the same draft results), the hanging one counts as a missed deadline,
and a fresh thread takes the next batch.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from shared.app.decide import place_of
from shared.app.handler import HANDLER_S
from shared.core.errors import CardwireError, HandlerError
from worker.deciding.draft import Draft
from worker.deciding.judge import Call, MissedDeadline

BATCH_S: Final = 1.0
"""How much time handlers may take together before what is decided is committed."""

STUCK: Final = 8
"""How many threads may hang in user code before the process ends itself, to be started afresh."""

_T = TypeVar("_T")
Deciding = Callable[[Call], Draft]


class TooManyStuck(CardwireError):
    """More threads hang in user code than a process should carry."""


class Undecided(CardwireError):
    """
    Deciding raised what no handler did: a mistake of ours, or of a library's, that one of the records brings out.

    The text names its type and its place, and nothing of what it said.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"could not be decided: {type(error).__name__}{place_of(error)}")


class _Abandoned(BaseException):
    """Ends a thread whose batch was taken over while its handler hung; user code cannot catch it by accident."""


@dataclass(slots=True)
class _Calls:
    """The calls of one batch, and a lock that settles who was first: the step's return or its deadline."""

    handler_s: float
    batch_s: float
    returned: list[object] = field(default_factory=list)
    used: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _since: float | None = None
    _abandoned: bool = False

    def __call__(self, step: Callable[[], _T], /) -> _T:
        """Call user code; the calling thread may be abandoned meanwhile."""
        began = time.monotonic()
        with self._lock:
            self._since = began
        try:
            result: _T | HandlerError = step()
        except HandlerError as error:
            result = error
        except BaseException as error:  # noqa: BLE001 - user code; nobody's Ctrl-C ends up in this thread
            result = HandlerError(f"{type(error).__name__} in a handler{place_of(error)}")
            result.__cause__ = error
        with self._lock:
            if self._abandoned:
                raise _Abandoned
            self._since = None
            self.used += time.monotonic() - began
            self.returned.append(result)
        return _raised(result)

    @property
    def spent(self) -> bool:
        """Say whether the batch's time is used up."""
        return self.used >= self.batch_s

    def left(self) -> float:
        """Return how long to wait before looking again (s)."""
        with self._lock:
            return self.handler_s if self._since is None else self._since + self.handler_s - time.monotonic()

    def abandon(self) -> bool:
        """Give the batch up if its present step is over its deadline; from then on it cannot return."""
        with self._lock:
            overdue = self._since is not None and time.monotonic() - self._since >= self.handler_s
            self._abandoned = overdue
            return overdue


@dataclass(slots=True)
class _Replay:
    """The steps of an abandoned batch once more: what came back, then one missed deadline, then no more time."""

    returned: Sequence[object]
    at: int = 0

    def __call__(self, step: Callable[[], _T], /) -> _T:  # noqa: ARG002 - user code is not called again
        self.at += 1
        if self.at > len(self.returned):
            raise MissedDeadline("the handler did not return in time")
        return _raised(cast("_T | HandlerError", self.returned[self.at - 1]))

    @property
    def spent(self) -> bool:
        return self.at > len(self.returned)


def _raised(result: _T | HandlerError) -> _T:
    if isinstance(result, HandlerError):
        raise result
    return result


class HandlerThreads:
    """Runs the deciding of batches, one at a time, and leaves hanging threads behind."""

    def __init__(self, *, handler_s: float = HANDLER_S, batch_s: float = BATCH_S) -> None:
        self._handler_s, self._batch_s = handler_s, batch_s
        self._thread: _Thread | None = None
        self._left_behind: list[_Thread] = []

    async def run(self, deciding: Deciding) -> Draft:
        """
        Return the draft of a batch, or of its first part if a handler hung or the time was used up.

        Deciding is called once with live calls, and once more with their replay if a handler hangs.

        Raises:
            Undecided: Deciding raised something.
        """
        calls = _Calls(self._handler_s, self._batch_s)
        self._thread = thread = self._thread or _Thread()
        future = thread.submit(deciding, calls)
        while True:
            await asyncio.wait([future], timeout=max(calls.left(), 0.001))
            if future.done():
                return future.result()
            if calls.abandon():
                thread.close()
                self._left_behind.append(thread)
                self._thread = None
                return _drafted(deciding, _Replay(calls.returned))

    def check(self) -> None:
        """
        Look after the threads that were left behind; call it when nothing is at stake, after a commit.

        Raises:
            TooManyStuck: More than eight of them still hang.
        """
        self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
        if len(self._left_behind) > STUCK:
            raise TooManyStuck(f"{len(self._left_behind)} threads hang in handlers; the process must start afresh")

    @property
    def stuck(self) -> int:
        """How many threads hang in user code, as of the last check."""
        return len(self._left_behind)

    def close(self) -> None:
        """Let the thread end when it has nothing more to do. Hanging ones end with the process."""
        if self._thread is not None:
            self._thread.close()
            self._thread = None


_Work = tuple[Deciding, _Calls, asyncio.AbstractEventLoop, "asyncio.Future[Draft]"]


class _Thread:
    """A daemon thread that works off a queue: a hanging handler must not keep the process from ending."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="cardwire-handlers", daemon=True)
        self._thread.start()

    def submit(self, deciding: Deciding, calls: _Calls) -> "asyncio.Future[Draft]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Draft] = loop.create_future()
        self._work.put((deciding, calls, loop, future))
        return future

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            deciding, calls, loop, future = work
            try:
                draft = _drafted(deciding, calls)
            except _Abandoned:
                return
            except Undecided as error:
                _hand_over(loop, future, error)
            else:
                _hand_over(loop, future, draft)


def _drafted(deciding: Deciding, call: Call) -> Draft:
    try:
        return deciding(call)
    except _Abandoned:
        raise
    except BaseException as error:
        raise Undecided(error) from error


def _hand_over(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Draft]", result: Draft | Undecided) -> None:
    def settle() -> None:
        if future.done():
            return
        if isinstance(result, Undecided):
            future.set_exception(result)
        else:
            future.set_result(result)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return  # The loop is closed: nobody waits for this batch any more.
