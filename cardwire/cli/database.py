"""`cardwire db`: the ledger's schema, and what is old in it."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import typer
from rich.console import Console
from rich.progress import Progress

from cardwire.cli.ledgers import opened, refuse_without_folder
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from shared.core.secret import Secret
from shared.settings import load, section
from worker.keeping import ORDER, Keeping
from worker.ledger.port import Store
from worker.settings import ledger_url


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where the ledger is."""

    ledger: Secret = ledger_url()

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        return load(cls, env)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneSettings:
    """Where the ledger is, and how long it keeps what."""

    ledger: Secret = ledger_url()
    keeping: Keeping = section(Keeping)


def upgrade(env: Mapping[str, str], *, as_json: bool) -> None:
    """
    Bring the schema up to date.

    Raises:
        ConfigError: There is no folder for a SQLite file.
        LedgerUnavailable: The database cannot be reached.
        SchemaMismatch: It is newer than this program.
    """
    only_our_lines()
    url = DatabaseSettings.load(env).ledger.reveal()
    asyncio.run(_upgrade(url))
    typer.echo(json.dumps({"ledger": "up to date"}) if as_json else "the ledger's schema is up to date")


def prune(env: Mapping[str, str], *, dry_run: bool, as_json: bool) -> None:
    """
    Delete what is old in the ledger, as a worker does every hour.

    Args:
        dry_run: Only count.

    Raises:
        ConfigError: There is no such ledger.
        LedgerUnavailable: The database cannot be reached; what was deleted by then is gone.
        SchemaMismatch: It is not this program's.
    """
    only_our_lines()
    settings = load(PruneSettings, with_files(env, Path.cwd()))
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        task = progress.add_task("looking", total=len(ORDER))

        def on_way(store: Store, rows: int) -> None:
            progress.update(task, completed=ORDER.index(store), description=f"{store.replace('_', ' ')}: {rows} rows")

        gone = asyncio.run(_prune(settings, on_way, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "rows": gone}))
        return
    for table, number in sorted(gone.items()):
        typer.echo(f"{table:<14} {number:>10}")
    typer.echo(f"{sum(gone.values())} rows {'would be' if dry_run else 'were'} deleted")


async def _prune(settings: PruneSettings, on_way: Callable[[Store, int], None], *, dry_run: bool) -> dict[str, int]:
    from worker.retention import sweeps

    gone: Counter[str] = Counter()
    async with opened(settings.ledger.reveal()) as ledger:
        async for store, swept in sweeps(ledger, settings.keeping, dry=dry_run):
            gone.update(swept.rows)
            on_way(store, sum(gone.values()))
    return dict(gone)


async def _upgrade(url: str) -> None:
    from worker.ledger.open import open_ledger

    refuse_without_folder(url)
    ledger = open_ledger(url)
    try:
        await ledger.upgrade()
        await ledger.check()
    finally:
        await ledger.close()
