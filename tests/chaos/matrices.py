"""
``python -m tests.chaos --matrix [gateways|workers]``: run the rows, print the table, and check each row.

What the rows are, how one is run and what it must be like is the matter of each matrix.
"""

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from tests.chaos.checker import Violation
from tests.chaos.tables import Told, heading, said, write
from tests.support import ServiceMissing

Tell = Callable[[str], None]

SEED: Final = 7
"""Unless another is given: figures that are compared come from the same faults."""


class Named(Protocol):
    """A row: its name is of one word or a few, for the command line."""

    @property
    def name(self) -> str: ...


R = TypeVar("R", bound=Named)
H = TypeVar("H", bound=Told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix(Generic[R, H]):
    """
    A fault matrix.

    Attributes:
        full: All rows, and `small`: the short ones that are part of every run of the tests.
        run: Runs rows one after another, given a folder for each one's output by its name, the seed and whom to tell.
        keep: Writes a row's history into a folder, and `kept` reads it back.
        columns: Of the table, and `cells`: those of a row.
    """

    name: str
    full: Sequence[R]
    small: Sequence[R]
    run: Callable[[Sequence[R], Path, int, Tell], AsyncGenerator[tuple[R, H], None]]
    check: Callable[[H], list[Violation]]
    keep: Callable[[H, Path], None]
    kept: Callable[[Path], H]
    columns: Sequence[str]
    cells: Callable[[R, H, Sequence[Violation]], Sequence[str]]


def main(arguments: Sequence[str], matrix: Matrix[R, H]) -> int:
    """Run the rows that are asked for, print the table, and return 1 if a promise was broken."""
    options = _options(arguments, matrix)
    if options.check is not None:
        return _checked(matrix, options.check)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by our own way out, which ends them all
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that a broker is away is no news here
    folder, load = Path(tempfile.mkdtemp(prefix=f"cardwire-{matrix.name}-")), _load()
    try:
        ran = asyncio.run(_run(matrix, options, folder))
    except ServiceMissing as missing:
        shutil.rmtree(folder)
        print(missing, file=sys.stderr)
        return 2
    except BaseException:
        print(f"output      {folder} (of the processes; a row did not end well)")
        raise
    return _told(matrix, ran, folder, load=f"{load} at the beginning, {_load()} at the end", options=options)


async def _run(matrix: Matrix[R, H], options: argparse.Namespace, folder: Path) -> list[tuple[R, H]]:
    rows = _chosen(matrix, options)
    for row in rows:
        (folder / row.name).mkdir()
    ran = []
    async with aclosing(matrix.run(rows, folder, options.seed, _progress)) as running:
        async for row, history in running:
            matrix.keep(history, folder / row.name)
            ran.append((row, history))
    return ran


def _told(
    matrix: Matrix[R, H], ran: Sequence[tuple[R, H]], folder: Path, *, load: str, options: argparse.Namespace
) -> int:
    judged = [(row, history, matrix.check(history)) for row, history in ran]
    lines = [f"| {' | '.join(matrix.cells(row, history, violations))} |" for row, history, violations in judged]
    table = [*heading(matrix.columns), *lines]
    print("\n".join(table))
    print(f"load        {load}")
    broken = [text for _, history, violations in judged for text in said(history, violations)]
    print("\n".join(("violations", *broken)) if broken else "violations  none")
    if options.write and not broken:
        write(matrix.name, table, load)
    if broken or options.keep:
        print(f"histories   {folder} (check one again with --matrix {matrix.name} --check {folder}/ROW)")
    else:
        shutil.rmtree(folder)
    return 1 if broken else 0


def _checked(matrix: Matrix[R, H], folder: Path) -> int:
    history = matrix.kept(folder)
    violations = matrix.check(history)
    print("\n".join(said(history, violations, most=100)) or "violations  none")
    return 1 if violations else 0


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}    {text}", file=sys.stderr)


def _options(arguments: Sequence[str], matrix: Matrix[R, H]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m tests.chaos --matrix {matrix.name}", description=__doc__)
    parser.add_argument("--small", action="store_true", help="the short rows that are part of every run of the tests")
    parser.add_argument("--row", action="append", help="only this one; may be given again", choices=_names(matrix))
    parser.add_argument("--seed", type=int, default=SEED, help="where anything is left to chance, draw from this one")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/fault-matrix.md")
    parser.add_argument("--keep", action="store_true", help="keep the histories also when all is well")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="check a kept row again, and run nothing")
    options = parser.parse_args(arguments)
    if options.write and (options.small or options.row):
        parser.error("--write is for the whole table: leave out --small and --row")
    if not _chosen(matrix, options):
        parser.error(f"--small has no such row: expected one of {', '.join(row.name for row in matrix.small)}")
    return options


def _chosen(matrix: Matrix[R, H], options: argparse.Namespace) -> Sequence[R]:
    rows = matrix.small if options.small else matrix.full
    return [row for row in rows if options.row is None or row.name in options.row]


def _names(matrix: Matrix[R, H]) -> Sequence[str]:
    return list(dict.fromkeys(row.name for row in (*matrix.full, *matrix.small)))
