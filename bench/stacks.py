"""What a benchmark stands on: log and ledger with fsync, and the processes whose CPU time counts as theirs."""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.support.kafka import KafkaBroker
from tests.support.postgres import PostgresServer

StackName = Literal["sqlite", "postgres"]
STACKS: Final[tuple[StackName, ...]] = ("sqlite", "postgres")

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """
    A place for logs and ledgers.

    Attributes:
        new_log: Returns the URL of a log without records.
        new_ledger: Returns the URL of a database without tables.
        database_pids: The database's own processes; none for SQLite, which runs in ours.
        broker_pids: The broker's.
    """

    name: StackName
    new_log: Callable[[], tuple[str, str]]
    new_ledger: Callable[[], str]
    database_pids: Sequence[int] = ()
    broker_pids: Sequence[int] = ()

    @property
    def log_name(self) -> str:
        """What its logs are called in tables."""
        return {"sqlite": "SQLite", "postgres": "Kafka"}[self.name]


@contextmanager
def stack(name: StackName) -> Iterator[Stack]:
    """Start what a stack needs, and end it. Raises `ServiceMissing` where that is not installed."""
    with ExitStack() as ending:
        if name == "sqlite":
            yield _sqlite(Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="cardwire-bench-"))))
        else:
            yield _services(ending)


def _sqlite(folder: Path) -> Stack:
    return Stack(
        name="sqlite",
        new_log=lambda: (f"sqlite:///{folder}/log-{next(_numbers)}.db", ""),
        new_ledger=lambda: f"sqlite:///{folder}/ledger-{next(_numbers)}.db",
    )


def _services(ending: ExitStack) -> Stack:
    server, broker = PostgresServer(fsync=True), KafkaBroker()
    ending.callback(server.close)
    ending.callback(broker.close)
    server.start()
    broker.start()
    assert server.pid is not None
    assert broker.pid is not None
    return Stack(
        name="postgres",
        new_log=lambda: (f"kafka://{broker.bootstrap}", f"bench-{next(_numbers)}."),
        new_ledger=server.databases.create,
        database_pids=[server.pid],
        broker_pids=[broker.pid],
    )
