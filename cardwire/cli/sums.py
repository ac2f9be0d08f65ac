"""
The numbers of several processes as if they were one's. Pure.

What was counted is added up, and never falls: who computes rates takes a number that falls for one that began again,
and would see a leap. So what a process had counted stays when it does not answer for a while, and when it has ended.
Gauges say what is; of those that do not answer they say nothing. Each of ours says how several of it become one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from prometheus_client import generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

from shared.observability.metrics import GATEWAY_METRICS, Together

Sample = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a number, ``_bucket`` and all, and its labels."""

_RULES: Final[Mapping[str, Together]] = {metric.name: metric.together for metric in GATEWAY_METRICS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a metric shows."""

    kind: str
    meaning: str
    samples: Mapping[Sample, float] = field(default_factory=dict)


Page = Mapping[str, Numbers]
"""What a process shows: its metrics, by name."""


def read(exposition: str) -> Page:
    """Return what a page in Prometheus' text format shows. Raises `ValueError` if it is none."""
    return {
        family.name: Numbers(
            kind=family.type,
            meaning=family.documentation,
            samples={(one.name, tuple(one.labels.items())): one.value for one in family.samples},
        )
        for family in text_string_to_metric_families(exposition)
    }


def text(page: Page) -> bytes:
    """Return a page in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Shown(page))
    return generate_latest(registry)


def together(pages: Iterable[Page]) -> Page:
    """Return the page of all."""
    shown: dict[str, Numbers] = {}
    for page in pages:
        for name, numbers in page.items():
            before = shown.get(name)
            shown[name] = numbers if before is None else _both(name, before, numbers)
    return shown


def lasting(page: Page) -> Page:
    """Return a page less what holds only while its process runs."""
    return {name: numbers for name, numbers in page.items() if numbers.kind != "gauge"}


def _both(name: str, one: Numbers, other: Numbers) -> Numbers:
    rule: Together = _RULES.get(name, "sum") if one.kind == "gauge" else "sum"
    samples = dict(one.samples)
    for sample, value in other.samples.items():
        samples[sample] = _one(rule, samples[sample], value) if sample in samples else value
    return Numbers(kind=one.kind, meaning=one.meaning, samples=samples)


def _one(rule: Together, one: float, other: float) -> float:
    match rule:
        case "sum":
            return one + other
        case "largest":
            return max(one, other)
        case "smallest":
            return min(one, other)
        case _ as unreachable:
            assert_never(unreachable)


class Sums:
    """What processes have shown, of which each counts from 0 and some have ended. They are known by numbers."""

    def __init__(self) -> None:
        self._ended: Page = {}
        self._last: dict[int, Page] = {}

    def begun(self, process: int) -> None:
        """Take a process in."""
        self._last[process] = {}

    def ended(self, process: int) -> None:
        """Note that a process will show nothing any more; what it counted after its last page is lost with it."""
        self._ended = together([self._ended, lasting(self._last.pop(process))])

    def page(self, shown: Mapping[int, Page]) -> Page:
        """Return the page of all, where those that answered show ``shown``."""
        now = {process: page for process, page in shown.items() if process in self._last}
        silent = [lasting(page) for process, page in self._last.items() if process not in now]
        self._last |= now
        return together([self._ended, *silent, *now.values()])


class _Shown(Collector):
    def __init__(self, page: Page) -> None:
        self._page = page

    def collect(self) -> Iterator[Family]:
        for name, numbers in self._page.items():
            family = Family(name, numbers.meaning, numbers.kind)
            for (sample, labels), value in numbers.samples.items():
                family.add_sample(sample, dict(labels), value)
            yield family
