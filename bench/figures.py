"""Figures and how they are shown: medians, distributions, ratios."""

import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.cpu import cpu_s


@dataclass(slots=True)
class Spent:
    """
    What a stretch of work took.

    Attributes:
        wall_s: Time on the wall.
        own_s: CPU time of this process.
        services_s: CPU time of the services watched; `None` where it cannot be known.
    """

    pids: Sequence[int]
    wall_s: float = 0.0
    own_s: float = 0.0
    services_s: float | None = None
    _from: tuple[float, float, float | None] = (0.0, 0.0, None)

    def begin(self) -> None:
        """Start the clock."""
        services = cpu_s(self.pids) if self.pids else 0.0
        self._from = time.perf_counter(), time.process_time(), services

    def end(self) -> None:
        """Stop the clock."""
        wall, own, services = self._from
        self.wall_s, self.own_s = time.perf_counter() - wall, time.process_time() - own
        after = cpu_s(self.pids) if self.pids else 0.0
        self.services_s = None if services is None or after is None else after - services


@contextmanager
def spent(pids: Sequence[int]) -> Iterator[Spent]:
    """Measure the body."""
    measured = Spent(pids)
    measured.begin()
    yield measured
    measured.end()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of one contender: how much was done, and what it took."""

    count: int
    spent: Spent

    @property
    def rate(self) -> float:
        """Done per second."""
        return self.count / self.spent.wall_s

    @property
    def cpu_us(self) -> float:
        """CPU time for each, ours and the services' (µs)."""
        return (self.spent.own_s + (self.spent.services_s or 0)) / self.count * 1e6

    @property
    def services_us(self) -> float:
        """CPU time of the services for each (µs)."""
        return (self.spent.services_s or 0) / self.count * 1e6

    @property
    def own_us(self) -> float:
        """CPU time of this process for each (µs)."""
        return self.spent.own_s / self.count * 1e6


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the least, the median and the greatest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{low:,.{digits}f} / {middle:,.{digits}f} / {high:,.{digits}f}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    widths = [max(len(line[at]) for line in (head, *lines)) for at in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([row(head), row(["-" * width for width in widths]), *map(row, lines)])


def machine() -> str:
    """Return what a figure's worth depends on: the machine, and how busy it is."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{os.cpu_count()} CPUs, load {load}, Python {platform.python_version()}, {platform.system()}"
