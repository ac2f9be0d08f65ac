"""What a run was like, in a few lines for people."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.chaos.checker import Violation
from tests.chaos.early import standing
from tests.chaos.facts import Facts
from tests.chaos.history import History

SHOWN = 20
"""Violations that are printed; the kept history has them all."""


def report(history: History, violations: Sequence[Violation]) -> str:
    """Return the summary of a run."""
    return "\n".join(_lines(history, Facts(history), violations))


def _lines(history: History, facts: Facts, violations: Sequence[Violation]) -> Iterator[str]:
    clicks = history.clicks
    accepted = sum(click.is_accepted for click in clicks)
    attempts = sum(len(click.attempts) for click in clicks)
    twice = sum(click.copies > 1 for click in clicks)
    records = sum(map(len, facts.received.values()))
    seconds = (history.ended_at - history.began_at) / 1000
    yield f"clicks      {len(clicks)} over {len(history.cards)} cards in {seconds:.1f} s, {accepted} accepted"
    yield f"callbacks   {attempts} deliveries, {twice} clicks delivered twice at once, {attempts - len(clicks)} repeats"
    lost = sum(attempt.event_id is None for click in clicks for attempt in click.attempts)
    if lost:
        yield f"            {lost} attempts did not reach the simulator or did not come back in time"
    yield f"log         {records} interactions of {len(facts.received)} events, {len(facts.marks)} answered marks"
    yield f"decisions   {len(facts.decisions)}"
    yield f"effects     {_counted(result.status for result in facts.results.values())}"
    yield f"calls       {_counted(_api(call.method, call.path) for call in history.calls)}"
    yield f"            of these not answered with success: {_counted(_codes(history))}"
    yield f"answers     {_latency(history)}"
    unread = sum(standing(facts, version) == "unread" for card in history.cards for version in card.versions)
    if unread:
        yield f"            {unread} answers were written in time and read by the platform only after the update"
    for fault in history.faults:
        yield f"fault       {(fault.at - history.began_at) / 1000:6.1f} s  {fault.kind} {fault.name}"
    yield f"violations  {len(violations) or 'none'}"
    yield from (f"  {violation}" for violation in violations[:SHOWN])
    if len(violations) > SHOWN:
        yield f"  and {len(violations) - SHOWN} more: {_counted(violation.rule for violation in violations)}"


def _counted(things: Iterator[str]) -> str:
    counts = Counter(things)
    return ", ".join(f"{count} {thing}" for thing, count in counts.most_common()) or "none"


def _api(method: str, path: str) -> str:
    parts = path.removeprefix("/open-apis/").split("/")
    return f"{method} {'/'.join(part for part in parts if not part.startswith(('om_', 'oc_')))}"


def _codes(history: History) -> Iterator[str]:
    return (f"code {call.code} of {_api(call.method, call.path)}" for call in history.calls if call.code != 0)


def _latency(history: History) -> str:
    times = sorted(
        attempt.answered_in_ms or 0
        for click in history.clicks
        for attempt in click.attempts
        if attempt.status is not None
    )
    if not times:
        return "none"
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return f"p50 {p50} ms, p99 {p99} ms, max {times[-1]} ms (as the platform saw them, outages included)"
