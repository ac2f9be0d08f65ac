"""
Keep a few processes running: what `cardwire run` does, and `cardwire gateway` with several.

A process that ends is started again, after a pause that doubles while it keeps ending early. One that cannot be
started is given up, and with it the whole command: half a Cardwire would take clicks and never act on them, or act
on none. When the command is told to stop, it tells its processes, waits, and kills only what does not listen.
"""

import asyncio
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Never, assert_never

from shared.clock import Clock
from shared.core.errors import CardwireError

STEADY_S: Final = 30.0
"""A process that ran for so long had started well; its earlier failures are forgotten."""

FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 30.0
MAX_FAILURES: Final = 5
"""After so many early ends in a row nothing is going to change by itself."""

STOP_S: Final = 30.0
"""How long a process may take to finish what it is doing."""

REFUSED: Final = 2
"""The exit code of a process whose settings are refused."""


class GivenUp(CardwireError):
    """A process cannot be kept running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process to keep: what it is called in lines for people, its command and its whole environment."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Start it again after a pause; ``failures`` is how many early ends in a row this was."""

    in_s: float
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAgain:
    """Do not start it again, for this reason."""

    reason: str


def after_exit(code: int, *, ran_s: float, failures: int) -> Again | NotAgain:
    """
    Decide what follows the end of a process.

    The nth early end in a row is followed by a pause of 0.5 s · 2ⁿ⁻¹, at most 30 s.

    Args:
        code: Its exit code; negative: the signal that ended it.
        ran_s: How long it had run.
        failures: How many times in a row it had ended early before.
    """
    if code == REFUSED:
        return NotAgain(reason="its settings are refused")
    failures = 1 if ran_s >= STEADY_S else failures + 1
    if failures > MAX_FAILURES:
        return NotAgain(reason=f"it ended {failures} times soon after its start")
    return Again(in_s=min(FIRST_PAUSE_S * 2 ** (failures - 1), MAX_PAUSE_S), failures=failures)


async def supervise(children: Sequence[Child], *, clock: Clock, tell: Callable[[str], None]) -> Never:
    """
    Keep all children running until cancelled, then stop them.

    Args:
        tell: Given a line for people at every unexpected end.

    Raises:
        GivenUp: One of them cannot be kept running; all others are stopped.
    """
    async with asyncio.TaskGroup() as group:
        for child in children:
            group.create_task(keep(child, _run, clock=clock, tell=tell))
    raise GivenUp("there is nothing to keep running")


async def keep(
    child: Child, run: Callable[[Child], Awaitable[int]], *, clock: Clock, tell: Callable[[str], None]
) -> Never:
    """
    Keep one process running until cancelled.

    Args:
        run: Starts it and returns its exit code; when cancelled, stops it first.
        tell: Given a line for people at every unexpected end.

    Raises:
        GivenUp: It cannot be kept running.
    """
    failures = 0
    while True:
        began = clock.monotonic()
        code = await run(child)
        match after_exit(code, ran_s=clock.monotonic() - began, failures=failures):
            case Again() as again:
                failures = again.failures
                tell(f"the {child.name} ended ({_meaning(code)}); it is started again in {again.in_s:g} s")
                await clock.sleep(again.in_s)
            case NotAgain() as never:
                raise GivenUp(f"the {child.name} cannot be kept running: {never.reason} ({_meaning(code)}); see above")
            case _ as unreachable:
                assert_never(unreachable)


async def _run(child: Child) -> int:
    async with running(child.command, child.env) as process:
        return await process.wait()


@asynccontextmanager
async def running(
    command: Sequence[str], env: Mapping[str, str], *, pass_fds: Sequence[int] = ()
) -> AsyncIterator[Process]:
    """Start a process; if it still runs when the block is left, stop it first."""
    process = await asyncio.create_subprocess_exec(*command, env=dict(env), stdin=DEVNULL, pass_fds=pass_fds)
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _meaning(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
