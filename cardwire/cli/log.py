"""`cardwire log export` and `import`: the log as files, from one back end to another."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from shared.clock import SystemClock
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import Topics
from shared.settings import LogSettings, load
from worker.transfer.exporting import Exported, export_log
from worker.transfer.importing import Imported, import_log
from worker.transfer.manifest import Manifest

APPEND_TIMEOUT_S: Final = 30.0
"""Nobody waits for an answer: a slow disk or a busy broker may take its time."""

NEXT: Final = "cardwire rebuild"


def export(env: Mapping[str, str], folder: str, *, as_json: bool) -> None:
    """
    Bring what the log holds now into a folder.

    Raises:
        NotAnExport: The folder cannot be written, or its manifest not be read.
        TransferRefused: The folder holds something else, or another log.
        LogUnavailable: The log cannot be read.
    """
    done: Exported = asyncio.run(_export(env, Path(folder), as_json=as_json))
    if as_json:
        typer.echo(json.dumps({**_facts(folder, done.manifest), "new": done.new}))
        return
    typer.echo(f"{done.manifest.records:,} records are in {folder}, {done.new:,} of them new")
    typer.echo("they hold what people typed, and tokens: keep the folder as you keep the log")


def bring(env: Mapping[str, str], folder: str, *, as_json: bool) -> None:
    """
    Bring a folder's records into the log, compare both, and name the next step.

    Raises:
        NotAnExport: The folder is none of an exported log.
        TransferRefused: Folder and log do not fit together.
        LogUnavailable: The log cannot be reached, or has no such topics.
    """
    done: Imported = asyncio.run(_import(env, Path(folder), as_json=as_json))
    if as_json:
        told = {**_facts(folder, done.manifest), "new": done.new, "repeated": done.repeated, "next": NEXT}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{done.manifest.records:,} records of {folder} are in the log, {done.new:,} of them new: "
               "counts and digests are equal")  # fmt: skip
    if done.repeated:
        typer.echo(f"{done.repeated:,} are there twice, with the same ids: workers decide them once")
    if done.new:
        typer.echo("the log keeps them as if they had been recorded now: their 33 days begin anew")
        typer.echo(f"next: {NEXT}")
    else:  # an earlier run brought them, perhaps one that was broken off before it could say so
        typer.echo(f"next: {NEXT}, unless a ledger was rebuilt from this log since they came")


async def _export(env: Mapping[str, str], folder: Path, *, as_json: bool) -> Exported:
    async with opened(env) as (event_log, topics):
        with _bar(as_json=as_json) as bar:
            return await export_log(
                event_log, topics, folder, clock=SystemClock(), version=version("cardwire"), told=bar
            )


async def _import(env: Mapping[str, str], folder: Path, *, as_json: bool) -> Imported:
    async with opened(env) as (event_log, topics):
        with _bar(as_json=as_json) as bar:
            return await import_log(event_log, topics, folder, clock=SystemClock(), told=bar)


@asynccontextmanager
async def opened(env: Mapping[str, str]) -> AsyncIterator[tuple[OpenedLog, Topics]]:
    """Give the log that the settings name, or that of a `cardwire run` in this folder, and its topics."""
    only_our_lines()
    settings = load(LogSettings, with_files(env, Path.cwd()))
    topics = Topics.prefixed(settings.topic_prefix)
    event_log = open_log(settings.url, topics=topics, kafka=settings.kafka, append_timeout_s=APPEND_TIMEOUT_S)
    try:
        yield event_log, topics
    finally:
        await event_log.close()


@dataclass(slots=True, kw_only=True)
class _Bar:
    """A progress bar on standard error, and lines about what is not as usual."""

    progress: Progress
    _task: TaskID | None = field(default=None, init=False)

    def stage(self, name: str, total: int) -> None:
        if self._task is not None:
            self.progress.remove_task(self._task)
        self._task = self.progress.add_task(name, total=total)

    def advance(self, steps: int) -> None:
        if self._task is not None:
            self.progress.advance(self._task, steps)

    def say(self, line: str) -> None:
        self.progress.console.print(f"cardwire: {line}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _bar(*, as_json: bool) -> Iterator[_Bar]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        yield _Bar(progress=progress)


def _facts(folder: str, manifest: Manifest) -> dict[str, Any]:
    return {
        "folder": folder,
        "records": manifest.records,
        "topics": [
            {
                "topic": topic.topic,
                "partitions": [
                    {name: getattr(part, name) for name in ("partition", "begin", "end", "records", "sha256")}
                    for part in topic.partitions
                ],
            }
            for topic in manifest.topics
        ],
    }
