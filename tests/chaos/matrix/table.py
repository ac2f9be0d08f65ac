"""What the gateway's rows were like, as cells of a table."""

from collections.abc import Sequence
from typing import Final

from tests.chaos.checker import Violation
from tests.chaos.matrix.facts import Facts, is_honest
from tests.chaos.matrix.history import RowHistory
from tests.chaos.matrix.rows import Row

COLUMNS: Final = (
    "row",
    "what is broken",
    "clicks",
    "accepted",
    "told that it may be lost",
    "sent again",
    "answered after, ms (p50 / p99 / max)",
    "spilled records",
    "clicks twice in the log",
    "drained after, s",
    "promises broken",
)


def cells(row: Row, history: RowHistory, violations: Sequence[Violation]) -> Sequence[str]:
    """Return a row of the table."""
    facts = Facts(history)
    left = sum(attempts[0].sending.leaves for attempts in facts.clicks.values())
    return (
        row.name,
        row.what,
        f"{len(facts.clicks):,}" + (f", {left:,} of them did not wait" if left else ""),
        f"{len(facts.accepted):,}",
        f"{sum(is_honest(attempt) for attempt in facts.refused):,}",
        f"{sum(attempt.sending.nth > 0 for attempt in history.attempts):,}",
        " / ".join(f"{ms:,.0f}" for ms in answer_times(history)) or "none",
        f"{facts.spilled:,}",
        f"{sum(len(records) > 1 for records in facts.received.values()):,}",
        _drained_after(history),
        str(len(violations) or "none"),
    )


def answer_times(history: RowHistory) -> Sequence[float]:
    """Return p50, p99 and the longest of all answers, from the time when their click was intended (ms)."""
    times = sorted(attempt.took_ms for attempt in history.attempts if attempt.is_answered)
    return (times[len(times) // 2], times[len(times) * 99 // 100], times[-1]) if times else ()


def _drained_after(history: RowHistory) -> str:
    """Return how long after the end of all faults (of one that does not end: its beginning) all were quiet (s)."""
    ends = [fault.at for fault in history.faults if fault.kind in {"up", "kill"}]
    over = ends or [fault.at for fault in history.faults]
    busy = max((sample.at for sample in history.samples if not sample.is_quiet), default=None)
    if not over or busy is None:
        return "-"
    quiet = next((sample.at for sample in history.samples if sample.at > busy), busy)
    return f"{max(0, quiet - max(over)) / 1000:.1f}"
