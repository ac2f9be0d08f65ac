import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from cardwire.cli.supervise import (
    MAX_FAILURES,
    MAX_PAUSE_S,
    STEADY_S,
    Again,
    Child,
    GivenUp,
    NotAgain,
    after_exit,
    supervise,
)
from shared.clock import SystemClock


class Hurried(SystemClock):
    """The machine's clock, but nobody waits; what would have been waited is kept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


def _child(name: str, program: str, *arguments: str | Path) -> Child:
    return Child(name=name, command=[sys.executable, "-c", program, *map(str, arguments)], env=dict(os.environ))


async def _supervised(children: Sequence[Child], told: list[str]) -> list[float]:
    clock = Hurried()
    await supervise(children, clock=clock, tell=told.append)
    return clock.slept


def test_a_process_that_ran_long_is_started_again_soon() -> None:
    """Earlier failures are forgotten."""
    assert Again(in_s=0.5, failures=1) == after_exit(-9, ran_s=STEADY_S, failures=4)


def test_the_pause_doubles_while_a_process_ends_early() -> None:
    """A broken process does not keep the machine busy."""
    pauses = [after_exit(1, ran_s=1, failures=before) for before in range(MAX_FAILURES)]
    assert [Again(in_s=0.5 * 2**n, failures=n + 1) for n in range(MAX_FAILURES)] == pauses
    assert all(isinstance(again, Again) and again.in_s <= MAX_PAUSE_S for again in pauses)


def test_too_many_early_ends_are_final() -> None:
    """Nothing is going to change by itself."""
    assert NotAgain(reason="it ended 6 times soon after its start") == after_exit(1, ran_s=1, failures=MAX_FAILURES)


def test_refused_settings_are_final_at_once() -> None:
    """A restart reads the same settings."""
    assert NotAgain(reason="its settings are refused") == after_exit(2, ran_s=STEADY_S + 1, failures=0)


async def test_a_process_that_cannot_be_kept_running_ends_the_command_and_stops_the_other(tmp_path: Path) -> None:
    """The line names the process, how it ended, and how often."""
    told: list[str] = []
    healthy = _child(
        "gateway",
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1]).touch(), sys.exit(0)))\n"
        "time.sleep(60)",
        tmp_path / "stopped",
    )
    with pytest.RaisesGroup(
        pytest.RaisesExc(
            GivenUp,
            match=r"^the worker cannot be kept running: it ended 6 times soon after its start \(exit code 3\)",
        )
    ):
        await _supervised([healthy, _child("worker", "import sys, time; time.sleep(0.2); sys.exit(3)")], told)
    assert (tmp_path / "stopped").exists()
    assert ["the worker ended (exit code 3); it is started again in 0.5 s"] == told[:1]
    assert len(told) == MAX_FAILURES


async def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    """A crash costs a pause, not the service."""
    runs = tmp_path / "runs"
    program = (
        "import os, signal, sys, pathlib\n"
        "runs = pathlib.Path(sys.argv[1])\n"
        "n = len(runs.read_text()) if runs.exists() else 0\n"
        "runs.write_text('x' * (n + 1))\n"
        "os.kill(os.getpid(), signal.SIGKILL) if n == 0 else sys.exit(2)"
    )
    told: list[str] = []
    with pytest.RaisesGroup(GivenUp):
        await _supervised([_child("worker", program, runs)], told)
    assert runs.read_text() == "xx"
    assert ["the worker ended (signal 9); it is started again in 0.5 s"] == told


async def test_cancelling_stops_all_processes(tmp_path: Path) -> None:
    """Being told to stop is passed on, and waited for."""
    program = (
        "import pathlib, signal, sys, time\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "signal.signal(signal.SIGTERM, lambda *_: (here.with_suffix('.stopped').touch(), sys.exit(0)))\n"
        "here.with_suffix('.started').touch()\n"
        "time.sleep(60)"
    )
    names = ("gateway", "worker")
    task = asyncio.create_task(_supervised([_child(name, program, tmp_path / name) for name in names], []))
    while not all((tmp_path / f"{name}.started").exists() for name in names):  # noqa: ASYNC110 -- other processes
        await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert all((tmp_path / f"{name}.stopped").exists() for name in names)
