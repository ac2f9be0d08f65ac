"""
Real processes: started by the command line, killed by their ids, started again by their supervisor.

What a process prints goes to a file of its own; the line by which it says that it is ready tells its addresses.
"""

import asyncio
import fcntl
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Literal, assert_never

from tests.chaos.history import Ended, FaultDone

ROOT: Final = Path(__file__).resolve().parents[2]
READY_S: Final = 60.0
STOP_S: Final = 20.0
PAUSE_S: Final = 0.3
"""Before a process that ended is started again: what its machine's supervisor would take."""

STOPPED: Final = frozenset({0, -signal.SIGTERM, -signal.SIGKILL})
"""How a process may end that is told to: well; by the signal, before it could listen; not in time, which is told."""

ORPHANS_END: Final = frozenset({"gateway", "worker"})
"""Which of them can be told to end with us, should we be killed."""


Reader = Literal["file", "full disk", "nobody"]
"""Where the log lines of a process go: to a file that is kept, to a full disk, into a pipe that nobody reads."""

PIPE_BYTES: Final = 4096


class NotReady(Exception):
    """A process did not become ready in time; the text says which, and what it printed last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """
    A process to keep running: its name, what it is (``gateway``, ``worker`` …) and its environment.

    Attributes:
        program: What Python's ``-m`` is given; empty: the command of its role.
        reader: Who takes its log lines.
    """

    name: str
    role: str
    env: Mapping[str, str]
    program: tuple[str, ...] = ()
    reader: Reader = "file"


@dataclass(slots=True)
class Kept:
    """
    One process, and its successors.

    Attributes:
        changed: Called when a new one is ready, with addresses of its own.
        addresses: What the present one says that it serves, by name.
        ready: The present one is ready.
        back_at: When each one became ready (ms).
        is_ours: It was ended by us, so its end is no surprise.
    """

    spec: Spec
    log_file: Path
    ended: Callable[[Ended], None]
    changed: Callable[[], Awaitable[None]] | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    back_at: list[int] = field(default_factory=list)
    is_ours: bool = False
    is_stopping: bool = False
    process: Process | None = None

    async def run(self) -> None:
        """Keep it running until it is stopped."""
        while not self.is_stopping:
            await self._once()
            if not self.is_stopping:
                await asyncio.sleep(PAUSE_S)

    def kill(self) -> None:
        """End it at once; it is started again."""
        self._signal(signal.SIGKILL)

    def leave(self) -> None:
        """Tell it to end; it is started again."""
        self._signal(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it stand still (SIGSTOP): its connections stay open, and it notices nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    async def stop(self) -> None:
        """Tell it to end, and wait; kill it if it does not listen."""
        self.is_stopping = True
        process = self.process
        if process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            self.ended(self._end(code=-signal.SIGKILL, started_at=0, last_line="did not stop in time"))
            self._signal(signal.SIGKILL)
            await process.wait()

    async def until_ready(self, timeout_s: float = READY_S) -> None:
        """Wait until it is ready. Raises `NotReady`."""
        try:
            await asyncio.wait_for(self.ready.wait(), timeout_s)
        except TimeoutError:
            raise NotReady(f"{self.spec.name} is not ready after {timeout_s:g} s: {self._last_line()}") from None

    def _signal(self, number: signal.Signals) -> None:
        self.is_ours = True
        self.ready.clear()
        self._send(number)

    def _send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            os.kill(self.process.pid, number)

    async def _once(self) -> None:
        self.is_ours, started_at = False, now()
        # -P: a folder called `worker` where the command is run does not take the place of ours.
        command = [sys.executable, "-P", "-m", *(self.spec.program or ("cardwire", self.spec.role))]
        if self.spec.role in ORPHANS_END:
            command += ["--parent", str(os.getpid())]
        with _taking(self.spec.reader, self.log_file) as log:
            self.process = process = await asyncio.create_subprocess_exec(
                *command, env=dict(self.spec.env), cwd=ROOT, stdin=DEVNULL, stdout=PIPE, stderr=log
            )
            if self.is_stopping:
                self._signal(signal.SIGTERM)
            await self._read(process)
            code = await process.wait()
        was_ready = self.ready.is_set()
        self.ready.clear()
        if not self.is_ours or (self.is_stopping and code not in STOPPED):
            self.ended(self._end(code=code, started_at=started_at, was_ready=was_ready, last_line=self._last_line()))

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            words = line.decode().split()
            if words[:2] == [self.spec.role, "ready"]:
                self.addresses = dict(word.split("=", 1) for word in words[2:])
                if self.changed is not None:
                    await self.changed()
                self.ready.set()
                self.back_at.append(now())

    def _end(self, *, code: int, started_at: int, last_line: str, was_ready: bool = True) -> Ended:
        return Ended(
            at=now(), name=self.spec.name, code=code, started_at=started_at, was_ready=was_ready, last_line=last_line
        )

    def _last_line(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        return lines[-1][:500] if lines else "it printed nothing"


@contextmanager
def _taking(reader: Reader, log_file: Path) -> Iterator[IO[bytes] | int]:
    """Give what a process's log lines are written to."""
    match reader:
        case "file":
            with log_file.open("ab") as kept:
                yield kept
        case "full disk":
            with Path("/dev/full").open("wb") as full:
                yield full
        case "nobody":
            unread, written = os.pipe()
            fcntl.fcntl(written, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            try:
                yield written
            finally:
                os.close(unread)
                os.close(written)
        case _ as unreachable:
            assert_never(unreachable)


@dataclass(slots=True)
class Fleet:
    """
    All processes of a run.

    Attributes:
        folder: Where their output goes.
        ended: Ends that nobody asked for, in order.
    """

    folder: Path
    kept: dict[str, Kept] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self, *specs: Spec) -> Sequence[Kept]:
        """Start processes together and return them when all are ready. Raises `NotReady`."""
        started = [Kept(spec, self.folder / f"{spec.name}.log", self.ended.append) for spec in specs]
        for each in started:
            self.kept[each.spec.name] = each
            self._tasks.append(asyncio.create_task(each.run(), name=each.spec.name))
        await asyncio.gather(*(each.until_ready() for each in started))
        return started

    def of(self, role: str) -> Sequence[Kept]:
        """Return the processes of one role."""
        return [each for each in self.kept.values() if each.spec.role == role]

    def backs(self) -> Sequence[FaultDone]:
        """Return when processes were ready again, each after an end."""
        return [
            FaultDone(at=at, kind="back", role=each.spec.role, name=each.spec.name)
            for each in self.kept.values()
            for at in each.back_at[1:]
        ]

    async def stop(self, *roles: str) -> None:
        """End all processes of these roles."""
        await asyncio.gather(*(each.stop() for role in roles for each in self.of(role)))

    async def close(self) -> None:
        """End whatever still runs."""
        await asyncio.gather(*(each.stop() for each in self.kept.values()))
        await asyncio.gather(*self._tasks)


def now() -> int:
    """Return the machine's time (ms)."""
    return time.time_ns() // 1_000_000
