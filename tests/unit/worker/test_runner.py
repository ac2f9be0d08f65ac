"""Calls of users' functions: on a loop of their own, under deadlines, whatever they do there."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from shared.app.calls import RegisteredCall, make_call
from shared.core.json_text import JsonText
from worker.calling.came import Broke, Came
from worker.calling.runner import Runner
from worker.calling.thread import CallThread


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


async def part_that_exits() -> None:
    """Exit, as a library may that takes itself for the program."""
    sys.exit("enough")


async def exits_in_a_part(args: Any, *, idempotency_key: str) -> None:
    """Let a part of it exit."""
    await asyncio.gather(part_that_exits())


async def exits_in_a_task(args: Any, *, idempotency_key: str) -> None:
    """Let a task of its own exit."""
    await asyncio.create_task(part_that_exits())


async def cancels_itself(args: Any, *, idempotency_key: str) -> None:
    """Cancel all there is, itself too."""
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(600)


class Odd(dict[str, int]):
    """A dictionary that raises, whoever looks."""

    def items(self) -> Any:
        """Raise."""
        raise KeyError("words")


@pytest.mark.parametrize("breaks", [exits_in_a_part, exits_in_a_task, cancels_itself])
async def test_a_function_that_ends_more_than_itself_fails_alone(runner: Runner, breaks: Callable[..., Any]) -> None:
    """The call fails, what waits beside it comes back, and the next ones are made."""
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    async def wait(args: Any, *, idempotency_key: str) -> int:
        loop.call_soon_threadsafe(begun.set)
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:  # by the one that cancels all
            return 1
        return 1

    beside = asyncio.ensure_future(runner.call(registered(wait), JsonText("{}"), "key"))
    await asyncio.wait_for(begun.wait(), 10)
    broke = await runner.call(registered(breaks), JsonText("{}"), "key")
    assert isinstance(broke, Broke)
    assert ("raised", False) == (broke.reason, broke.is_final)
    assert "words" not in broke.text
    assert Came(value=JsonText("1")) == await beside
    assert Came(value=JsonText("1")) == await runner.call(registered(wait), JsonText("{}"), "key")
    assert 0 == runner.stuck


async def test_a_function_that_stops_its_loop_stops_nothing(runner: Runner) -> None:
    """It comes back, and so do the next ones, as long as nobody else ends the loop."""

    async def stop(args: Any, *, idempotency_key: str) -> int:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return 1

    for _ in range(2):
        assert Came(value=JsonText("1")) == await runner.call(registered(stop), JsonText("{}"), "key")


async def test_a_thread_that_has_ended_is_replaced() -> None:
    """Whatever ended it: the next call has a thread and a loop of its own, and to stop the old one is no error."""
    threads = list[CallThread]()

    async def work(args: Any, *, idempotency_key: str) -> int:
        return 1

    def made() -> CallThread:
        threads.append(CallThread())
        return threads[-1]

    running = Runner(thread=made)
    for number in (1, 2):
        for _ in range(2):
            assert Came(value=JsonText("1")) == await running.call(registered(work), JsonText("{}"), "key")
        assert number == len(threads)
        threads[-1].stop(wait_s=10)
    threads[0].stop()
    running.close()


async def test_a_value_that_cannot_be_looked_at_is_no_json(runner: Runner) -> None:
    """Whatever it raises: it would be the same the next time."""

    async def work(args: Any, *, idempotency_key: str) -> Any:
        return Odd(a=1)

    broke = await runner.call(registered(work), JsonText("{}"), "key")
    assert Broke(reason="unfit", text="work returned what is no JSON", is_final=True) == broke


async def test_a_function_that_exits_while_it_cleans_up_does_not_keep_the_others_from_it() -> None:
    """A worker that stops ends all that is under way, and its thread."""
    running, loop = Runner(), asyncio.get_running_loop()
    begun, ended = asyncio.Semaphore(0), asyncio.Event()

    async def exit_late(args: Any, *, idempotency_key: str) -> None:
        loop.call_soon_threadsafe(begun.release)
        try:
            await asyncio.create_task(asyncio.sleep(600))
        finally:
            await asyncio.create_task(part_that_exits())

    async def clean_up(args: Any, *, idempotency_key: str) -> None:
        loop.call_soon_threadsafe(begun.release)
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0.05)
            loop.call_soon_threadsafe(ended.set)

    both = [asyncio.ensure_future(running.call(registered(f), JsonText("{}"), "key")) for f in (exit_late, clean_up)]
    for _ in both:
        await asyncio.wait_for(begun.acquire(), 10)
    running.close()
    await asyncio.wait_for(ended.wait(), 10)
    await asyncio.wait(both, timeout=10)
    assert all(task.done() for task in both)


async def test_with_too_many_hanging_threads_the_process_has_to_start_afresh(runner: Runner) -> None:
    """Whoever blocks again and again does not fill the process with threads; the line names it."""
    free = threading.Event()

    async def block(args: Any, *, idempotency_key: str) -> None:
        free.wait(30)

    for _ in range(9):
        assert runner.too_many() is None
        await runner.call(registered(block, timeout_s=0.001), JsonText("{}"), "key")
    hang = runner.too_many()
    free.set()
    assert hang is not None
    assert str(hang).startswith("9 threads hang in functions of @app.call (late were: work): expected functions that ")
    async with asyncio.timeout(10):
        while runner.too_many():  # noqa: ASYNC110 -- a thread ends without telling anybody
            await asyncio.sleep(0.01)
