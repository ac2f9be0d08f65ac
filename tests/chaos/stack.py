"""What a run stands on: a log and a ledger, with the broker that may be broken, if there is one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.support.kafka import KafkaBroker
from tests.support.postgres import PostgresServer

StackName = Literal["services", "sqlite"]
NAMES: Final[tuple[StackName, ...]] = ("services", "sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """
    Log and ledger.

    Attributes:
        workers: How many workers can share them: a SQLite log has one reader.
        broker: Ours to break, and `server`: the database's; ``None`` where there is none.
    """

    log: str
    ledger: str
    workers: int
    broker: KafkaBroker | None = None
    server: PostgresServer | None = None


def on_services(broker: KafkaBroker, ledger: str, server: PostgresServer | None = None) -> Stack:
    """Return a stack on a broker of ours and an empty PostgreSQL database, whose server may be ours to break."""
    return Stack(log=f"kafka://{broker.bootstrap}", ledger=ledger, workers=2, broker=broker, server=server)


def on_sqlite(folder: Path) -> Stack:
    """Return a stack of files."""
    return Stack(log=f"sqlite:///{folder}/log.db", ledger=f"sqlite:///{folder}/ledger.db", workers=1)


@contextmanager
def stack(name: StackName, folder: Path) -> Iterator[Stack]:
    """Start what a stack needs, and end it. Raises `ServiceMissing` where that is not installed."""
    if name == "sqlite":
        yield on_sqlite(folder)
        return
    with running() as (broker, server):
        yield on_services(broker, server.databases.create(), server)


@contextmanager
def running(*, fsync: bool = True) -> Iterator[tuple[KafkaBroker, PostgresServer]]:
    """
    Run a broker and a database server of our own.

    Args:
        fsync: Whether the database waits for its disk: without, only the machine's own end would lose anything.

    Raises:
        ServiceMissing: One of them is not installed.
    """
    with ExitStack() as services:
        broker, server = KafkaBroker(), PostgresServer(fsync=fsync)
        services.callback(broker.close)
        services.callback(server.close)
        server.start()
        broker.start()
        yield broker, server
