"""
`cardwire verify`: whether the recorded history keeps the promises.

Exit codes: 0 it does, 1 it does not, 2 a setting or an option must change, 3 the log cannot be read. So an outage is
not taken for a broken promise. Only the log is read: no ledger, no group, and the platform is not called.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cardwire.cli.refusals import OUTSIDE, only_our_lines, told_in_lines
from cardwire.cli.run import with_files
from cardwire.cli.texts import plain
from shared.core.errors import CardwireError
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from shared.settings import LogSettings, load
from worker.history.half import missing_half, no_topic
from worker.history.verify import Verified, verify
from worker.history.verifying.rules import GUARANTEE
from worker.history.verifying.story import Violation

BROKEN: Final = 1
NOT_VERIFIED: Final = 3

PROGRESS_RECORDS: Final = 20_000
"""Below, the bar would be gone before anybody had read it."""


class NoLog(CardwireError):
    """There is nothing to read, or only half of it."""


def run_verify(env: Mapping[str, str], *, as_json: bool) -> int:
    """
    Verify, print what was found, and return the exit code.

    Raises:
        ConfigError: A setting is malformed.
        SystemExit: The log cannot be read, or is half a log; the line is printed.
    """
    only_our_lines()
    settings = load(LogSettings, with_files(env, Path.cwd()))
    telling = _Telling(as_json=as_json)
    try:
        with told_in_lines():
            verified = asyncio.run(_verify(settings, telling))
    except SystemExit as ended:
        raise SystemExit(NOT_VERIFIED if ended.code == OUTSIDE else ended.code) from ended
    telling.ends(verified)
    return BROKEN if verified.violations else 0


async def _verify(settings: LogSettings, telling: "_Telling") -> Verified:
    topics = Topics.prefixed(settings.topic_prefix)
    event_log = open_log(settings.url, topics=topics, kafka=settings.kafka)
    try:
        if not await event_log.spans(topics.interactions):
            raise NoLog(no_topic(topics.interactions))
        if (missing := await missing_half(event_log, topics)) is not None:
            raise NoLog(missing)
        return await verify(event_log, topics, found=telling.found, begun=telling.begins, progressed=telling.moved)
    finally:
        telling.stops()
        await event_log.close()


class _Telling:
    """Prints violations as they are found, and on a terminal how far the reading is."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._bar: tuple[Progress, TaskID] | None = None

    def begins(self, records: int) -> None:
        if self._as_json or records < PROGRESS_RECORDS or not sys.stderr.isatty():
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar = progress, progress.add_task("records", total=records)
        progress.start()

    def moved(self, by: int) -> None:
        if self._bar is not None:
            progress, task = self._bar
            progress.advance(task, by)

    def stops(self) -> None:
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None

    def found(self, violation: Violation) -> None:
        self.stops()
        if self._as_json:
            _print_json({"what": "violation", **_facts(violation)})
            return
        lies = ", ".join(map(str, violation.places))
        guarantee = GUARANTEE[violation.rule]
        typer.echo(plain(f"{guarantee} {violation.rule}  {violation.event_id}  {lies}: {violation.text}"))

    def ends(self, verified: Verified) -> None:
        if self._as_json:
            figures = {"violations": verified.violations, "records": verified.records, **verified.counts}
            times = {"took_s": round(verified.took_s, 3), "read_s": round(verified.read_s, 3)}
            _print_json({"what": "verified", **figures, **times, "records_per_s": verified.records_per_s})
            return
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in verified.counts.items() if count)
        came_to = f"{verified.violations} violations" if verified.violations else "no violation"
        typer.echo(f"{verified.records} records read{f' ({told})' if told else ''}: {came_to}")


def _facts(violation: Violation) -> Mapping[str, object]:
    places = [{"topic": at.topic, "partition": at.partition, "offset": at.offset} for at in violation.places]
    return {**asdict(violation), "guarantee": GUARANTEE[violation.rule], "places": places}


def _print_json(value: Mapping[str, object]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
