"""``python -m bench``: measure, and print tables in Markdown. ``--quick`` takes about a minute, the rest ten."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import uvloop

from bench import calls, decide, fleet, hot, latency, limits, pump, reading, rebuild, transfer, travel, verify
from bench.figures import machine, table
from bench.stacks import STACKS, Stack, stack
from shared.observability import configure_logs
from tests.support import ServiceMissing

CARDS: Final = {"mixed": 500, "hot": 1}

FULL: Final = {
    "rounds": 5, "events": 10_000, "effects": 3_000, "clicks": 600, "hot": 10_000, "records": 100_000,
    "history": 1_000_000, "rebuilt": 400_000, "verified": 600_000,
}  # fmt: skip
QUICK: Final = {
    "rounds": 3, "events": 3_000, "effects": 500, "clicks": 50, "hot": 1_000, "records": 20_000, "history": 20_000,
    "rebuilt": 20_000, "verified": 20_000,
}  # fmt: skip

_T = TypeVar("_T")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for, stack by stack."""
    wanted = _sized(_arguments().parse_args(argv))
    began = machine()
    tables: dict[tuple[str, ...], list[list[str]]] = {}
    with Path(os.devnull).open("w") as nowhere:
        configure_logs(style="json", stream=nowhere)  # lines are written, as they are in production, but not read
        for name in wanted.stack:
            try:
                with stack(name) as place:
                    for part in wanted.parts:
                        if name == "sqlite" and part in ON_SERVICES:
                            continue
                        for head, line in PARTS[part](wanted, place):
                            tables.setdefault(head, []).append(line)
                            print(table(head, [line]), flush=True)  # in case the rest does not come
            except ServiceMissing as missing:
                print(f"{name} is left out: {missing}")
    print(f"At the beginning: {began}\nAt the end: {machine()}")
    for head, lines in tables.items():
        print(f"\n{table(head, lines)}")
    return 0


Rows = Iterator[tuple[tuple[str, ...], list[str]]]
"""Rows of tables, each with its table's head."""


def _decide(wanted: argparse.Namespace, place: Stack) -> Rows:
    size = decide.Size(events=wanted.events, rounds=wanted.rounds)
    for kind, cards in CARDS.items():
        pair = _run(decide.measure(place, size, cards=cards))
        yield decide.HEAD, decide.line(f"{place.name}, {kind}", pair)


def _pump(wanted: argparse.Namespace, place: Stack) -> Rows:
    rounds = _run(pump.measure(place, effects=wanted.effects, rounds=wanted.rounds))
    yield pump.HEAD, pump.line(place.name, rounds)


def _fleet(wanted: argparse.Namespace, place: Stack) -> Rows:
    for row in fleet.lines(_run(fleet.measure(place, count=wanted.effects, rounds=wanted.rounds))):
        yield fleet.HEAD, row


def _latency(wanted: argparse.Namespace, place: Stack) -> Rows:
    yield latency.HEAD, latency.line(place.name, _run(latency.measure(place, clicks=wanted.clicks)))


def _hot(wanted: argparse.Namespace, place: Stack) -> Rows:
    for kind in ("straight", "whole"):
        measured = _run(hot.measure(place, clicks=wanted.hot, whole=kind == "whole"))
        yield hot.HEAD, hot.line(f"{place.name}, {kind}", measured)


def _limits(wanted: argparse.Namespace, place: Stack) -> Rows:
    for burst in (limits.SECONDS,) if wanted.quick else (limits.SECONDS, limits.MINUTES):
        yield limits.HEAD, limits.line(place.name, burst, _run(limits.measure(place, burst)))


def _calls(wanted: argparse.Namespace, place: Stack) -> Rows:  # noqa: ARG001 (it needs no log and no ledger)
    for row in calls.lines(_run(calls.measure(rounds=wanted.rounds))):
        yield calls.HEAD, row


def _transfer(wanted: argparse.Namespace, place: Stack) -> Rows:
    for row in reading.lines(_run(transfer.measure(place, records=wanted.records))):
        yield transfer.HEAD, row


def _verify(wanted: argparse.Namespace, place: Stack) -> Rows:
    for row in reading.lines(_run(verify.measure(place, records=wanted.verified))):
        yield verify.HEAD, row


def _diff(wanted: argparse.Namespace, place: Stack) -> Rows:
    cards = max(1, wanted.history // 20)
    yield travel.HEAD, travel.line(place.log_name, travel.measure(place, interactions=wanted.history, cards=cards))


def _rebuild(wanted: argparse.Namespace, place: Stack) -> Rows:
    for row in rebuild.lines(place.name, _run(rebuild.measure(place, events=wanted.rebuilt, rounds=wanted.rounds))):
        yield rebuild.HEAD, row


PARTS: Final[Mapping[str, Callable[[argparse.Namespace, Stack], Rows]]] = {
    "decide": _decide,
    "pump": _pump,
    "fleet": _fleet,
    "latency": _latency,
    "hot": _hot,
    "limits": _limits,
    "calls": _calls,
    "transfer": _transfer,
    "verify": _verify,
    "diff": _diff,
    "rebuild": _rebuild,
}

ON_SERVICES: Final = frozenset({"fleet", "limits", "calls", "transfer"})
"""Of no use on SQLite alone: its log is read by one worker, and a move goes from it to a broker."""


def _sized(wanted: argparse.Namespace) -> argparse.Namespace:
    for name, size in (QUICK if wanted.quick else FULL).items():
        if getattr(wanted, name) is None:
            setattr(wanted, name, size)
    return wanted


def _run(measuring: Coroutine[Any, Any, _T]) -> _T:
    """Measure on the event loop that Cardwire's processes run on."""
    loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(measuring)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, tuple(PARTS)], default=tuple(PARTS), help="what to measure; all of it"
    )
    parser.add_argument("--stack", choices=STACKS, nargs="+", default=STACKS, help="on what; both")
    parser.add_argument("--quick", action="store_true", help="small and short: to see that nothing is far off")
    parser.add_argument("--rounds", type=int, help="rounds that count; 5, quick: 3")
    parser.add_argument("--events", type=int, help="decided in a round; 10,000, quick: 3,000")
    parser.add_argument("--effects", type=int, help="performed in a round; 3,000, quick: 500")
    parser.add_argument("--clicks", type=int, help="clicks of the latency; 600, quick: 50")
    parser.add_argument("--hot", type=int, help="clicks on one hot card; 10,000, quick: 1,000")
    parser.add_argument("--records", type=int, help="moved from log to log; 100,000, quick: 20,000")
    parser.add_argument("--history", type=int, help="recorded interactions to travel through; 1,000,000, quick: 20,000")
    parser.add_argument("--rebuilt", type=int, help="records of both topics, rebuilt from; 400,000, quick: 20,000")
    parser.add_argument("--verified", type=int, help="records of both topics, verified; 600,000, quick: 20,000")
    return parser


if __name__ == "__main__":
    sys.exit(main())
