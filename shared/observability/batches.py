"""
Lines that go out in batches, from a thread of their own, so that nobody waits for a disk or a pipe.

Guarantees
    *Order.* Lines leave in the order in which they were written, batched or not.
    *Time.* A line is out `EVERY_S` after it was written, at once if it is flushed, and before an orderly end.
    *Crash* (SIGKILL): loses the lines of that time.
    *Whole lines*: where several processes share a pipe, as gateways do that `cardwire.cli.group` keeps, none gets
    into another's line, unless that is longer than a pipe takes at one go.
    Bounded: at `MOST` waiting lines, whoever writes the next one writes them all.
"""

import atexit
import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

EVERY_S: Final = 0.1
MOST: Final = 10_000
PIECE: Final = 4096
"""Bytes that a pipe takes at one go, on Linux (``PIPE_BUF``), where processes share one."""


class Batches:
    """A stream around another one: `write` only takes note, `flush` writes. May be used by any thread."""

    def __init__(self, out: TextIO, *, every_s: float = EVERY_S) -> None:
        self._out, self._every_s = out, every_s
        self._waiting: deque[str] = deque()
        self._has_lines = threading.Event()
        self._turn = threading.Lock()
        threading.Thread(target=self._write_now_and_then, name="cardwire-log-lines", daemon=True).start()
        atexit.register(self._flush_if_possible)

    def write(self, text: str) -> int:
        """Take a line, or a few, to be written soon."""
        self._waiting.append(text)
        if len(self._waiting) >= MOST:
            self.flush()
        elif not self._has_lines.is_set():
            self._has_lines.set()
        return len(text)

    def flush(self) -> None:
        """Write what was taken so far."""
        with self._turn:
            # One by one: others may append meanwhile.
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            for piece in _pieces(lines):
                self._out.write(piece)
                self._out.flush()
            self._out.flush()

    def isatty(self) -> bool:
        """Say whether somebody looks on."""
        return self._out.isatty()

    def _write_now_and_then(self) -> None:
        while True:
            self._has_lines.wait()
            time.sleep(self._every_s)
            self._has_lines.clear()
            self._flush_if_possible()

    def _flush_if_possible(self) -> None:
        # Closed, or nobody reads it any more: there is no place left to say so.
        with contextlib.suppress(OSError, ValueError):
            self.flush()


def _pieces(lines: Sequence[str]) -> Iterator[str]:
    """Put lines together to pieces that a pipe takes at one go: in longer ones, others' come between."""
    piece: list[str] = []
    room = PIECE
    for line in lines:
        size = len(line) if line.isascii() else len(line.encode(errors="replace"))
        if size > room and piece:
            yield "".join(piece)
            piece, room = [], PIECE
        piece.append(line)
        room -= size
    if piece:
        yield "".join(piece)
