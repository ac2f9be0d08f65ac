"""
No test may let a secret out: a plugin of pytest that searches everything that is said while a test runs.

What the test and the programs in its process print and log, what it read back from its own capture, what child
processes say through pipes, and what they write to files that were opened for their output. A test in whose time a
secret of `tests.support.planted` is told fails, and the report shows where, less the secret. Only what handlers print
that are made to print what they are given (the tutorials') is not looked at.
"""

import asyncio.subprocess
import subprocess
from collections.abc import Callable, Generator, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import IO, Any, Final

import pytest

from tests.support.planted import found_in

AROUND: Final = 60
_KEY: Final = pytest.StashKey["Ears"]()
_STREAMS: Final = ("stdout", "stderr")


class Overheard:
    """A pipe of a child, whose reader is not the only one who hears what comes through it."""

    def __init__(self, pipe: IO[Any], hear: Callable[[str | bytes], None]) -> None:
        self._pipe, self._hear = pipe, hear

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)

    def read(self, *size: int) -> str | bytes:
        """Read so much, or all."""
        return self._heard(self._pipe.read(*size))

    def readline(self) -> str | bytes:
        """Read a line."""
        return self._heard(self._pipe.readline())

    def __iter__(self) -> Iterator[str | bytes]:
        while line := self.readline():
            yield line

    def _heard(self, said: str | bytes) -> str | bytes:
        self._hear(said)
        return said


class Ears:
    """Hears what is said in this process and by its children; patches the standard library for as long as told."""

    def __init__(self) -> None:
        self._pipes: dict[object, list[str]] = {}
        self._files: dict[Path, int] = {}
        self._patch = pytest.MonkeyPatch()

    def listen(self) -> None:
        """Begin."""
        self._after(subprocess.Popen, "communicate", lambda child, said: self._hear("communicate", *said))
        self._after(pytest.CaptureFixture, "readouterr", lambda fixture, said: self._hear("the capture", *said))
        self._before(asyncio.subprocess.SubprocessStreamProtocol, "pipe_data_received", self._piped)
        self._before(subprocess.Popen, "__init__", self._started)
        self._after(subprocess.Popen, "__init__", lambda child, _: self._overhear(child))

    def stop(self) -> None:
        """Leave everything as it was."""
        self._patch.undo()

    def heard(self) -> Iterator[tuple[str, str]]:
        """Return what was said since the last time, and where."""
        for where, said in self._pipes.items():
            yield str(where), "".join(said)
        self._pipes.clear()
        for path, offset in self._files.items():
            if path.exists() and path.stat().st_size > offset:
                with path.open("rb") as file:
                    file.seek(offset)
                    said_in_file = file.read()
                self._files[path] = offset + len(said_in_file)
                yield str(path), said_in_file.decode("utf-8", "replace")

    def _hear(self, where: object, *said: str | bytes | None) -> None:
        texts = [text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in said if text]
        self._pipes.setdefault(where, []).extend(texts)

    def _piped(self, protocol: object, number: int, data: bytes) -> None:
        self._hear(f"pipe {number} of process {id(protocol)}", data)

    def _overhear(self, child: "subprocess.Popen[Any]") -> None:
        for stream in _STREAMS:
            if (pipe := getattr(child, stream, None)) is not None:
                setattr(child, stream, Overheard(pipe, partial(self._hear, f"{stream} of process {child.pid}")))

    def _started(self, _child: object, *_args: Any, **named: Any) -> None:
        for stream in _STREAMS:
            name = getattr(named.get(stream), "name", None)
            if isinstance(name, str):
                self._files.setdefault(Path(name).absolute(), 0)

    def _after(self, owner: type, name: str, told: Callable[[Any, Any], None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def wrapped(self: Any, *args: Any, **named: Any) -> Any:
            said = original(self, *args, **named)
            told(self, said)
            return said

        self._patch.setattr(owner, name, wrapped)

    def _before(self, owner: type, name: str, told: Callable[..., None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def wrapped(self: Any, *args: Any, **named: Any) -> Any:
            told(self, *args, **named)
            return original(self, *args, **named)

        self._patch.setattr(owner, name, wrapped)


def pytest_configure(config: pytest.Config) -> None:
    """Listen from now on."""
    config.stash[_KEY] = Ears()
    config.stash[_KEY].listen()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Listen no more."""
    config.stash[_KEY].stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail the test in whose time a secret was told."""
    report = yield
    prints = item.get_closest_marker("prints_callbacks") is not None
    said = [*item.config.stash[_KEY].heard(), *_captured(report, "Captured stdout" if prints else None)]
    leaks = [leak for where, text in said if (leak := _leak(where, text)) is not None]
    if leaks:
        report.outcome = "failed"
        report.longrepr = "\n".join(["A secret was told, see tests/support/leaks.py:", *leaks])
    return report


def _captured(report: pytest.TestReport, less: str | None) -> Iterator[tuple[str, str]]:
    """Return what was captured in this phase, less a stream: a report also has what was captured before."""
    for name, text in report.sections:
        if name.endswith(report.when or "") and not (less and name.startswith(less)):
            yield name, text


def _leak(where: str, text: str) -> str | None:
    found = found_in(text)
    if found is None:
        return None
    before, after = text[max(0, found.start() - AROUND) : found.start()], text[found.end() :][:AROUND]
    return f"{where}: …{before}***{after if found_in(after) is None else '…'}"
