"""The database is made, upgraded, lost and found again (worker/ledger/port.py)."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from shared.core.errors import ConfigError, LedgerUnavailable
from shared.core.ids import EventId, MessageId, Target
from tests.contract.ledger.words import (
    APP,
    CARD,
    Decider,
    Opener,
    effect,
    lease,
    on,
    only,
)
from tests.support.postgres import PostgresServer
from worker.ledger import schema
from worker.ledger.leased import EffectKey, TargetKey
from worker.ledger.port import SchemaMismatch
from worker.ledger.sql_ledger import SqlLedger
from worker.ledger.tables import METADATA


async def test_processes_may_upgrade_at_once(empty_url: str, opened: Opener) -> None:
    """Whoever comes first makes the schema, the others wait for it; doing it again changes nothing."""
    ledgers = [opened(empty_url) for _ in range(4)]
    await asyncio.gather(*(ledger.upgrade() for ledger in ledgers))
    await ledgers[0].begin(2)
    await ledgers[1].upgrade()
    await asyncio.gather(*(ledger.check() for ledger in ledgers))
    assert {0, 1} == set(await ledgers[2].positions())


async def test_the_ledgers_own_clock_runs(ledger_url: str, opened: Opener) -> None:
    """Without a clock given, the database's is the time of day in milliseconds."""
    ledger, machine = opened(ledger_url), asyncio.get_running_loop()
    began = machine.time()
    first, second = await ledger.now(), await ledger.now()
    assert 0 <= second - first <= (machine.time() - began) * 1000 + 1
    assert first > 1_700_000_000_000


async def test_a_sqlite_ledger_makes_itself(tmp_path: Path, opened: Opener) -> None:
    """A new file is ready after the check that every worker starts with."""
    ledger = opened(f"sqlite:///{tmp_path / 'new.db'}")
    await ledger.check()
    assert {} == await ledger.positions()


@pytest.mark.postgres
async def test_a_missing_schema_is_named_with_what_to_do(postgres_url: str, opened: Opener) -> None:
    """PostgreSQL is never changed by looking at it."""
    with pytest.raises(SchemaMismatch, match="has no tables yet: run `cardwire db upgrade`"):
        await opened(postgres_url).check()


@pytest.mark.postgres
async def test_an_old_schema_is_named_with_what_to_do(postgres_url: str, opened: Opener) -> None:
    """The text names both versions and the command."""
    await _stamp(postgres_url, "0000")
    with pytest.raises(
        SchemaMismatch, match=f"schema 0000, this program needs {schema.SCHEMA}: run `cardwire db upgrade`"
    ):
        await opened(postgres_url).check()


@pytest.mark.postgres
async def test_a_newer_schema_is_left_alone(postgres_url: str, opened: Opener) -> None:
    """An old program neither works on it nor changes it."""
    await _stamp(postgres_url, "9999")
    ledger = opened(postgres_url)
    with pytest.raises(SchemaMismatch, match="upgrade Cardwire"):
        await ledger.check()
    with pytest.raises(SchemaMismatch, match="upgrade Cardwire"):
        await ledger.upgrade()


async def _stamp(url: str, version: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
    await connection.execute("INSERT INTO alembic_version VALUES ($1)", version)
    await connection.close()


async def test_the_migrations_make_what_the_program_uses(empty_url: str, opened: Opener) -> None:
    """Tables, columns, keys and indexes of a migrated database are those that the statements are written for."""
    await opened(empty_url).upgrade()
    assert [] == await asyncio.to_thread(_differences, empty_url)


def _differences(url: str) -> list[Any]:
    async def compared() -> list[Any]:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as connection:
            found = await connection.run_sync(_compare)
        await engine.dispose()
        return found

    if url.startswith("postgresql"):
        return asyncio.run(compared())
    engine = create_engine(url)
    with engine.connect() as connection:
        found = _compare(connection)
    engine.dispose()
    return found


def _compare(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA))


def test_this_program_needs_the_newest_migration() -> None:
    """The version that a worker asks for is the head of the history, and the history has one head."""
    assert [schema.SCHEMA] == ScriptDirectory(str(Path(schema.__file__).parent / "migrations")).get_heads()


@pytest.mark.postgres
async def test_an_option_that_the_driver_does_not_know_is_a_wrong_setting(postgres_url: str, opened: Opener) -> None:
    """It is not taken for refused data, nor for an outage that may end."""
    with pytest.raises(ConfigError, match="CARDWIRE_LEDGER holds an option"):
        await opened(f"{postgres_url}?sslmode=maybe").check()


async def test_a_folder_that_is_not_there_is_an_outage(tmp_path: Path, opened: Opener) -> None:
    """The error is about the database, and names no data."""
    with pytest.raises(LedgerUnavailable):
        await opened(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.db'}").check()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@h/db",
        "sqlite://",
        "ledger.db",
        "postgresql://user:secret@[half",
        "postgresql://user:secret@h:x/db",
    ],
)
def test_a_url_that_names_no_database_is_a_wrong_setting(url: str, opened: Opener) -> None:
    """The line names the setting and an example, not the URL, which may hold a password."""
    with pytest.raises(ConfigError, match=r"CARDWIRE_LEDGER .*for example postgresql://") as refused:
        opened(url)
    assert "secret" not in str(refused.value)


@pytest.mark.postgres
async def test_a_killed_database_is_an_outage_that_ends(postgres_server: PostgresServer, opened: Opener) -> None:
    """While it is away every call says so; afterwards the same ledger works, and what was committed is there."""
    url = postgres_server.databases.create()
    ledger = opened(url)
    await ledger.upgrade()
    await ledger.begin(1)
    decider = Decider(ledger)
    await decider.decide("e1", effect("e1"))
    postgres_server.kill()
    for call in (ledger.now, ledger.check, decider.write, lambda: lease(ledger), ledger.outbox_depth):
        with pytest.raises(LedgerUnavailable):
            await call()
    postgres_server.start()
    await _answers(ledger)
    await decider.decide("e2", effect("e2"))
    assert ["e1", "e2"] == [head.event_id for head in (await only(ledger)).heads]
    await ledger.close()
    postgres_server.databases.drop(url)


async def _answers(ledger: SqlLedger) -> None:
    for _ in range(50):
        try:
            await ledger.now()
        except LedgerUnavailable:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("the ledger did not come back")


async def test_closing_twice_is_fine(ledger: SqlLedger) -> None:
    """Whatever was or was not opened is released."""
    await ledger.close()
    await ledger.close()


def test_keys_name_what_they_are() -> None:
    """A key is readable where it is printed, and an effect's knows which of its event's it is."""
    assert "EffectKey(app_id='cli_a', event_id='e1', nth=2)" == repr(EffectKey(APP, EventId("e1"), 2))
    assert TargetKey(APP, Target("chat:oc")) == on("chat:oc")
    assert MessageId("om_card") == CARD
