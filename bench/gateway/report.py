"""The tables of docs/reference/benchmarks.md."""

import statistics
from collections.abc import Sequence

from bench.figures import spread
from bench.gateway.correct import ReadBack
from bench.gateway.memory import Memory
from bench.gateway.rounds import Round

SATURATED_HEAD = (
    "64 connections, closed loop", "CPU µs/click (min / median / max)", "× Go SDK", "× naive", "clicks/s",
    "first answer, s", "RSS, MB",
)  # fmt: skip
PACED_HEAD = (
    "open loop", "CPU µs/click (min / median / max)", "× Go SDK", "p50 / p99 of the best round, ms",
    "naive's p50 / p99 of that round",
)  # fmt: skip
MEMORY_HEAD = ("memory", "clicks", "RSS at start, MB", "after them", "after as many again")
READ_BACK_HEAD = ("read-back", "answered", "clicks in the topic", "marks behind them", "log lines", "wrong")


def saturated_lines(found: Sequence[Round]) -> list[list[str]]:
    """Return a row for each server; see `SATURATED_HEAD`."""
    return [
        [
            name,
            spread([each[name].cpu_us for each in found]),
            _ratio(found, name, "go"),
            _ratio(found, name, "naive"),
            spread([each[name].rate for each in found]),
            spread([each[name].first_answer_s for each in found], 2),
            f"{statistics.median(each[name].rss_mb for each in found):.0f}",
        ]
        for name in sorted(found[0])
    ]


def paced_lines(found: Sequence[Round], rate: int) -> list[list[str]]:
    """Return a row for each server; see `PACED_HEAD`."""
    lines = []
    for name in sorted(found[0]):
        best = min(found, key=lambda each: each[name].p99_ms)
        beside = best.get("naive")
        lines.append(
            [
                f"{name}, {rate:,}/s",
                spread([each[name].cpu_us for each in found]),
                _ratio(found, name, "go"),
                f"{best[name].p50_ms:.2f} / {best[name].p99_ms:.1f}",
                "" if beside is None else f"{beside.p50_ms:.2f} / {beside.p99_ms:.1f}",
            ]
        )
    return lines


def memory_line(name: str, seen: Memory) -> list[str]:
    """Return the row of a server; see `MEMORY_HEAD`."""
    return [name, f"{seen.clicks:,}", f"{seen.at_start:.1f}", f"{seen.first:.1f}", f"{seen.second:.1f}"]


def read_back_line(name: str, seen: ReadBack) -> list[str]:
    """Return the row of a gateway; see `READ_BACK_HEAD`."""
    wrong = "nothing" if not seen.wrong else f"{len(seen.wrong)}, as: {seen.wrong[0]}"
    return [name, f"{seen.answered:,}", f"{seen.clicks:,}", f"{seen.marks:,}", f"{seen.lines:,}", wrong]


def _ratio(found: Sequence[Round], name: str, to: str) -> str:
    if to not in found[0]:
        return ""
    return spread([each[name].cpu_us / each[to].cpu_us for each in found], 2)
