"""
A thread with a loop, in which users' functions run.

Nothing that they do ends it before it is told to: asyncio lets a `SystemExit` of any task out of its loop, and whoever
runs in a loop may stop it. Only who closes it from another thread ends it.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import structlog

_T = TypeVar("_T")

log = structlog.get_logger("cardwire.worker")


class CallThread:
    """A daemon thread with a loop: a function that hangs must not keep the process from ending."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="cardwire-calls", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    @property
    def serves(self) -> bool:
        """Whether it takes calls."""
        return self.is_alive and not self._loop.is_closed()

    @property
    def is_told(self) -> bool:
        """Whether it was told to end, and so cancels what is under way."""
        return self._told.is_set()

    def submit(self, attempt: Coroutine[Any, Any, _T]) -> "Future[_T]":
        """
        Run a coroutine in the loop.

        Raises:
            RuntimeError: The loop was closed just now.
        """
        try:
            return asyncio.run_coroutine_threadsafe(attempt, self._loop)
        except RuntimeError:
            attempt.close()
            raise

    def stop(self, *, wait_s: float = 0.0) -> None:
        """Cancel what is under way and end, and wait for that so long."""
        self._told.set()
        with suppress(RuntimeError):  # The loop is closed: there is nothing to stop.
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(wait_s)

    def _serve(self) -> None:
        try:
            self._run_until(self._told.is_set)
            ending = self._loop.create_task(_end_all())
            ending.add_done_callback(lambda _: self._loop.stop())
            self._run_until(ending.done)
        finally:
            self._loop.close()

    def _run_until(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                log.warning("call_exits", error=type(error).__name__, hint="a function may end itself, not the worker")


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
