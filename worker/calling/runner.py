"""
Calls the user's asynchronous functions, on a loop in a thread of its own.

Nothing that such a function does holds up the worker: one that waits, waits there; one that blocks its loop blocks only
other calls, and only until the first of them is over its time. Then the thread is left behind with it, and a fresh one
takes the next calls. One that exits, or stops its loop, ends itself: the loop runs until we end it, and where it was
closed all the same, a fresh thread takes the next call.
"""

import asyncio
import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from shared.app.calls import RegisteredCall
from shared.core.effects.returning import ANSWER_BYTES
from shared.core.errors import CallFailed, CardwireError
from shared.core.json_text import JsonText, json_text, json_value
from worker.calling.came import Broke, Came
from worker.calling.thread import CallThread

GRACE_S: Final = 2.0
"""A function that waits as it should ends at its time; one that is not over so long after it blocks its loop."""

STUCK: Final = 8
"""How many threads may hang in calls before the process ends itself, to be started afresh."""

CLOSE_S: Final = 1.0
"""How long functions that are cancelled may take to clean up, when the worker stops."""

ERROR_CHARS: Final = 1_000


class TooManyHang(CardwireError):
    """More threads hang in calls than a process should carry."""


class Runner:
    """Calls functions, many at a time."""

    def __init__(self, *, grace_s: float = GRACE_S, thread: Callable[[], CallThread] = CallThread) -> None:
        self._grace_s, self._fresh = grace_s, thread
        self._thread: CallThread | None = None
        self._left_behind: list[tuple[CallThread, str]] = []

    async def call(self, call: RegisteredCall, args: JsonText, key: str) -> Came | Broke:
        """Return what one attempt came to. If this is cancelled, so is the function."""
        thread = self._thread = self._serving() or self._fresh()
        future = thread.submit(_attempt(call, args, key))
        try:
            async with asyncio.timeout(call.timeout_s + self._grace_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            self._abandon(thread, call.name)
            return _late(call)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if thread.is_told or (me is not None and me.cancelling()):
                raise
            return Broke(reason="raised", text=f"{call.name} cancelled itself")

    @property
    def stuck(self) -> int:
        """How many threads hang in user code."""
        self._left_behind = [(thread, name) for thread, name in self._left_behind if thread.is_alive]
        return len(self._left_behind)

    def too_many(self) -> TooManyHang | None:
        """Return why the process has to start afresh, with the names of what was late where a thread hangs."""
        if self.stuck <= STUCK:
            return None
        names = ", ".join(sorted({name for _, name in self._left_behind}))
        return TooManyHang(
            f"{len(self._left_behind)} threads hang in functions of @app.call (late were: {names}): expected functions "
            "that never block their loop, and end when they are cancelled; the process must start afresh"
        )

    def close(self) -> None:
        """End what is under way, and the thread. Hanging ones end with the process."""
        if self._thread is not None:
            self._thread.stop(wait_s=CLOSE_S)
            self._thread = None

    def _serving(self) -> CallThread | None:
        return self._thread if self._thread is not None and self._thread.serves else None

    def _abandon(self, thread: CallThread, name: str) -> None:
        if self._thread is thread:
            self._thread = None
            thread.stop()
            self._left_behind.append((thread, name))


async def _attempt(call: RegisteredCall, args: JsonText, key: str) -> Came | Broke:
    bound = asyncio.timeout(call.timeout_s)
    try:
        async with bound:
            value = await call.function(json_value(args), idempotency_key=key)
        return _told(call, value)
    except CallFailed as failed:
        return Broke(reason="refused", text=_fit(str(failed)), is_final=True)
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        if isinstance(error, TimeoutError) and bound.expired():
            return _late(call)
        return Broke(reason="raised", text=f"{type(error).__name__} in {call.name}{_where(error)}")


def _told(call: RegisteredCall, value: Any) -> Came | Broke:
    try:
        if inspect.iscoroutine(value):
            value.close()
        text = json_text(value)
    except Exception:  # noqa: BLE001 - an object of the user's is looked at, and may raise anything
        return Broke(reason="unfit", text=f"{call.name} returned what is no JSON", is_final=True)
    size = len(text.encode())
    if size > ANSWER_BYTES:
        told = f"{call.name} returned {size} bytes: at most {ANSWER_BYTES}"
        return Broke(reason="unfit", text=told, is_final=True)
    return Came(value=text)


def _late(call: RegisteredCall) -> Broke:
    return Broke(reason="timeout", text=f"{call.name} did not return within {call.timeout_s:g} s")


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def _fit(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:ERROR_CHARS]
