import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from cardwire.cli.asking import Asking
from cardwire.cli.group import RunningGroup, check_platform
from cardwire.cli.supervise import Child, GivenUp
from shared.clock import SystemClock
from shared.core.errors import ConfigError
from shared.observability.metrics import GROUP_METRICS, PROCESSES_LOST, Metrics
from tests.support.documents import is_documented

READY = """
import os, pathlib, signal, sys, time
here = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (here.with_suffix(".stopped").touch(), sys.exit(0)))
os.write(int(sys.argv[sys.argv.index("--group") + 1]), b"gateway ready callbacks=x admin=http://127.0.0.1:1\\n")
time.sleep(60)
"""
REFUSED = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch(); sys.exit(2)"


class Hurried(SystemClock):
    """The machine's clock, but nobody waits."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def _child(name: str, program: str, argument: Path) -> Child:
    return Child(name=name, command=[sys.executable, "-c", program, str(argument)], env=dict(os.environ))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@asynccontextmanager
async def _group(metrics: Metrics, *children: Child) -> AsyncIterator[RunningGroup]:
    async with aiohttp.ClientSession() as session:
        group = RunningGroup(children, Asking(session, metrics), metrics, clock=Hurried())
        yield group
        await group.stop()


async def test_it_is_ready_when_all_processes_were_and_stops_all(tmp_path: Path) -> None:
    """One line for all of them; each is told to stop, and none is missed."""
    metrics = Metrics(*GROUP_METRICS)
    names = ("one", "two", "three")
    async with _group(metrics, *(_child(name, READY, tmp_path / name) for name in names)) as group:
        await asyncio.wait_for(group.ready(), 10)
    assert {f"{name}.stopped" for name in names} == _names(tmp_path)
    assert 0 == metrics.value(PROCESSES_LOST)


async def test_what_refuses_the_first_is_told_once(tmp_path: Path) -> None:
    """The others are not even started."""
    children = [_child(name, REFUSED, tmp_path / name) for name in ("one", "two")]
    async with _group(Metrics(*GROUP_METRICS), *children) as group:
        failed = await asyncio.wait_for(group.failed(), 10)
    assert isinstance(failed, GivenUp)
    assert "the one cannot be kept running: its settings are refused (exit code 2); see above" == str(failed)
    assert {"one"} == _names(tmp_path)


async def test_a_process_that_keeps_ending_early_ends_the_whole(tmp_path: Path) -> None:
    """The other one is stopped; each end is counted."""
    metrics = Metrics(*GROUP_METRICS)
    ending = _child("two", "import sys; sys.exit(3)", tmp_path / "two")
    async with _group(metrics, _child("one", READY, tmp_path / "one"), ending) as group:
        failed = await asyncio.wait_for(group.failed(), 20)
    assert isinstance(failed, GivenUp)
    assert "the two cannot be kept running: it ended 6 times" in str(failed)
    assert 6 == metrics.value(PROCESSES_LOST)
    assert (tmp_path / "one.stopped").exists()


def test_where_ports_cannot_be_shared_several_processes_are_refused() -> None:
    """There all callers would come to one of them."""
    check_platform(2, "linux")
    with pytest.raises(ConfigError, match=r"^CARDWIRE_PROCESSES is 2: expected 1 on this system \(darwin\)") as refused:
        check_platform(2, "darwin")
    assert is_documented(str(refused.value))
