"""What people saw. Each function yields the evidence against one rule of `tests.chaos.matrix.rules`."""

from collections.abc import Iterator
from typing import Final

from tests.chaos.matrix.facts import Facts, is_honest, place
from tests.chaos.matrix.history import Attempt

IN_TIME_MS: Final = 2_500


def answered_in_time(facts: Facts) -> Iterator[str]:
    """Answered in time, or the connection ended because its gateway was killed just then."""
    for attempt in facts.history.attempts:
        sending, over = attempt.sending, attempt.over
        if over is None:
            yield f"{place(attempt)} never ended"
        elif over.ending == "timeout" or (over.ending == "answered" and attempt.took_ms > IN_TIME_MS):
            yield f"{place(attempt)} took {attempt.took_ms:.0f} ms: {over.ending}"
        elif over.ending == "left" and not sending.leaves:
            yield f"{place(attempt)} was given up"
        elif over.ending == "closed" and not _was_killed(facts, attempt, over.at):
            yield f"{place(attempt)}: the connection ended at {over.at:.0f}, and its gateway was not killed"


def _was_killed(facts: Facts, attempt: Attempt, until: float) -> bool:
    kills = facts.kills.get(attempt.sending.gateway, ())
    return any(kill.began_at <= until and attempt.sending.sent_at <= kill.ended_at for kill in kills)


def all_accepted(facts: Facts) -> Iterator[str]:
    """Accepted, by the handler's own answer; where a spill may be full, as long as there is room."""
    for event_id, attempts in facts.clicks.items():
        if event_id in facts.accepted or any(attempt.sending.leaves for attempt in attempts):
            continue
        if not (facts.history.demands.refused and _had_no_room(facts, attempts[-1])):
            yield f"{place(attempts[-1])} was not accepted: {attempts[-1].over}"


def _had_no_room(facts: Facts, attempt: Attempt) -> bool:
    """Say whether the spill had been full before the answer, and the log was still not used."""
    until = attempt.over.at if attempt.over is not None else float("inf")
    room = facts.history.demands.room_bytes
    life = facts.lives.get(facts.life(attempt), ())
    # What is told is up to a look older than the answer: the next one counts, too.
    after = next((sample.at for sample in life if sample.at >= until), until)
    was_full = any(sample.own_bytes >= room for sample in life if sample.at <= after)
    return was_full and facts.in_doubt(attempt.sending.sent_at)


def told_the_truth(facts: Facts) -> Iterator[str]:
    """Every other answer says that the click may not have been recorded."""
    for attempt in facts.refused:
        if not is_honest(attempt):
            yield f"{place(attempt)} was told {attempt.over}"
