"""A server at work, alone on its core, with its CPU time and its memory."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cpu import cpu_s
from bench.gateway.callbacks import Callback
from bench.gateway.contenders import ROOT, Contender, environment
from bench.gateway.load import toast_of
from tests.support.kafka import free_ports

START_S: Final = 30.0
STOP_S: Final = 20.0
LOOK_AGAIN_S: Final = 0.005
TRAILING_S: Final = 0.15
"""After the last answer a server may still have marks and log lines to write: they are part of the price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """
    One that runs.

    Attributes:
        toast: The body of its good answers.
        first_answer_s: From its start to the first good answer.
        folder: Its log lines (``stderr``) and whatever it stores.
    """

    pid: int
    port: int
    toast: bytes
    first_answer_s: float
    folder: Path

    def cpu_s(self) -> float:
        """Return the CPU time of all its threads and processes so far, once nothing trails behind."""
        time.sleep(TRAILING_S)
        spent = cpu_s([self.pid])
        assert spent is not None, "CPU time of others is known on Linux only"
        return spent

    def rss_mb(self) -> float:
        """Return its memory now (MB), that of children included."""
        pages = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                number, parent = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
                if self.pid in {number, parent}:
                    pages += int((stat.parent / "statm").read_text().split()[1])
            except OSError:
                continue
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def serving(contender: Contender, probe: Callback, *, core: int) -> Iterator[Server]:
    """Run a server on a core of its own, until it is told to stop and has ended."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="cardwire-bench-") as name, Path(name, "stderr").open("wb") as lines:
        folder = Path(name)
        (folder / "spill").mkdir()
        env = {**environment(), **contender.env(folder)}
        began = time.perf_counter()
        with on_core(core):
            process = subprocess.Popen(
                contender.command(port), cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=lines, stderr=lines
            )
        try:
            toast, first_answer_s = _first_answer(process, port, probe, began)
            _wait_until_said(contender.ready, folder, began)
            yield Server(pid=process.pid, port=port, toast=toast, first_answer_s=first_answer_s, folder=folder)
        except Exception as error:
            error.add_note(f"{contender.name} said: {_last_lines(folder)}")
            raise
        finally:
            stop(process)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Give this core to processes that are started here."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server in an orderly way, or not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _first_answer(process: "subprocess.Popen[bytes]", port: int, probe: Callback, began: float) -> tuple[bytes, float]:
    while True:
        try:
            toast = toast_of(port, probe)
        except (OSError, AssertionError):
            # It does not listen yet, or it listens and its log is not there yet.
            if process.poll() is not None or time.perf_counter() - began > START_S:
                raise
            time.sleep(LOOK_AGAIN_S)
        else:
            return toast, time.perf_counter() - began


def _wait_until_said(text: str, folder: Path, began: float) -> None:
    while text not in (folder / "stderr").read_text(errors="replace"):
        if time.perf_counter() - began > START_S:
            raise TimeoutError(f"no {text!r} was said")
        time.sleep(LOOK_AGAIN_S)


def _last_lines(folder: Path) -> str:
    return "\n".join((folder / "stderr").read_text(errors="replace").splitlines()[-5:])
