"""
The numbers of all processes, named in one place.

A name is a promise to other people's dashboards: it is never reused with another meaning. Labels come from closed
lists, so that nobody outside can make them grow. docs/reference/metrics.md is generated from here.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as PrometheusMetric
from prometheus_client.registry import Collector

ANSWER_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
"""Seconds up to the platform's deadline for an answer: fine where we promise, and one at 2.5 and at 3."""


Together = Literal["sum", "largest", "smallest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """
    One number.

    Attributes:
        name: As Prometheus shows it, less the ``_total``, ``_bucket`` … that the kind adds.
        meaning: What it counts or measures, with its unit.
        labels: What it is split by.
        buckets: Upper bounds, of a histogram.
        together: What several processes of one gateway show of a gauge; all else is added up.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    together: Together = "sum"


# How people are served: by kind of callback, and what they were told.
CALLBACKS: Final = Metric(
    name="cardwire_callbacks",
    kind="counter",
    meaning="Callbacks answered, by app, kind and outcome: recorded, not_recorded, answered (a link preview, recorded "
    "behind its answer if at all), parked, ignored, verified, rejected.",
    labels=("app_id", "kind", "outcome"),
)
# Who tried to get in and why not: an attack, or a wrong key.
REFUSALS: Final = Metric(
    name="cardwire_callback_refusals",
    kind="counter",
    meaning="Callbacks refused, by the app whose path they came to, and by cause.",
    labels=("app_id", "cause"),
)
# Programs that ask. `not_recorded`: the log was away; `busy`: too many at once.
REQUESTS: Final = Metric(
    name="cardwire_requests",
    kind="counter",
    meaning="Requests of programs, by caller (unknown: nobody's token) and outcome: accepted, refused, busy, "
    "not_recorded.",
    labels=("caller", "outcome"),
)
# The promise that people feel: from the request's first byte to the answer's last.
ANSWER_SECONDS: Final = Metric(
    name="cardwire_answer_seconds",
    kind="histogram",
    meaning="Seconds from the start of a request to its answer written.",
    labels=("kind",),
    buckets=ANSWER_BUCKETS,
)
# The log's part of it.
APPEND_SECONDS: Final = Metric(
    name="cardwire_append_seconds",
    kind="histogram",
    meaning="Seconds that one append of a group of records took, by outcome: ok, refused, unavailable; spilled is the "
    "commit of a group to the spill instead.",
    labels=("outcome",),
    buckets=ANSWER_BUCKETS,
)
# Load: at its bound of 4096, callbacks are answered "may not have been recorded".
APPENDS_IN_FLIGHT: Final = Metric(
    name="cardwire_appends_in_flight",
    kind="gauge",
    meaning="Records that callers wait for to be durable.",
)
# Effects wait for marks; without them each waits three seconds.
MARKS: Final = Metric(
    name="cardwire_marks",
    kind="counter",
    meaning="Answered marks, by outcome: appended, or lost (effects then wait 3 s).",
    labels=("outcome",),
)
# Should be 0; while it is 1, clicks live on this machine's disk.
LOG_BREAKER_OPEN: Final = Metric(
    name="cardwire_log_breaker_open",
    kind="gauge",
    meaning="1 while the gateway keeps its records from the log and puts them into its spill.",
    together="largest",
)
# Should be 0 soon after the log is back. `orphan`: the file being drained of those that crashed gateways left.
SPILL_ROWS: Final = Metric(
    name="cardwire_spill_rows",
    kind="gauge",
    meaning="Records that wait in spill files, by whose they are: own, orphan.",
    labels=("whose",),
)
SPILL_BYTES: Final = Metric(
    name="cardwire_spill_bytes",
    kind="gauge",
    meaning="Bytes of those records.",
    labels=("whose",),
)
SPILL_OLDEST_SECONDS: Final = Metric(
    name="cardwire_spill_oldest_seconds",
    kind="gauge",
    meaning="Seconds since the oldest record of the own spill was put there; 0 when it is empty.",
    together="largest",
)
# `refused` is what people were told to be perhaps not recorded; `rejected` needs a person.
SPILLED: Final = Metric(
    name="cardwire_spill_records",
    kind="counter",
    meaning="Records put into the spill (spilled), not taken by it (refused), brought from it into the log "
    "(forwarded), and parked because the brokers refuse them for good (rejected).",
    labels=("outcome",),
)

# The caller had gone: it was too slow a gateway, or a bad line.
UNDELIVERED: Final = Metric(
    name="cardwire_answers_undelivered",
    kind="counter",
    meaning="Answers whose caller had gone before they were written.",
)
# User code that was too slow for an answer; at `busy` no predicate is asked at all.
ANSWERS_DEFAULTED: Final = Metric(
    name="cardwire_answers_defaulted",
    kind="counter",
    meaning="Callbacks answered with nothing because a predicate or an answer function was late, failed, or could not "
    "be asked (busy).",
    labels=("reason",),
)
# Previews are asked for again; a handler that counts them counts too few.
PREVIEWS_LOST: Final = Metric(
    name="cardwire_previews_lost",
    kind="counter",
    meaning="Link previews that were answered, and that the log then did not take.",
)

# While it is 0, callbacks that come this way are lost, unless another gateway is connected.
LONG_CONNECTION_UP: Final = Metric(
    name="cardwire_long_connection_up",
    kind="gauge",
    meaning="1 while the long connection of an app is open.",
    labels=("app_id",),
    together="smallest",
)
# A few a day are the platform's habit; many are a bad line.
LONG_CONNECTIONS_LOST: Final = Metric(
    name="cardwire_long_connections_lost",
    kind="counter",
    meaning="Long connections that ended before we ended them.",
    labels=("app_id",),
)
# Up and silent for a working day: the console delivers elsewhere.
LAST_FRAME_AGE: Final = Metric(
    name="cardwire_last_event_age_seconds",
    kind="gauge",
    meaning="Seconds since the long connection last brought a callback or an event; before the first, since its start.",
    labels=("app_id",),
    together="smallest",
)

# Should be 0: a full disk, or somebody who stopped reading the lines.
LOG_LINES_LOST: Final = Metric(
    name="cardwire_log_lines_lost",
    kind="counter",
    meaning="Log lines of the process that nobody took: where they go to refused them, or stood still.",
)

GATEWAY_METRICS: Final = (
    CALLBACKS,
    REFUSALS,
    REQUESTS,
    ANSWER_SECONDS,
    APPEND_SECONDS,
    APPENDS_IN_FLIGHT,
    MARKS,
    LOG_BREAKER_OPEN,
    SPILL_ROWS,
    SPILL_BYTES,
    SPILL_OLDEST_SECONDS,
    SPILLED,
    UNDELIVERED,
    ANSWERS_DEFAULTED,
    LONG_CONNECTION_UP,
    LONG_CONNECTIONS_LOST,
    LAST_FRAME_AGE,
    PREVIEWS_LOST,
    LOG_LINES_LOST,
)
"""What the gateway's ``/metrics`` shows."""

# Fewer than CARDWIRE_PROCESSES: the others are being started again, or hang.
PROCESSES_UP: Final = Metric(
    name="cardwire_processes_up",
    kind="gauge",
    meaning="Processes of the gateway that showed their numbers for this page.",
)
# Each one is callbacks under way that their callers got no answer to.
PROCESSES_LOST: Final = Metric(
    name="cardwire_processes_lost",
    kind="counter",
    meaning="Processes of the gateway that ended unasked, and were started again.",
)

GROUP_METRICS: Final = (PROCESSES_UP, PROCESSES_LOST)
"""What ``/metrics`` of a gateway with several processes shows besides."""

EFFECT_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 60.0, 600.0)
"""Seconds from a click to its update: 0.3 of them are the settle gap."""

