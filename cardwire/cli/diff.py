"""
`cardwire diff`: what other handlers would have decided about the recorded interactions.

Exit codes: 0 no difference, 1 a difference, 2 a setting or an option must change, 3 nothing was compared: the log
cannot be read, or holds no decisions of the period. So a release can be gated on it, and an outage is not taken for a
difference, nor for none.
"""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cardwire.cli.differences import print_findings, print_json
from cardwire.cli.letters import begun, time_of
from cardwire.cli.refusals import OUTSIDE, only_our_lines, told_in_lines
from cardwire.cli.run import with_files
from shared.core.errors import ConfigError
from worker.traveling.findings import Findings
from worker.traveling.journey import Period
from worker.traveling.partition import Trip
from worker.traveling.settings import TravelSettings
from worker.traveling.travel import Traveled, extent, travel

DIFFERENT: Final = 1
NOT_COMPARED: Final = 3

_SIGNALLED: Final = 128
"""Shells tell of a signal by this and its number."""

PROGRESS_RECORDS: Final = 20_000
"""Below, the bar would be gone before anybody had read it."""


def run_diff(
    env: Mapping[str, str],
    *,
    begin: str | None,
    end: str | None,
    examples: int,
    show_values: bool,
    as_json: bool,
) -> int:
    """
    Travel, print what differs, and return the exit code.

    Args:
        begin: Since when, as `cardwire.cli.letters.time_of` reads it; `end`: until when.
        examples: How many differences of each handler are shown.
        show_values: Show what states and cards hold, which people may have typed.

    Raises:
        ConfigError: A setting or an option is malformed, or the handlers cannot be loaded.
        SystemExit: The log cannot be compared, and the line is printed; or a signal has ended it.
    """
    only_our_lines()
    env = with_files(env, Path.cwd())
    period = period_of(begin, end, time.time_ns() // 1_000_000)
    settings = TravelSettings.load(env)
    settings.load_handlers()  # what is wrong with them is told here, and once
    began = time.monotonic()
    with told_apart(), ended_by_signals(), tempfile.TemporaryDirectory(prefix="cardwire-diff-") as folder:
        over = asyncio.run(extent(settings.log))
        trip = Trip(
            env=dict(env), folder=Path(folder), period=period, examples=examples, with_values=show_values, lists=as_json
        )
        with _progress(over.records) as moved:
            traveled = travel(trip, over, moved=moved)
        _print(traveled, time.monotonic() - began, Path(folder), as_json=as_json)
    return came_to(traveled.findings)


def came_to(findings: Findings) -> int:
    """Return the exit code: a release is not let through because there was nothing to object to."""
    if findings.differing or findings.follows:
        return DIFFERENT
    return 0 if findings.compared else NOT_COMPARED


def period_of(begin: str | None, end: str | None, now: int) -> Period:
    """
    Return the period that options name.

    Raises:
        ConfigError: They name none.
    """
    period = Period(begin=time_of("--from", begin, now), end=time_of("--to", end, now))
    if period.begin is not None and period.end is not None and period.begin >= period.end:
        raise ConfigError("--from is not before --to: expected a period, for example --from 7d --to 1d")
    begun("--from", period.begin, now)
    return period


@contextmanager
def told_apart() -> Iterator[None]:
    """Tell what is outside in lines, with an exit code that is not the one of a difference."""
    try:
        with told_in_lines():
            yield
    except SystemExit as ended:
        raise SystemExit(NOT_COMPARED if ended.code == OUTSIDE else ended.code) from ended


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End in an orderly way when told to, with the temporary files deleted, and no exit code of a comparison."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(_SIGNALLED + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(records: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far the walk is."""
    if not sys.stderr.isatty() or records < PROGRESS_RECORDS:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        walked = bar.add_task("records", total=records)
        yield lambda by: bar.advance(walked, by)


def _print(traveled: Traveled, took_s: float, folder: Path, *, as_json: bool) -> None:
    if as_json:
        for file in sorted(folder.glob("differences-*.jsonl")):
            with file.open() as lines:
                for line in lines:
                    typer.echo(line, nl=False)
        print_json(traveled, took_s)
    else:
        print_findings(traveled, took_s)
