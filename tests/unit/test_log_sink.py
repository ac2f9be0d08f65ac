"""Lines never wait for the stream that they go to, and never raise what it raises."""

import asyncio
import errno
import fcntl
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TextIO

import pytest
import structlog

from shared.observability import configure_logs, flush_logs, log_lines_lost
from shared.observability.sink import END_S, PIECE, Sink

NEVER_S: Final = 3600.0
PATIENCE_S: Final = 5.0

Make = Callable[..., Sink]


class Stream(io.StringIO):
    """A stream that may refuse what is written, and keeps what it was given at one go."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.refusal: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.was_asked = threading.Event()

    def write(self, text: str) -> int:
        self.was_asked.set()
        self.may_go_on.wait()
        if self.refusal is not None:
            raise self.refusal
        self.pieces.append(text)
        return super().write(text)


@pytest.fixture
def make() -> Iterator[Make]:
    """Yield what makes a sink, which is closed at the end."""
    with ExitStack() as stack:

        def made(out: TextIO, **more: Any) -> Sink:
            sink = Sink(out, lost_line="{} lost\n".format, **more)
            stack.callback(sink.close)
            return sink

        yield made


def _text_from(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read().decode()


def test_lines_keep_their_order_urgent_or_not(make: Make) -> None:
    """A warning does not pass what was written before it."""
    out = Stream()
    sink = make(out)
    lines = [f"{n}\n" for n in range(1_000)]
    for n, line in enumerate(lines):
        sink.write(line, is_urgent=n % 7 == 0)
    assert sink.flush()
    assert "".join(lines) == out.getvalue()


def test_an_urgent_line_is_written_at_once_and_others_with_it(make: Make) -> None:
    """It may be the last that is heard of the process."""
    out = Stream()
    sink = make(out, every_s=NEVER_S)
    sink.write("soon\n")
    assert not out.was_asked.wait(0.05)
    sink.write("now\n", is_urgent=True)
    assert out.was_asked.wait(PATIENCE_S)
    assert sink.flush()
    assert "soon\nnow\n" == out.getvalue()


@pytest.mark.parametrize("letter", ["x", "收"])
def test_lines_are_written_in_pieces_that_no_other_process_can_get_into(make: Make, letter: str) -> None:
    """Whole lines, as many as a pipe takes at one go; one that is longer alone."""
    out = Stream()
    sink = make(out, every_s=NEVER_S)
    lines = [f"{n}{letter * (5_000 if n == 50 else 100 + n)}\n" for n in range(100)]
    for line in lines:
        sink.write(line)
    assert sink.flush()
    assert "".join(lines) == out.getvalue()
    assert all(piece.endswith("\n") for piece in out.pieces)
    assert [lines[50]] == [piece for piece in out.pieces if len(piece.encode()) > PIECE]
    assert len(out.pieces) < 20


def test_lines_of_many_threads_are_all_written(make: Make) -> None:
    """None is lost between two who write at the same time."""
    out = Stream()
    sink = make(out, every_s=0)

    def say() -> None:
        for _ in range(2_000):
            sink.write("x\n")

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sink.flush()
    assert (8_000, 0) == (out.getvalue().count("x\n"), sink.lost)


@pytest.mark.parametrize("refusal", [OSError(errno.ENOSPC, "full"), BrokenPipeError(), ValueError("closed")])
def test_lines_that_the_stream_refuses_are_counted_and_told_of_when_it_takes_some_again(
    make: Make, refusal: Exception
) -> None:
    """Whoever writes a line learns nothing of it."""
    out = Stream()
    out.refusal = refusal
    sink = make(out)
    for _ in range(3):
        sink.write("lost\n", is_urgent=True)
        assert sink.flush()
    assert 3 == sink.lost
    out.refusal = None
    for line in ("after\n", "later\n"):
        sink.write(line)
        assert sink.flush()
    assert ("3 lost\nafter\nlater\n", 3) == (out.getvalue(), sink.lost)


def test_of_lines_that_nobody_takes_the_oldest_make_room(make: Make) -> None:
    """A stream that stands still costs some memory, and nobody's time."""
    out = Stream()
    out.may_go_on.clear()
    sink = make(out, most=10)
    sink.write("first\n", is_urgent=True)
    assert out.was_asked.wait(PATIENCE_S)
    for n in range(25):
        sink.write(f"{n}\n", is_urgent=True)
    assert (15, False) == (sink.lost, sink.flush(within_s=0.01))
    out.may_go_on.set()
    assert sink.flush()
    assert "first\n15 lost\n" + "".join(f"{n}\n" for n in range(15, 25)) == out.getvalue()


