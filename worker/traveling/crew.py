"""
Processes that walk partitions side by side, each one at a time.

They are begun anew, not forked: each imports the handlers for itself, as a worker does. They end with this process.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Generic, TypeVar

from shared.core.errors import CardwireError

STOP_S: Final = 2.0

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class CrewLost(CardwireError):
    """A process of the crew has ended by itself, or by an error that nobody foresaw."""


@dataclass(frozen=True, slots=True)
class Moved:
    """So much of a task is done since the last word."""

    by: int


@dataclass(frozen=True, slots=True)
class Done:
    """A task is done."""

    result: Any


@dataclass(frozen=True, slots=True)
class Broken:
    """A task cannot be done."""

    error: CardwireError


Word = Moved | Done | Broken


class Crew(Generic[_Task, _Result]):
    """Processes that take tasks; see `crew`."""

    def __init__(self, members: Sequence[tuple[BaseProcess, Connection]]) -> None:
        self._members = members

    def work(self, tasks: Iterable[_Task], moved: Callable[[int], None]) -> Iterator[_Result]:
        """
        Yield the result of each task as it is done.

        Raises:
            CardwireError: What kept a task from being done; the others are left undone.
        """
        left = list(tasks)[::-1]
        busy: dict[Connection, BaseProcess] = {}
        for process, connection in self._members:
            if left:
                _send(connection, left.pop())
                busy[connection] = process
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)  # noqa: S101 (that is all we wait for)
                match _word(ready):
                    case Moved(by=by):
                        moved(by)
                    case Broken(error=error):
                        raise error
                    case Done(result=result):
                        if left:
                            _send(ready, left.pop())
                        else:
                            del busy[ready]
                        yield result


@contextmanager
def crew(size: int, serve: Callable[..., None], *told: object) -> Iterator[Crew[Any, Any]]:
    """
    Give a crew of so many processes as long as the block lasts.

    Args:
        serve: What each of them runs: a function of a module, given its end of a connection and what is `told`.
    """
    context = multiprocessing.get_context("spawn")
    members: list[tuple[BaseProcess, Connection]] = []
    try:
        for _ in range(size):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=serve, args=(theirs, *told), daemon=True)
            process.start()
            theirs.close()
            members.append((process, ours))
        yield Crew(members)
    finally:
        for one, connection in members:
            connection.close()
            one.terminate()
        for one, _ in members:
            one.join(STOP_S)


def _send(connection: Connection, task: object) -> None:
    try:
        connection.send(task)
    except OSError as error:
        raise CrewLost(_ENDED) from error


def _word(connection: Connection) -> Word:
    try:
        word: Word = connection.recv()
    except (EOFError, OSError) as error:
        raise CrewLost(_ENDED) from error
    return word


_ENDED: Final = "a process that ran your handlers has ended: expected handlers that neither exit nor kill their process"
