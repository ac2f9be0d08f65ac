"""Calls of users' functions: on a loop of their own, under deadlines, whatever they do there."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from shared.app.calls import RegisteredCall, make_call
from shared.core.json_text import JsonText
from worker.calling.runner import Broke, Came, Runner


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A runner that is soon out of patience."""
    running = Runner(grace_s=0.2)
    yield running
    running.close()


def registered(function: Callable[..., Any], *, timeout_s: float = 5) -> RegisteredCall:
    """Return a function as it is registered."""
    return make_call(function, name="work", timeout_s=timeout_s, attempts=1)


async def test_a_function_runs_in_another_thread_and_returns_json(runner: Runner) -> None:
    """The worker's own loop is not where it waits."""

    async def work(args: Any, *, idempotency_key: str) -> Any:
        await asyncio.sleep(0)
        return {"args": args, "key": idempotency_key, "here": threading.current_thread() is threading.main_thread()}

    came = await runner.call(registered(work), JsonText('{"n":1}'), "key")
    assert Came(value=JsonText('{"args":{"n":1},"key":"key","here":false}')) == came


async def test_many_calls_wait_together(runner: Runner) -> None:
    """One loop carries them all."""
    gathered = asyncio.Event()
    inside = list[int]()

    async def work(args: Any, *, idempotency_key: str) -> int:
        inside.append(args)
        if len(inside) == 10:
            gathered.set()
        await gathered.wait()
        return len(inside)

    came = await asyncio.gather(*(runner.call(registered(work), JsonText(str(n)), "key") for n in range(10)))
    assert [Came(value=JsonText("10"))] * 10 == came


async def test_a_function_that_blocks_its_loop_costs_that_thread_alone(runner: Runner) -> None:
    """It is left behind, and the next call is made in a fresh one; when it comes back, its thread ends."""
    free = threading.Event()

    async def block(args: Any, *, idempotency_key: str) -> None:
        free.wait(30)

    async def work(args: Any, *, idempotency_key: str) -> int:
        return 1

    late = await runner.call(registered(block, timeout_s=0.05), JsonText("{}"), "key")
    assert Broke(reason="timeout", text="work did not return within 0.05 s") == late
    assert 1 == runner.stuck
    assert Came(value=JsonText("1")) == await runner.call(registered(work), JsonText("{}"), "key")
    free.set()
    async with asyncio.timeout(10):
        while runner.stuck:  # noqa: ASYNC110 -- a thread ends without telling anybody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("error", [RuntimeError("words"), SystemExit(3), asyncio.CancelledError(), TimeoutError()])
async def test_whatever_a_function_raises_is_its_failure(runner: Runner, error: BaseException) -> None:
    """Its type and place are told, and nothing of its words; the loop lives on."""

    async def work(args: Any, *, idempotency_key: str) -> None:
        raise error

    broke = await runner.call(registered(work), JsonText("{}"), "key")
    assert isinstance(broke, Broke)
    assert ("raised", False) == (broke.reason, broke.is_final)
    assert broke.text.startswith(f"{type(error).__name__} in work (test_runner.py:")
    again = await runner.call(registered(work), JsonText("{}"), "key")
    assert broke == again


async def test_a_call_that_is_given_up_is_cancelled_in_its_thread(runner: Runner) -> None:
    """A worker that stops ends what it has begun."""
    loop, begun, ended = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    async def work(args: Any, *, idempotency_key: str) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            await asyncio.sleep(600)
        finally:
            loop.call_soon_threadsafe(ended.set)

    calling = asyncio.ensure_future(runner.call(registered(work), JsonText("{}"), "key"))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await asyncio.wait_for(ended.wait(), 10)


async def test_with_too_many_stuck_threads_calls_are_not_made(runner: Runner) -> None:
    """Whoever blocks again and again does not fill the process with threads."""
    free = threading.Event()

    async def block(args: Any, *, idempotency_key: str) -> None:
        free.wait(30)

    for _ in range(9):
        await runner.call(registered(block, timeout_s=0.001), JsonText("{}"), "key")
    broke = await runner.call(registered(block), JsonText("{}"), "key")
    free.set()
    assert Broke(reason="stuck", text="more than 8 threads hang in calls") == broke