def test_a_pipe_that_nobody_reads_holds_nobody_up(make: Make) -> None:
    """Neither those who write lines, nor for longer than a second the end; then what was read is whole lines."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        sink = make(out)
        began = time.monotonic()
        for n in range(20_000):
            sink.write(f"{n:05}{'x' * 100}\n", is_urgent=True)
        assert time.monotonic() - began < PATIENCE_S
        assert not sink.flush(within_s=0.1)
        told: list[str] = []
        reader = threading.Thread(target=lambda: told.append(_text_from(reading)))
        reader.start()
        assert sink.flush(within_s=PATIENCE_S)
    reader.join()
    lines = told[0].splitlines()
    numbers = [int(line[:5]) for line in lines if not line.endswith("lost")]
    assert (sorted(numbers), 19_999) == (numbers, numbers[-1])
    assert [f"{sink.lost} lost"] == [line for line in lines if line.endswith("lost")]
    assert 20_000 == len(numbers) + sink.lost


def test_a_pipe_that_was_made_not_to_wait_is_waited_for_by_the_writer_alone(make: Make) -> None:
    """Other programs that share it set that for all."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, fcntl.fcntl(writing, fcntl.F_GETFL) | os.O_NONBLOCK)
    with os.fdopen(writing, "w") as out:
        sink = make(out)
        for _ in range(2_000):
            sink.write(f"{'x' * 100}\n")
        assert not sink.flush(within_s=0.3)
        told: list[str] = []
        reader = threading.Thread(target=lambda: told.append(_text_from(reading)))
        reader.start()
        assert sink.flush(within_s=PATIENCE_S)
    reader.join()
    assert (2_000, 0) == (told[0].count("x\n"), sink.lost)


def test_the_end_of_a_sink_writes_what_waits(make: Make) -> None:
    """Also what was to wait for long."""
    out = Stream()
    sink = make(out, every_s=NEVER_S)
    sink.write("last words\n")
    sink.close()
    assert "last words\n" == out.getvalue()


def test_a_process_that_ends_leaves_its_lines_and_waits_a_second_at_most_for_a_reader(tmp_path: Path) -> None:
    """An orderly end writes what waits; a pipe that is full neither holds it up nor makes it a bad end."""
    program = (
        "import sys, structlog; from shared.observability import configure_logs\n"
        "configure_logs(style='json')\n"
        "for n in range(int(sys.argv[1])): structlog.get_logger().info('planned', n=n, pad='x' * 100)\n"
    )
    command = (sys.executable, "-c", program)
    with (tmp_path / "read").open("w") as file:
        subprocess.run([*command, "500"], stderr=file, check=True, timeout=20)
    lines = (tmp_path / "read").read_text().splitlines()
    assert list(range(500)) == [json.loads(line)["n"] for line in lines]
    with subprocess.Popen([*command, "5000"], stderr=subprocess.PIPE) as process:
        assert 0 == process.wait(END_S + 10)


def test_a_disk_that_was_full_has_whole_lines_again_later(tmp_path: Path) -> None:
    """What it took of a line ends as a line, so that no other is glued to it."""
    program = (
        "import resource, structlog; from shared.observability import configure_logs, flush_logs\n"
        "def allow(most): resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))\n"
        "configure_logs(style='json')\n"
        "for most, event in ((150, 'before'), (150, 'torn'), (resource.RLIM_INFINITY, 'after')):\n"
        "    allow(most); structlog.get_logger().info(event, pad='x' * 50); flush_logs()\n"
    )
    with (tmp_path / "log").open("w") as file:
        subprocess.run([sys.executable, "-c", program], stderr=file, check=True, timeout=20)
    before, _, *later = (tmp_path / "log").read_text().splitlines()
    events = [json.loads(line)["event"] for line in (before, *later)]
    assert ["before", "log_lines_lost", "after"] == events


@pytest.fixture
def full() -> Iterator[None]:
    """Configure log lines to go to a disk that is full."""
    with Path("/dev/full").open("w") as stream:
        configure_logs("info", "json", stream=stream)
        yield
        flush_logs()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.usefixtures("full")
def test_no_line_of_anybody_raises_on_a_full_disk() -> None:
    """Neither ours of any level, nor libraries', nor the event loop's."""
    log = structlog.get_logger()
    for say in (log.info, log.warning, log.error, log.critical, logging.getLogger("aiokafka").warning):
        say("told")
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": "Task exception was never retrieved"})
    loop.close()
    flush_logs()
    assert 6 == log_lines_lost()


def test_the_line_about_lost_ones_is_a_line_like_others() -> None:
    """Event, level, time, and how many."""
    out = Stream()
    out.refusal = OSError(errno.ENOSPC, "full")
    configure_logs("info", "json", stream=out)
    structlog.get_logger().error("nobody reads this")
    flush_logs()
    out.refusal = None
    structlog.get_logger().info("after")
    flush_logs()
    lost, after = (json.loads(line) for line in out.getvalue().splitlines())
    assert ("log_lines_lost", 1, "warning") == (lost["event"], lost["lines"], lost["level"])
    assert ("after", len(after["at"])) == (after["event"], len(lost["at"]))