# What became of the inputs.
DECISIONS: Final = Metric(
    name="cardwire_decisions",
    kind="counter",
    meaning="Inputs, by result: decided, ignored, refused, failed, twin, counted, duplicate, parked.",
    labels=("result",),
)
# Marks that arrived; compare with the gateway's.
MARKS_SEEN: Final = Metric(name="cardwire_marks_seen", kind="counter", meaning="Answered marks read from the log.")
# Clicks that nobody will ever decide: retention was shorter than an outage.
LOST: Final = Metric(
    name="cardwire_records_lost_to_retention",
    kind="counter",
    meaning="Records that retention deleted before they were decided, found at start.",
)
# Rebalances under load: harmless in small numbers.
FENCED: Final = Metric(
    name="cardwire_batches_fenced",
    kind="counter",
    meaning="Batches dropped because another worker had moved a position.",
)
# What became of the effects.
EFFECTS: Final = Metric(
    name="cardwire_effects",
    kind="counter",
    meaning="Effects that came to an end or to a failed attempt, by kind and status.",
    labels=("kind", "status"),
)
# Waiting for the platform.
CALL_SECONDS: Final = Metric(
    name="cardwire_call_seconds",
    kind="histogram",
    meaning="Seconds that one call of the platform took, by API.",
    labels=("api",),
    buckets=ANSWER_BUCKETS,
)
# What people wait for.
CLICK_TO_UPDATE_SECONDS: Final = Metric(
    name="cardwire_click_to_update_seconds",
    kind="histogram",
    meaning="Seconds from the gateway's receipt of a click to the platform's acceptance of an effect, by kind.",
    labels=("kind",),
    buckets=EFFECT_BUCKETS,
)
# Which limit holds work back.
BUDGET_WAIT_SECONDS: Final = Metric(
    name="cardwire_budget_wait_seconds",
    kind="histogram",
    meaning="Seconds that a call waited for the platform's rate limit, by API.",
    labels=("api",),
    buckets=EFFECT_BUCKETS,
)
# Above 100,000 effects stop being performed, because they could no longer be told.
OUTBOX: Final = Metric(name="cardwire_outbox_rows", kind="gauge", meaning="Rows committed and not yet in the log.")
RELAYED: Final = Metric(name="cardwire_outbox_relayed", kind="counter", meaning="Outbox rows told to the log.")
# User code that never came back.
STUCK_THREADS: Final = Metric(name="cardwire_stuck_threads", kind="gauge", meaning="Threads hanging in handlers.")
# Should be 0; each one is calls that were not made.
BREAKER_OPEN: Final = Metric(
    name="cardwire_platform_breaker_open",
    kind="gauge",
    meaning="1 while calls of an app are held back because the platform cannot be reached.",
    labels=("app_id",),
)

WORKER_METRICS: Final = (
    DECISIONS,
    MARKS_SEEN,
    LOST,
    FENCED,
    EFFECTS,
    CALL_SECONDS,
    CLICK_TO_UPDATE_SECONDS,
    BUDGET_WAIT_SECONDS,
    OUTBOX,
    RELAYED,
    STUCK_THREADS,
    BREAKER_OPEN,
    LOG_LINES_LOST,
)
"""What the worker's ``/metrics`` shows."""


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
