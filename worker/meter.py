"""The worker's numbers, by what happened; names and meanings are `shared.observability.metrics`'s."""

from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Final, Literal

from shared.core.effects import Call, Remind, kinds
from shared.core.events import EffectOutcome
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.feishu.api_names import shown_api
from shared.lacks import Lack
from shared.observability import log_lines_lost
from shared.observability.metrics import (
    ANSWERED_TO_EFFECT_SECONDS,
    BREAKER_OPEN,
    BUDGET_USE,
    BUDGET_WAIT_SECONDS,
    CALL_SECONDS,
    CALLS_UNDER_WAY,
    CLICK_TO_UPDATE_SECONDS,
    DEAD_LETTERS,
    DECIDE_SECONDS,
    DECISIONS,
    EFFECT_DELAY_SECONDS,
    EFFECTS,
    FENCED,
    HANDLER_SUSPENDED,
    LACKS,
    LAG,
    LATE,
    LEASES_LOST,
    LOG_LINES_LOST,
    LOST,
    MARKS_SEEN,
    OLDEST_DUE_SECONDS,
    OUTBOX,
    PUT_OFF,
    RELAYED,
    RETENTION_LAST,
    RETENTION_OLDEST,
    RETENTION_ROWS,
    STUCK_CALLS,
    STUCK_THREADS,
    TOKEN_USES,
    WORKER_METRICS,
    Metrics,
)
from worker.ledger.decided import HandlerKey
from worker.ledger.leased import Head
from worker.letters import is_dead_letter
from worker.use import Use

_LATER: Final = kinds(Call | Remind)
"""They take as long as somebody wanted: no click waits for them."""


