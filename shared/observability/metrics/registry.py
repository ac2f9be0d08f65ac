"""The numbers of one process, counted and shown."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as PrometheusMetric
from prometheus_client.registry import Collector

from shared.observability.metrics.metric import Metric


class Metrics:
    """
    The numbers of one process, in a registry of its own, so that several can share a test.

    Plain numbers in dicts, put into Prometheus' form when somebody looks: its own counters take locks, which a gateway
    would pay for with every click. So one thread alone may count.
    """

    def __init__(self, *metrics: Metric) -> None:
        self._registry = CollectorRegistry()
        self._live = {metric.name: _SERIES[metric.kind](metric) for metric in metrics}
        for live in self._live.values():
            self._registry.register(live)

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        numbers = self._live[metric.name].numbers
        numbers[labels] = (numbers[labels] if labels in numbers else _first(metric, labels)) + by

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Add one measurement to a histogram."""
        live = self._live[metric.name]
        counts = live.counts.get(labels)
        if counts is None:
            _first(metric, labels)
            counts = live.counts[labels] = [0] * (len(metric.buckets) + 1)
        counts[bisect_left(metric.buckets, value)] += 1
        live.numbers[labels] = live.numbers.get(labels, 0) + value

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        numbers = self._live[metric.name].numbers
        if labels not in numbers:
            _first(metric, labels)
        numbers[labels] = value

    def replace(self, metric: Metric, values: Mapping[tuple[str, ...], float]) -> None:
        """Set all series of a gauge; those that are not named are no more."""
        for labels in values:
            _first(metric, labels)
        self._live[metric.name].numbers = dict(values)

    def follow(self, metric: Metric, value: Callable[[], float], *labels: str) -> None:
        """Let a gauge or a counter show what a function returns whenever it is looked at."""
        _first(metric, labels)
        self._live[metric.name].followed[labels] = value

    def value(self, metric: Metric, *labels: str) -> float:
        """Return a counter or a gauge, or how many measurements a histogram has; 0 if nothing was ever counted."""
        _first(metric, labels)
        live = self._live[metric.name]
        if metric.kind == "histogram":
            return sum(live.counts.get(labels, ()))
        return live.followed[labels]() if labels in live.followed else live.numbers.get(labels, 0)

    def exposition(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        return generate_latest(self._registry)


def _first(metric: Metric, labels: tuple[str, ...]) -> float:
    """Return what a series begins with, which has a label for each name."""
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}: {labels}")
    return 0


class _Series(Collector):
    """
    What a metric has counted, by labels; without labels, 0 from the start on.

    Attributes:
        numbers: Of counters and gauges; of histograms the sums.
        counts: Of histograms, how many measurements fell into each bucket, the last of which has no end.
        followed: Those that are asked for.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.numbers: dict[tuple[str, ...], float] = {}
        self.counts: dict[tuple[str, ...], list[int]] = {}
        self.followed: dict[tuple[str, ...], Callable[[], float]] = {}
        if not metric.labels:
            self.numbers[()] = 0
            self.counts[()] = [0] * (len(metric.buckets) + 1)

    def current(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """Return the numbers of all series, having asked for those that are asked for."""
        yield from ((labels, number) for labels, number in self.numbers.items() if labels not in self.followed)
        yield from ((labels, value()) for labels, value in self.followed.items())


class _Counters(_Series):
    def collect(self) -> Iterator[PrometheusMetric]:
        family = CounterMetricFamily(self.metric.name, self.metric.meaning, labels=self.metric.labels)
        for labels, number in self.current():
            family.add_metric(labels, number)
        yield family


class _Gauges(_Series):
    def collect(self) -> Iterator[PrometheusMetric]:
        family = GaugeMetricFamily(self.metric.name, self.metric.meaning, labels=self.metric.labels)
        for labels, number in self.current():
            family.add_metric(labels, number)
        yield family


class _Histograms(_Series):
    def collect(self) -> Iterator[PrometheusMetric]:
        family = HistogramMetricFamily(self.metric.name, self.metric.meaning, labels=self.metric.labels)
        bounds = [*(str(float(bound)) for bound in self.metric.buckets), "+Inf"]
        for labels, counts in self.counts.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric(labels, buckets, self.numbers.get(labels, 0))
        yield family


_SERIES: Final[Mapping[str, Callable[[Metric], _Series]]] = {
    "counter": _Counters,
    "gauge": _Gauges,
    "histogram": _Histograms,
}
