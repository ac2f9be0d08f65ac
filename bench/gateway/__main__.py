"""
``python -m bench.gateway``: what a click costs the gateway, beside what people run instead; tables in Markdown.

The server has one core to itself; this program, its load and the broker run on the others. ``--quick`` takes about a
minute, the rest twenty.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from bench.figures import machine, table
from bench.gateway import correct, memory, report, rounds
from bench.gateway.callbacks import Callback, callbacks
from bench.gateway.contenders import Contender, contender
from bench.work import make
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from tests.support import ServiceMissing
from tests.support.kafka import KafkaBroker

PARTS: Final = ("saturated", "paced", "memory", "correct")
SATURATED: Final = ("cardwire", "cardwire-2", "cardwire-sqlite", "naive", "flask", "go")
PACED: Final = ("cardwire", "cardwire-2", "cardwire-sqlite", "cardwire-spill", "naive", "go")
OURS: Final = ("cardwire", "cardwire-sqlite")
RATES: Final = (500, 1_000)
PREFIX: Final = "bench."

FULL: Final = {"rounds": 9, "paced_rounds": 5, "seconds": 3.0, "clicks": 20_000, "memory_clicks": 100_000}
QUICK: Final = {"rounds": 3, "paced_rounds": 1, "seconds": 1.0, "clicks": 5_000, "memory_clicks": 10_000}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for."""
    wanted = _arguments().parse_args(argv)
    for name, size in (QUICK if wanted.quick else FULL).items():
        if getattr(wanted, name) is None:
            setattr(wanted, name, size)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("python -m bench.gateway: expected two cores or more, one of them for the server alone", file=sys.stderr)
        return 1
    os.sched_setaffinity(0, cores[1:])
    print(f"At the beginning: {machine()}", flush=True)
    made = callbacks(wanted.clicks)
    with _broker() as kafka:
        for part in wanted.parts:
            MEASURES[part](wanted, kafka, made, cores[0])
    print(f"\nAt the end: {machine()}")
    return 0


def _saturated(wanted: argparse.Namespace, kafka: str, made: Sequence[Callback], core: int) -> None:
    def measure(each: Contender) -> rounds.Sample:
        return rounds.saturated(each, made, core=core, warm_up_s=1.0, seconds=wanted.seconds)

    found = _counted(_there(wanted.servers or SATURATED, kafka), measure, wanted.rounds)
    print(f"\n{table(report.SATURATED_HEAD, report.saturated_lines(found))}", flush=True)


def _paced(wanted: argparse.Namespace, kafka: str, made: Sequence[Callback], core: int) -> None:
    lines = []
    for rate in RATES:

        def measure(each: Contender, rate: int = rate) -> rounds.Sample:
            return rounds.paced(each, made, core=core, rate=rate, seconds=wanted.seconds)

        found = _counted(_there(wanted.servers or PACED, kafka), measure, wanted.paced_rounds)
        lines += report.paced_lines(found, rate)
    print(f"\n{table(report.PACED_HEAD, lines)}", flush=True)


def _memory(wanted: argparse.Namespace, kafka: str, made: Sequence[Callback], core: int) -> None:
    servers = _there(wanted.servers or OURS, kafka)
    seen = [(each.name, memory.memory(each, made, core=core, clicks=wanted.memory_clicks)) for each in servers]
    print(f"\n{table(report.MEMORY_HEAD, [report.memory_line(*each) for each in seen])}", flush=True)


def _correct(wanted: argparse.Namespace, kafka: str, _made: Sequence[Callback], core: int) -> None:
    async def measure() -> correct.ReadBack:
        topics = Topics.prefixed(PREFIX)
        log = open_log(f"kafka://{kafka}", topics=topics)
        try:
            # Of their own numbers: nothing of the other parts may count.
            own = callbacks(wanted.clicks + 1, first=10_000_000)
            return await correct.read_back(_there(["cardwire"], kafka)[0], log, topics.interactions, own, core=core)
        finally:
            await log.close()

    seen = asyncio.run(measure())
    print(f"\n{table(report.READ_BACK_HEAD, [report.read_back_line('cardwire', seen)])}", flush=True)


MEASURES: Final = {"saturated": _saturated, "paced": _paced, "memory": _memory, "correct": _correct}


def _there(names: Sequence[str], kafka: str) -> list[Contender]:
    """Return those that can be run here, and say who is left out."""
    found = []
    for name in names:
        try:
            found.append(contender(name, kafka=kafka, prefix=PREFIX))
        except ServiceMissing as missing:
            print(f"{name} is left out: {missing}")
    return found


def _counted(contenders: Sequence[Contender], measure: rounds.Measure, count: int) -> list[rounds.Round]:
    """Return the rounds that count, and print each as it comes; fewer than wanted are no measurement."""
    counted = []
    for found, void in rounds.rounds(contenders, measure, count=count, most=2 * count):
        told = ", ".join(f"{name} {found[name].cpu_us:.0f}" for name in sorted(found))
        print(f"CPU µs/click: {told}{f' (void: {void})' if void else ''}", flush=True)
        if not void:
            counted.append(found)
    if len(counted) < count:
        raise SystemExit(
            f"only {len(counted)} of {2 * count} rounds count, and {count} are wanted: try a quieter machine"
        )
    return counted


@contextmanager
def _broker() -> Iterator[str]:
    broker = KafkaBroker()
    try:
        broker.start()
        asyncio.run(_make_topics(broker.bootstrap))
        yield broker.bootstrap
    finally:
        broker.close()


async def _make_topics(kafka: str) -> None:
    topics = Topics.prefixed(PREFIX)
    log = open_log(f"kafka://{kafka}", topics=topics)
    try:
        await make(log, topics)
    finally:
        await log.close()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, PARTS], default=PARTS, help="what to measure; all of it")
    parser.add_argument("--servers", nargs="+", help="of whom; see bench/gateway/contenders.py")
    parser.add_argument("--quick", action="store_true", help="small and short: to see that nothing is far off")
    parser.add_argument("--rounds", type=int, help="that count, saturated; 9, quick: 3")
    parser.add_argument("--paced-rounds", type=int, help="for each rate; 5, quick: 1")
    parser.add_argument("--seconds", type=float, help="of each measurement; 3, quick: 1")
    parser.add_argument("--clicks", type=int, help="different ones; 20,000, quick: 5,000")
    parser.add_argument("--memory-clicks", type=int, help="twice; 100,000, quick: 10,000")
    return parser


if __name__ == "__main__":
    sys.exit(main())
