"""Ledgers to be attacked: SQLite files and real PostgreSQL databases, on a clock of the test's or the database's."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from shared.clock import Clock, ManualClock
from tests.contract.ledger.words import Opener
from tests.support.postgres import Databases
from worker.ledger.open import open_ledger
from worker.ledger.sql_ledger import SqlLedger

BOTH: Final = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger can be made: nothing is there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def postgres_template(postgres: Databases) -> Iterator[str]:
    """A PostgreSQL database with the newest schema, to be copied."""
    url = postgres.create()
    asyncio.run(_upgraded(url))
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("ledger") / "template.db"
    asyncio.run(_upgraded(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=BOTH)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an empty ledger with the newest schema is."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "ledger.db")
        yield f"sqlite:///{copy}"
        return
    databases: Databases = request.getfixturevalue("postgres")
    url = databases.create(template=request.getfixturevalue("postgres_template"))
    yield url
    databases.drop(url)


@pytest.fixture
def clock() -> ManualClock:
    """The ledger's time, standing still until moved."""
    return ManualClock()


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    """Open ledgers by URL; all are closed in the end."""
    ledgers: list[SqlLedger] = []

    def open_one(url: str, clock: Clock | None = None) -> SqlLedger:
        ledgers.append(open_ledger(url, clock=clock))
        return ledgers[-1]

    yield open_one
    for ledger in ledgers:
        await ledger.close()


@pytest.fixture
async def ledger(ledger_url: str, clock: ManualClock, opened: Opener) -> SqlLedger:
    """A ledger on the manual clock, positions begun for three partitions."""
    one = opened(ledger_url, clock)
    await one.begin(3)
    return one


async def _upgraded(url: str) -> None:
    ledger = open_ledger(url)
    await ledger.upgrade()
    await ledger.close()
