"""``python -m tests.chaos --matrix``: run the rows, print the table, and check each row."""

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.chaos.matrix.history import RowHistory, keep, kept
from tests.chaos.matrix.place import Place
from tests.chaos.matrix.rows import FULL, SMALL, Row
from tests.chaos.matrix.rules import check
from tests.chaos.matrix.run import run_row
from tests.chaos.matrix.table import HEAD, line, said, write
from tests.support import ServiceMissing
from tests.support.kafka import KafkaBroker, KafkaCluster


def main(arguments: Sequence[str]) -> int:
    """Run the rows that are asked for, print the table, and return 1 if a promise was broken."""
    options = _options(arguments)
    if options.check is not None:
        return _checked(options.check)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by our own way out, which ends them all
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that a broker is away is no news here
    folder, load = Path(tempfile.mkdtemp(prefix="cardwire-matrix-")), _load()
    try:
        ran = list(_run(_chosen(options), folder))
    except ServiceMissing as missing:
        shutil.rmtree(folder)
        print(missing, file=sys.stderr)
        return 2
    except BaseException:
        print(f"output      {folder} (of the processes; a row did not end well)")
        raise
    return _told(ran, folder, load=f"{load} at the beginning, {_load()} at the end", options=options)


def _run(rows: Sequence[Row], folder: Path) -> Iterator[tuple[Row, RowHistory]]:
    for brokers in (1, 3):
        of_these = [row for row in rows if row.brokers == brokers]
        if not of_these:
            continue
        with _brokers(brokers) as place:
            for row in of_these:
                inside = folder / row.name
                inside.mkdir()
                _progress(f"{row.name}: {row.what}")
                history = asyncio.run(run_row(row, place, prefix=f"{row.name}.", folder=inside, tell=_progress))
                keep(history, inside)
                yield row, history


@contextmanager
def _brokers(count: int) -> Iterator[Place]:
    with closing(KafkaBroker() if count == 1 else KafkaCluster()) as ours:
        _progress(f"starting {count} {'broker' if count == 1 else 'brokers'}")
        ours.start()
        yield Place(brokers=[ours] if isinstance(ours, KafkaBroker) else ours.brokers)


def _told(ran: Sequence[tuple[Row, RowHistory]], folder: Path, *, load: str, options: argparse.Namespace) -> int:
    judged = [(row, history, check(history)) for row, history in ran]
    table = [*HEAD, *(line(row, history, violations) for row, history, violations in judged)]
    print("\n".join(table))
    print(f"load        {load}")
    broken = [text for _, history, violations in judged for text in said(history, violations)]
    print("\n".join(("violations", *broken)) if broken else "violations  none")
    if options.write and not broken:
        write(table, load)
    if broken or options.keep:
        print(f"histories   {folder} (check one again with --matrix --check {folder}/ROW)")
    else:
        shutil.rmtree(folder)
    return 1 if broken else 0


def _checked(folder: Path) -> int:
    history = kept(folder)
    violations = check(history)
    print("\n".join(said(history, violations, most=100)) or "violations  none")
    return 1 if violations else 0


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}    {text}", file=sys.stderr)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos --matrix", description=__doc__)
    parser.add_argument("--small", action="store_true", help="the short rows that are part of every run of the tests")
    parser.add_argument("--row", action="append", help="only this one; may be given again", choices=_names())
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/fault-matrix.md")
    parser.add_argument("--keep", action="store_true", help="keep the histories also when all is well")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="check a kept row again, and run nothing")
    options = parser.parse_args(arguments)
    if options.write and (options.small or options.row):
        parser.error("--write is for the whole table: leave out --small and --row")
    if not _chosen(options):
        parser.error(f"--small has no such row: expected one of {', '.join(row.name for row in SMALL)}")
    return options


def _chosen(options: argparse.Namespace) -> Sequence[Row]:
    return [row for row in (SMALL if options.small else FULL) if options.row is None or row.name in options.row]


def _names() -> Sequence[str]:
    return list(dict.fromkeys(row.name for row in (*FULL, *SMALL)))