class Meter:
    """
    Counts and measures what the worker does.

    Attributes:
        use: Which calls were made in the last minute.
    """

    def __init__(self) -> None:
        self.metrics = Metrics(*WORKER_METRICS)
        self.use = Use()
        self.metrics.follow(LOG_LINES_LOST, log_lines_lost)

    def decided(self, results: Mapping[str, int], *, marks: int, late: int, after_s: Iterable[float]) -> None:
        """
        Count a committed batch.

        Args:
            results: How many inputs came to which result; `late` how many of them came late.
            marks: How many marks it had.
            after_s: For each input, how long after its receipt it is stored.
        """
        for result, number in results.items():
            self.metrics.count(DECISIONS, result, by=number)
        self.metrics.count(MARKS_SEEN, by=marks)
        self.metrics.count(LATE, by=late)
        for result, kind in (("failed", "handler"), ("parked", "undecodable")):
            if results.get(result):
                self.metrics.count(DEAD_LETTERS, kind, by=results[result])
        for seconds in after_s:
            self.metrics.observe(DECIDE_SECONDS, seconds)

    def lost(self, records: int) -> None:
        """Count records that retention took before they were decided."""
        self.metrics.count(LOST, by=records)

    def fenced(self) -> None:
        """Count a batch that another worker had decided."""
        self.metrics.count(FENCED)

    def lag(self, records: Mapping[int, int]) -> None:
        """Note how far behind this worker's partitions are."""
        self.metrics.replace(LAG, {(str(partition),): behind for partition, behind in records.items()})

    def suspended(self, handlers: Iterable[HandlerKey]) -> None:
        """Note which handlers are not called at the moment."""
        self.metrics.replace(HANDLER_SUSPENDED, dict.fromkeys(handlers, 1))

    def lacks(self, lacks: Iterable[Lack]) -> None:
        """Note what keeps this worker from being ready."""
        self.metrics.replace(LACKS, {(lack,): 1 for lack in lacks})

    def outcome(self, head: Head, outcome: EffectOutcome, *, followed: bool = False) -> None:
        """
        Count an outcome; measure what its effect and its click had to wait.

        Args:
            followed: See `worker.letters.is_dead_letter`.
        """
        status = outcome.status if outcome.final else "retried"
        self.metrics.count(EFFECTS, outcome.kind, status)
        if is_dead_letter(outcome, followed=followed):
            self.metrics.count(DEAD_LETTERS, "effect")
        if outcome.status == "succeeded" and outcome.k == 1 and outcome.kind not in _LATER:
            seconds = (outcome.finished_at - head.received_at) / 1000
            self.metrics.observe(CLICK_TO_UPDATE_SECONDS, seconds, outcome.kind)
        if outcome.uses_left is not None:
            self.metrics.count(TOKEN_USES, str(outcome.uses_left))
        if outcome.started_at is not None:
            self._called(head, outcome, outcome.started_at)

    def _called(self, head: Head, outcome: EffectOutcome, started_at: EpochMs) -> None:
        self.metrics.observe(EFFECT_DELAY_SECONDS, max(0, started_at - head.due) / 1000, outcome.kind)
        if head.marked_at is not None and outcome.k == 1:
            self.metrics.observe(ANSWERED_TO_EFFECT_SECONDS, (started_at - head.marked_at) / 1000)

    def call(self, app_id: AppId, api: str, *, started_at: EpochMs, ended_at: EpochMs) -> None:
        """Measure a call of the platform."""
        self.metrics.observe(CALL_SECONDS, (ended_at - started_at) / 1000, shown_api(api))
        self.use.called(app_id, api, started_at / 1000)

    def budget_wait(self, api: str, seconds: float) -> None:
        """Measure a wait for a rate limit."""
        self.metrics.observe(BUDGET_WAIT_SECONDS, seconds, shown_api(api))

    def budget_use(self, shares: Mapping[tuple[str, ...], float]) -> None:
        """Note the shares of the limits that were used, by app, API and window."""
        self.metrics.replace(BUDGET_USE, shares)

    def put_off(self, reason: Literal["rate_limit", "silence", "calls_full"], calls: int = 1) -> None:
        """Count calls that would have come too early."""
        self.metrics.count(PUT_OFF, reason, by=calls)

    def under_way(self, of: Literal["platform", "own"], calls: Sized) -> None:
        """Show how many calls are under way, whenever somebody looks."""
        self.metrics.follow(CALLS_UNDER_WAY, lambda: len(calls), of)

    def stuck_calls(self, threads: Callable[[], int]) -> None:
        """Show how many threads hang in users' functions, whenever somebody looks."""
        self.metrics.follow(STUCK_CALLS, threads)

    def oldest_due(self, seconds: float) -> None:
        """Note for how long somebody waits: for a target that is due, or for an effect that was tried in vain."""
        self.metrics.set(OLDEST_DUE_SECONDS, seconds)

    def leases_lost(self, targets: int) -> None:
        """Count targets that somebody else had taken over."""
        self.metrics.count(LEASES_LOST, by=targets)

    def outbox(self, rows: int) -> None:
        """Note how many rows wait to be told."""
        self.metrics.set(OUTBOX, rows)

    def relayed(self, rows: int) -> None:
        """Count rows told to the log."""
        self.metrics.count(RELAYED, by=rows)

    def swept(self, rows: Mapping[str, int]) -> None:
        """Count rows and records that went for their age, by table and topic."""
        for table, number in rows.items():
            self.metrics.count(RETENTION_ROWS, table, by=number)

    def retained(self, oldest_s: Mapping[str, float], *, at: float) -> None:
        """Note that ledger and log were swept to their end, and how old the oldest row of each table is."""
        self.metrics.set(RETENTION_LAST, at)
        self.metrics.replace(RETENTION_OLDEST, {(table,): seconds for table, seconds in oldest_s.items()})

    def stuck(self, threads: int) -> None:
        """Note how many threads hang in handlers."""
        self.metrics.set(STUCK_THREADS, threads)

    def breaker(self, app_id: str, *, is_open: bool) -> None:
        """Note whether an app's calls are held back."""
        self.metrics.set(BREAKER_OPEN, float(is_open), app_id)
