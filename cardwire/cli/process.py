"""Run one process until it is told to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, TypeVar

Running = TypeVar("Running")

STOPPED_BY: Final = (signal.SIGTERM, signal.SIGINT)
PARENT_CHECK_S: Final = 1.0


def run(main: Coroutine[Any, Any, None], *, fast: bool = True) -> None:
    """
    Run ``main`` on an event loop of its own; SIGTERM and SIGINT cancel it, and it then ends without an error.

    Args:
        fast: On uvloop, where there is one: for processes that call. Those that are called are better off without:
            it accepts one new connection in each turn of its loop, so a burst of them would wait behind everything
            else (docs/adr/0020).
    """
    with asyncio.Runner(loop_factory=_fast_loop() if fast else None) as runner:
        runner.run(_cancelled_by_signals(main))


async def serve(
    process: AbstractAsyncContextManager[Running],
    *,
    announce: Callable[[Running], Awaitable[None]],
    ended: Callable[[Running], Awaitable[None]],
    parent: int | None,
) -> None:
    """
    Run a process until a signal, its own end, or the end of its parent; signals while it starts give the start up.

    Args:
        announce: Says that it is ready, when it is; it need not be when it runs.
        ended: Returns or raises when it ends by itself.
        parent: The process without which this one shall not run on.
    """
    stop = asyncio.Event()
    async with process as running, asyncio.TaskGroup() as group:
        _on_signals(stop.set)
        announcing = group.create_task(_until(announce(running)))
        waiting = [group.create_task(stop.wait()), group.create_task(_until(ended(running)))]
        if parent is not None:
            waiting.append(group.create_task(_orphaned(parent)))
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in (announcing, *waiting):
            task.cancel()


async def _until(end: Awaitable[None]) -> bool:
    await end
    return True


async def _orphaned(parent: int) -> bool:
    """Return when our parent has gone without a word: nobody would ever stop us, or start us again."""
    while os.getppid() == parent:  # noqa: ASYNC110 -- the kernel sets no event of ours
        await asyncio.sleep(PARENT_CHECK_S)
    return True


async def _cancelled_by_signals(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(main)
    _on_signals(task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def _on_signals(stop: Callable[[], object]) -> None:
    """Call ``stop`` at the first signal; from the second on, what is closing is left to close."""
    loop = asyncio.get_running_loop()

    def once() -> None:
        for each in STOPPED_BY:
            loop.add_signal_handler(each, lambda: None)
        stop()

    for each in STOPPED_BY:
        loop.add_signal_handler(each, once)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
