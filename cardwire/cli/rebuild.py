"""`cardwire rebuild`: a fresh ledger from the log alone. It is given nothing to call: no platform, no handlers."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cardwire.cli.ledgers import refuse_without_folder
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from shared.core.errors import CardwireError
from shared.core.secret import Secret
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from shared.settings import LogSettings, load, section
from worker.ledger.restored import Stage
from worker.memory import peak_bytes
from worker.rebuilding.rebuild import Rebuilt, Tell, rebuild, refuse_without_topics
from worker.settings import ledger_url, settle_ms

_STAGES: Final[Mapping[Stage, str]] = {"outcomes": "what was decided and done", "inputs": "what came in"}


class WorkerRuns(CardwireError):
    """A worker reads the log: it would decide on the old ledger what the new one then lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildSettings:
    """Where the log and the empty ledger are, and what a worker waits for."""

    ledger: Secret = ledger_url()
    log: LogSettings = section(LogSettings)
    settle_ms: int = settle_ms()


def run_rebuild(env: Mapping[str, str], *, as_json: bool) -> None:
    """
    Fill an empty ledger from the log, with a bar on a terminal; or go on where an earlier run ended.

    Raises:
        NoLedger: The ledger's folder is not there.
        NotEmpty: The ledger holds something.
        WorkerRuns: On SQLite: a worker reads the log.
        StartRefused: The log has no topics, or workers still run on the old ledger.
        SchemaMismatch: A PostgreSQL database without our tables, or with those of another version.
        LogUnavailable, LedgerUnavailable: They cannot be reached; run again, it goes on.
    """
    only_our_lines()
    settings = load(RebuildSettings, with_files(env, Path.cwd()))
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<25}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal) as progress:
        rebuilt = asyncio.run(_rebuild(settings, _bar(progress)))
    typer.echo(json.dumps(facts(rebuilt)) if as_json else _text(rebuilt))


async def _rebuild(settings: RebuildSettings, tell: Tell) -> Rebuilt:
    from worker.ledger.restoring import open_restoring

    url = settings.ledger.reveal()
    topics = Topics.prefixed(settings.log.topic_prefix)
    async with AsyncExitStack() as stack:
        event_log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
        stack.push_async_callback(event_log.close)
        await _refuse_beside_worker(event_log)
        await refuse_without_topics(event_log, topics)
        refuse_without_folder(url)
        ledger = open_restoring(url, settle_ms=settings.settle_ms)
        stack.push_async_callback(ledger.close)
        await ledger.check()
        return await rebuild(event_log, ledger, topics, tell=tell)


async def _refuse_beside_worker(event_log: EventLog) -> None:
    from shared.eventlog.sqlite.log import SqliteLog

    process = await event_log.reader() if isinstance(event_log, SqliteLog) else None
    if process is not None:
        raise WorkerRuns(
            f"a worker, process {process}, reads this log: stop it first (with `cardwire run`, the whole of it), and "
            "run `cardwire rebuild` again"
        )


def _bar(progress: Progress) -> Tell:
    tasks: dict[Stage, TaskID] = {}

    def tell(stage: Stage, done: int, of: int) -> None:
        if stage not in tasks:
            tasks[stage] = progress.add_task(_STAGES[stage], total=of)
        progress.update(tasks[stage], completed=done)

    return tell


def facts(rebuilt: Rebuilt) -> dict[str, Any]:
    """Return what a rebuild came to, as it is told to programs."""
    records = sum(rebuilt.records.values())
    finished = rebuilt.finished
    return {
        "records": dict(rebuilt.records),
        "resumed": rebuilt.resumed,
        "rows": dict(finished.rows),
        "not_restored": {
            "unreadable_records": rebuilt.unreadable,
            "inputs_without_decision": rebuilt.forgotten,
            "letters_without_input": finished.letters_lost,
            "sends_perhaps_made": finished.sends_unsure,
            "sends_to_end_unknown": finished.sends_unknown,
        },
        "seconds": round(rebuilt.seconds, 3),
        "records_per_second": round(records / rebuilt.seconds) if rebuilt.seconds else records,
        "peak_rss_mb": peak_bytes() >> 20,
    }


def _text(rebuilt: Rebuilt) -> str:
    told = facts(rebuilt)
    read = " + ".join(f"{number:,} {_STAGES[stage]}" for stage, number in rebuilt.records.items())
    rows = ", ".join(f"{number:,} {table}" for table, number in told["rows"].items())
    lost = [f"{number:,} {name.replace('_', ' ')}" for name, number in told["not_restored"].items() if number]
    return "\n".join(
        (
            f"read      {read}{' (went on where an earlier run ended)' if rebuilt.resumed else ''}",
            f"holds     {rows}",
            f"lost      {', '.join(lost) or 'nothing that the log can tell'}",
            f"took      {rebuilt.seconds:.1f} s, {told['records_per_second']:,} records/s, {told['peak_rss_mb']} MB",
            "The ledger is whole: start the workers.",
        )
    )
