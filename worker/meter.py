"""The worker's numbers, by what happened; names and meanings are `shared.observability.metrics`'s."""

from collections.abc import Mapping
from typing import Final

from shared.core.events import EffectOutcome
from shared.core.json_text import EpochMs
from shared.observability import log_lines_lost
from shared.observability.metrics import (
    BREAKER_OPEN,
    BUDGET_WAIT_SECONDS,
    CALL_SECONDS,
    CLICK_TO_UPDATE_SECONDS,
    DECISIONS,
    EFFECTS,
    FENCED,
    LOG_LINES_LOST,
    LOST,
    MARKS_SEEN,
    OUTBOX,
    RELAYED,
    STUCK_THREADS,
    WORKER_METRICS,
    Metrics,
)

_LATER: Final = frozenset({"Call", "Remind"})
"""They take as long as somebody wanted: no click waits for them."""


class Meter:
    """Counts and measures what the worker does."""

    def __init__(self) -> None:
        self.metrics = Metrics(*WORKER_METRICS)
        self.metrics.follow(LOG_LINES_LOST, log_lines_lost)

    def decided(self, results: Mapping[str, int], *, marks: int) -> None:
        """Count a committed batch: how many inputs came to which result, and how many marks it had."""
        for result, number in results.items():
            self.metrics.count(DECISIONS, result, by=number)
        self.metrics.count(MARKS_SEEN, by=marks)

    def lost(self, records: int) -> None:
        """Count records that retention took before they were decided."""
        self.metrics.count(LOST, by=records)

    def fenced(self) -> None:
        """Count a batch that another worker had decided."""
        self.metrics.count(FENCED)

    def outcome(self, outcome: EffectOutcome, *, received_at: EpochMs) -> None:
        """Count an outcome, and for a success how long the click had to wait."""
        status = outcome.status if outcome.final else "retried"
        self.metrics.count(EFFECTS, outcome.kind, status)
        if outcome.status == "succeeded" and outcome.k == 1 and outcome.kind not in _LATER:
            self.metrics.observe(CLICK_TO_UPDATE_SECONDS, (outcome.finished_at - received_at) / 1000, outcome.kind)

    def call(self, api: str, seconds: float) -> None:
        """Measure a call of the platform."""
        self.metrics.observe(CALL_SECONDS, seconds, api)

    def budget_wait(self, api: str, seconds: float) -> None:
        """Measure a wait for a rate limit."""
        self.metrics.observe(BUDGET_WAIT_SECONDS, seconds, api)

    def outbox(self, rows: int) -> None:
        """Note how many rows wait to be told."""
        self.metrics.set(OUTBOX, rows)

    def relayed(self, rows: int) -> None:
        """Count rows told to the log."""
        self.metrics.count(RELAYED, by=rows)

    def stuck(self, threads: int) -> None:
        """Note how many threads hang in handlers."""
        self.metrics.set(STUCK_THREADS, threads)

    def breaker(self, app_id: str, *, is_open: bool) -> None:
        """Note whether an app's calls are held back."""
        self.metrics.set(BREAKER_OPEN, float(is_open), app_id)
