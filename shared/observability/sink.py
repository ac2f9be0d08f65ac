"""
Where a process's lines go: to a stream that a thread of its own writes to, so that nobody else meets what it is like.

A full disk, a pipe whose reader ended, and one whose reader stands still are troubles of whoever reads the lines.
They must not become those of whoever clicks: to write a line is to put it into a queue, from any thread or event loop.

Guarantees
    *Order.* Lines leave in the order in which they were written.
    *Time.* A line is out `EVERY_S` after it was written, one that is urgent at once, and both before an orderly end,
    which waits `END_S` for a stream that takes nothing.
    *Never raises, never waits.* At most `MOST` lines wait; the oldest make room for new ones. Lines that made room,
    and those that the stream refused, are counted, and told of in a line when the stream takes lines again.
    *Crash* (SIGKILL): loses the lines that wait.
    *Whole lines*: where several processes share a pipe, as gateways do that `cardwire.cli.group` keeps, none gets
    into another's line, unless that is longer than a pipe takes at one go.
"""

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Final, TextIO

EVERY_S: Final = 0.1
END_S: Final = 1.0
MOST: Final = 10_000
PIECE: Final = 4096
"""Bytes that a pipe takes at one go, on Linux (``PIPE_BUF``), where processes share one."""

_SOON: Final = "soon"
_NOW: Final = "now"


class Sink:
    """
    Takes lines at once, and writes them from its own thread.

    Args:
        out: Where to. Its descriptor is written to, where it has one: a thread that hangs in a buffer of Python's
            would hold the lock that the interpreter wants at its end.
        lost_line: Makes the line that says how many were lost.
        every_s: See `EVERY_S`; another in tests, and so the next one.
        most: See `MOST`.
    """

    def __init__(
        self, out: TextIO, *, lost_line: Callable[[int], str], every_s: float = EVERY_S, most: int = MOST
    ) -> None:
        self._out, self._lost_line, self._every_s, self._most = out, lost_line, every_s, most
        self._waiting: deque[str] = deque()
        # Collecting garbage may write a line, in the midst of a thread that writes one: neither of these minds.
        self._turn = threading.RLock()
        self._wakes: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._is_awake = self._is_urgent = self._is_torn = False
        self._end = threading.Event()
        self._dropped = self._refused = self._told = 0
        threading.Thread(target=self._write_for_ever, name="cardwire-log-lines", daemon=True).start()
        atexit.register(self.close)

    @property
    def lost(self) -> int:
        """How many lines were lost so far."""
        return self._dropped + self._refused

    def write(self, line: str, *, is_urgent: bool = False) -> None:
        """Take a line, with its end; one that is urgent is written at once."""
        with self._turn:
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(line)
            if is_urgent and not self._is_urgent:
                self._is_urgent = self._is_awake = True
                self._wakes.put(_NOW)
            elif not self._is_awake:
                self._is_awake = True
                self._wakes.put(_SOON)

    def flush(self, *, within_s: float = END_S) -> bool:
        """Wait until what was taken so far is written or lost, for so long at most; say whether it is."""
        done = self._end if self._end.is_set() else threading.Event()
        self._wakes.put(done)
        return done.wait(within_s)

    def close(self) -> None:
        """Flush, and write no more; waits `END_S` at most."""
        atexit.unregister(self.close)
        self._wakes.put(self._end)
        self._end.wait(END_S)

    def _write_for_ever(self) -> None:
        wake: str | threading.Event = _SOON
        while wake is not self._end:
            wake = self._wakes.get()
            if wake == _SOON:
                wake = self._next_wake() or wake
            with self._turn:
                self._is_awake = self._is_urgent = False
                lines, self._waiting = self._waiting, deque()
            self._write(lines)
            if isinstance(wake, threading.Event):
                wake.set()

    def _next_wake(self) -> str | threading.Event | None:
        try:
            return self._wakes.get(timeout=self._every_s)
        except Empty:
            return None

    def _write(self, lines: Iterable[str]) -> None:
        if (untold := self.lost - self._told) and self._wrote(self._lost_line(untold)):
            self._told += untold
        for piece, number in _pieces(lines):
            if not self._wrote(piece):
                self._refused += number

    def _wrote(self, text: str) -> bool:
        try:
            _put(self._out, f"\n{text}" if self._is_torn else text)
        except _Torn:
            self._is_torn = True
            return False
        except (OSError, ValueError):  # Closed, full, or nobody reads it any more: there is no place left to say so.
            return False
        self._is_torn = False
        return True


class _Torn(Exception):
    """The stream took a part, which may end in the midst of a line."""


def _put(out: TextIO, text: str) -> None:
    try:
        descriptor = out.fileno()  # Each time: it is another file's once this one is closed.
    except (OSError, ValueError, AttributeError):
        out.write(text)
        out.flush()
        return
    rest = whole = text.encode(errors="replace")
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # Another process made it so that it does not wait.
            _wait_for_room(descriptor)
        except OSError as error:
            if len(rest) < len(whole):
                raise _Torn from error
            raise


def _wait_for_room(descriptor: int) -> None:
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    room.poll()


def _pieces(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Put lines together, and say how many, to what a pipe takes at one go: in longer ones, others' come between."""
    piece: list[str] = []
    room = PIECE
    for line in lines:
        size = len(line) if line.isascii() else len(line.encode(errors="replace"))
        if size > room and piece:
            yield "".join(piece), len(piece)
            piece, room = [], PIECE
        piece.append(line)
        room -= size
    if piece:
        yield "".join(piece), len(piece)
