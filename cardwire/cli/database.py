"""`cardwire db`: the ledger's schema."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import typer

from cardwire.cli.refusals import only_our_lines
from shared.core.secret import Secret
from shared.settings import load
from worker.settings import ledger_url


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where the ledger is."""

    ledger: Secret = ledger_url()

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        return load(cls, env)


def upgrade(env: Mapping[str, str], *, as_json: bool) -> None:
    """
    Bring the schema up to date.

    Raises:
        LedgerUnavailable: The database cannot be reached.
        SchemaMismatch: It is newer than this program.
    """
    only_our_lines()
    url = DatabaseSettings.load(env).ledger.reveal()
    asyncio.run(_upgrade(url))
    typer.echo(json.dumps({"ledger": "up to date"}) if as_json else "the ledger's schema is up to date")


async def _upgrade(url: str) -> None:
    from worker.ledger.open import open_ledger

    ledger = open_ledger(url)
    try:
        await ledger.upgrade()
        await ledger.check()
    finally:
        await ledger.close()
