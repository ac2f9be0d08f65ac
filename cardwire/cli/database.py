"""`cardwire db`: the ledger's schema, and what is old in it and in a SQLite log."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import typer
from rich.console import Console
from rich.progress import Progress

from cardwire.cli.ledgers import opened, refuse_without_folder
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from shared.core.secret import Secret
from shared.eventlog.open import open_log
from shared.eventlog.port import TOPICS, Topics
from shared.settings import LogSettings, load, section
from worker.keeping import ORDER, Keeping, in_log
from worker.settings import ledger_url

_STORES: Final = (*ORDER, *in_log(TOPICS))
"""In the order in which they are pruned."""


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
    """Where ledger and log are, and how long the ledger keeps what."""

    ledger: Secret = ledger_url()
    log: LogSettings = section(LogSettings)
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
    Delete what is old in the ledger and in a SQLite log, as a worker does every hour.

    Args:
        dry_run: Only count.

    Raises:
        ConfigError: There is no such ledger.
        LedgerUnavailable, LogUnavailable: They cannot be reached; what was deleted by then is gone.
        SchemaMismatch: It is not this program's.
    """
    only_our_lines()
    settings = load(PruneSettings, with_files(env, Path.cwd()))
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        task = progress.add_task("looking", total=len(_STORES))

        def on_way(store: str, rows: int) -> None:
            progress.update(task, completed=_STORES.index(store), description=f"{store.replace('_', ' ')}: {rows} rows")

        gone = asyncio.run(_prune(settings, on_way, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "rows": gone}))
        return
    for table, number in sorted(gone.items()):
        typer.echo(f"{table:<16} {number:>10}")
    typer.echo(f"{sum(gone.values())} rows {'would be' if dry_run else 'were'} deleted")


async def _prune(settings: PruneSettings, on_way: Callable[[str, int], None], *, dry_run: bool) -> dict[str, int]:
    from worker.retention import prunes, sweeps

    gone: Counter[str] = Counter()
    topics = Topics.prefixed(settings.log.topic_prefix)
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(opened(settings.ledger.reveal()))
        event_log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
        stack.push_async_callback(event_log.close)
        async for store, swept in sweeps(ledger, settings.keeping, dry=dry_run):
            gone.update(swept.rows)
            on_way(store, sum(gone.values()))
        async for name, records in prunes(event_log, topics, dry=dry_run):
            gone[name] += records
            on_way(name, sum(gone.values()))
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
