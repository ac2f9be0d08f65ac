"""
Calls the user's asynchronous functions, on a loop in a thread of its own.

Nothing that such a function does holds up the worker: one that waits, waits there; one that blocks its loop blocks only
other calls, and only until the first of them is over its time. Then the thread is left behind with it, and a fresh one
takes the next calls.
"""

import asyncio
import inspect
import threading
import traceback
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from shared.app.calls import RegisteredCall
from shared.core.effects.returning import ANSWER_BYTES
from shared.core.errors import CallFailed
from shared.core.json_text import JsonText, json_text, json_value

GRACE_S: Final = 2.0
"""A function that waits as it should ends at its time; one that is not over so long after it blocks its loop."""

STUCK: Final = 8
"""How many threads may hang in calls; with more, calls fail without being made."""

CLOSE_S: Final = 1.0
"""How long functions that are cancelled may take to clean up, when the worker stops."""

ERROR_CHARS: Final = 1_000

Reason = Literal["raised", "timeout", "refused", "unfit", "stuck"]
"""
Why a call brought nothing: it raised; it was over its time; it said so itself (`CallFailed`); it returned what is no
JSON, or too much; it was not made, because too many hang.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What a call returned."""

    value: JsonText = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broke:
    """
    Why a call brought nothing.

    Attributes:
        text: For whoever asked for the call; of an exception its type and place, and nothing that it said.
        is_final: Calling again would not help.
    """

    reason: Reason
    text: str = field(repr=False)
    is_final: bool = False


class Runner:
    """Calls functions, many at a time."""

    def __init__(self, *, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._thread: _Thread | None = None
        self._left_behind: list[_Thread] = []

    async def call(self, call: RegisteredCall, args: JsonText, key: str) -> Came | Broke:
        """Return what one attempt came to. If this is cancelled, so is the function."""
        if self.stuck > STUCK:
            return Broke(reason="stuck", text=f"more than {STUCK} threads hang in calls")
        thread = self._thread = self._thread or _Thread()
        future = thread.submit(call, args, key)
        try:
            async with asyncio.timeout(call.timeout_s + self._grace_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            self._abandon(thread)
            return _late(call)

    @property
    def stuck(self) -> int:
        """How many threads hang in user code."""
        self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
        return len(self._left_behind)

    def close(self) -> None:
        """End what is under way, and the thread. Hanging ones end with the process."""
        if self._thread is not None:
            self._thread.stop(wait_s=CLOSE_S)
            self._thread = None

    def _abandon(self, thread: "_Thread") -> None:
        if self._thread is thread:
            self._thread = None
            thread.stop()
            self._left_behind.append(thread)


class _Thread:
    """A daemon thread with a loop: a function that hangs must not keep the process from ending."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="cardwire-calls", daemon=True)
        self._thread.start()

    def submit(self, call: RegisteredCall, args: JsonText, key: str) -> "Future[Came | Broke]":
        return asyncio.run_coroutine_threadsafe(_attempt(call, args, key), self._loop)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, *, wait_s: float = 0.0) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(wait_s)

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(_end_all())
            self._loop.close()


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _attempt(call: RegisteredCall, args: JsonText, key: str) -> Came | Broke:
    bound = asyncio.timeout(call.timeout_s)
    try:
        async with bound:
            value = await call.function(json_value(args), idempotency_key=key)
    except CallFailed as failed:
        return Broke(reason="refused", text=_fit(str(failed)), is_final=True)
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        if isinstance(error, TimeoutError) and bound.expired():
            return _late(call)
        return Broke(reason="raised", text=f"{type(error).__name__} in {call.name}{_where(error)}")
    return _told(call, value)


def _told(call: RegisteredCall, value: Any) -> Came | Broke:
    if inspect.iscoroutine(value):
        value.close()
    try:
        text = json_text(value)
    except (ValueError, RecursionError):
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
