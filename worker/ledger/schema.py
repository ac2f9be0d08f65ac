"""
The schema's version: looked at by every worker, changed by one process at a time.

PostgreSQL is changed only on demand (``cardwire db upgrade``); a SQLite file belongs to one machine and is made and
changed by whichever process looks first.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, column, func, inspect, select, table

from worker.ledger.engine import Database
from worker.ledger.port import SchemaMismatch

SCHEMA: Final = "0018"
"""The newest migration: what this program reads and writes."""

_LOCK: Final = 0x63617264
"""PostgreSQL's advisory lock of the migration; any number that nobody else uses."""

_VERSIONS: Final = table("alembic_version", column("version_num"))


async def check(database: Database) -> None:
    """
    Compare the database's schema with this program's; make or upgrade a SQLite file.

    Raises:
        SchemaMismatch: With the command that mends it.
    """
    found = await database.snapshot(_version)
    if database.dialect == "sqlite" and (found is None or found < SCHEMA):
        await upgrade(database)
        return
    _compare(found, database.place)


async def look(database: Database) -> None:
    """
    Compare the database's schema with this program's, and leave it as it is.

    Raises:
        SchemaMismatch: With the command that mends it.
    """
    _compare(await database.snapshot(_version), database.place)


async def upgrade(database: Database) -> None:
    """Bring the schema up to date, in one transaction; processes that do so at once wait for each other."""

    def upgrade(connection: Connection) -> None:
        if database.dialect == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        found = _version(connection)
        if found is not None and found > SCHEMA:
            _compare(found, database.place)
        _migrate(connection)

    await database.transaction(upgrade)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    version: str | None = connection.execute(select(_VERSIONS.c.version_num)).scalar()
    return version


def _compare(found: str | None, place: str) -> None:
    if found is None:
        raise SchemaMismatch(f"the ledger at {place} has no tables yet: run `cardwire db upgrade`")
    if found < SCHEMA:
        raise SchemaMismatch(
            f"the ledger at {place} has schema {found}, this program needs {SCHEMA}: run `cardwire db upgrade`"
        )
    if found > SCHEMA:
        raise SchemaMismatch(
            f"the ledger at {place} has schema {found}, newer than this program's {SCHEMA}: upgrade Cardwire here "
            "(`cardwire db upgrade` never goes back)"
        )


def _migrate(connection: Connection) -> None:
    config = Config(attributes={"connection": connection})
    # A percent sign in a path would be read as a reference to another option.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
