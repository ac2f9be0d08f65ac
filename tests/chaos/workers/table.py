"""What the worker's rows were like, as cells of a table."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from tests.chaos.checker import Violation
from tests.chaos.facts import Facts
from tests.chaos.history import History
from tests.chaos.workers.facts import RowFacts, calls_by_fault
from tests.chaos.workers.rows import Row

COLUMNS: Final = (
    "row",
    "what is broken",
    "clicks",
    "decided",
    "could not be decided",
    "effects done",
    "superseded",
    "calls",
    "calls lost or refused",
    "shown after, ms (p50 / p99 / max)",
    "caught up after, s",
    "promises broken",
)


def cells(row: Row, history: History, violations: Sequence[Violation]) -> Sequence[str]:
    """Return a row of the table."""
    facts = Facts(history)
    decided = Counter(decisions[0].event.result for decisions in facts.decisions.values())
    ended = Counter(result.status for result in facts.results.values())
    return (
        row.name,
        row.what,
        f"{len(facts.clicks):,}",
        f"{decided['decided']:,}",
        f"{decided['failed']:,}",
        f"{ended['succeeded']:,}",
        f"{ended['superseded']:,}",
        f"{len(history.calls):,}",
        f"{sum(calls_by_fault(facts).values()):,}",
        _waits(RowFacts(facts)),
        _caught_up(RowFacts(facts)),
        str(len(violations) or "none"),
    )


def _waits(facts: RowFacts) -> str:
    times = sorted(shown.shown_at - shown.came_at for shown in facts.shown)
    if not times:
        return "none"
    return " / ".join(f"{ms:,.0f}" for ms in (times[len(times) // 2], times[len(times) * 99 // 100], times[-1]))


def _caught_up(facts: RowFacts) -> str:
    """Return how long after the end of all faults the last click that came before was shown (s)."""
    if facts.over_at is None:
        return "-"
    before = [shown.shown_at for shown in facts.shown if shown.came_at <= facts.over_at]
    return f"{max(0, *before, facts.over_at) / 1000 - facts.over_at / 1000:.1f}"
