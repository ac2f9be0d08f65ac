"""
``python -m tests.chaos``: one run of chaos, or a check of the history that an earlier one kept.

With ``--matrix``: a fault matrix instead (`tests.chaos.matrices`), which has options of its own.
"""

import argparse
import asyncio
import logging
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.chaos.checker import check
from tests.chaos.history import History, keep, kept
from tests.chaos.matrices import main as run_matrix
from tests.chaos.matrix.command import GATEWAYS
from tests.chaos.report import report
from tests.chaos.run import FULL, SMALL, run_chaos
from tests.chaos.stack import NAMES, stack
from tests.chaos.workers.command import WORKERS
from tests.support import ServiceMissing

MATRIX: Final = "--matrix"


def main() -> int:
    """Run, print what it was like, and return 1 if a promise was broken; then the history is kept."""
    if MATRIX in sys.argv:
        return _matrix()
    options = _options()
    if options.check is not None:
        return _told(kept(options.check))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by our own way out, which ends them all
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that a broker is away is no news here
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="cardwire-chaos-"))
    print(f"seed        {seed} (repeat with --seed {seed})")
    try:
        with stack(options.stack, folder) as services:
            plan = FULL if options.full else SMALL
            history = asyncio.run(run_chaos(plan, services, seed=seed, folder=folder, tell=_progress))
    except ServiceMissing as missing:
        shutil.rmtree(folder)
        print(f"{missing}; or without services: --stack sqlite", file=sys.stderr)
        return 2
    except BaseException:
        print(f"output      {folder} (of the processes; the run itself did not end well)")
        raise
    keep(history, folder)
    broken = _told(history)
    if broken or options.keep:
        print(f"history     {folder} (check again with --check {folder})")
    else:
        shutil.rmtree(folder)
    return broken


def _matrix() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", add_help=False, allow_abbrev=False)
    _add_matrix(parser)
    chosen, arguments = parser.parse_known_args()
    return run_matrix(arguments, GATEWAYS) if chosen.matrix == GATEWAYS.name else run_matrix(arguments, WORKERS)


def _add_matrix(parser: argparse.ArgumentParser) -> None:
    names = (GATEWAYS.name, WORKERS.name)
    parser.add_argument(
        MATRIX,
        nargs="?",
        const=GATEWAYS.name,
        choices=names,
        help="a fault matrix instead, the gateway's or the worker's; --matrix workers --help tells its options",
    )


def _progress(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}    {line}", file=sys.stderr)


def _told(history: History) -> int:
    violations = check(history)
    print(report(history, violations))
    return 1 if violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    _add_matrix(parser)
    parser.add_argument("--full", action="store_true", help="10,000 clicks and 20 kills instead of 2,000 and 8")
    parser.add_argument("--seed", type=int, help="repeat the faults and the clicks of an earlier run")
    parser.add_argument("--stack", choices=NAMES, default="services", help="Kafka and PostgreSQL, or SQLite files")
    parser.add_argument("--keep", action="store_true", help="keep the history also when all is well")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="check a kept history again, and run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
