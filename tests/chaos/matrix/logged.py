"""What is in the log. Each function yields the evidence against one rule of `tests.chaos.matrix.rules`."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgspec

from shared.core.events import InteractionReceived
from tests.chaos.facts import Received
from tests.chaos.matrix.facts import Facts, is_accepted, place
from tests.chaos.matrix.history import Attempt

MARK_MS: Final = 2_500
"""So long a mark may wait for its turn while the log and the spill take as long as they may."""


def accepted_is_logged(facts: Facts) -> Iterator[str]:
    """So nothing was acknowledged as accepted that was not stored."""
    for event_id, attempt in facts.accepted.items():
        if event_id not in facts.received:
            yield f"{place(attempt)} was accepted and is not in the log"


def logged_was_clicked(facts: Facts) -> Iterator[str]:
    """Nobody else gets anything into the log."""
    for event_id, records in facts.received.items():
        attempts = facts.clicks.get(event_id)
        if attempts is None:
            yield f"nobody clicked {event_id}, which is in the log"
        elif any(record.event.message_id != attempts[0].sending.card for record in records):
            yield f"{event_id} is logged for another card than {attempts[0].sending.card}"


def twice_only_in_doubt(facts: Facts) -> Iterator[str]:
    """What was sent again, or appended while nobody could know what becomes of it."""
    for event_id, records in facts.received.items():
        sent_again = len(facts.clicks.get(event_id, ())) > 1
        if len(records) > 1 and not sent_again and not facts.in_doubt(records[0].event.received_at):
            yield f"{event_id} is in the log {len(records)} times, and was sent and appended without any trouble"


def repetitions_are_equal(facts: Facts) -> Iterator[str]:
    """To the byte; of what the client sent again, all but the time of its receipt."""
    for event_id, records in facts.received.items():
        sent_again = len(facts.clicks.get(event_id, ())) > 1
        for one, other in pairwise(records):
            if _told(one, sent_again=sent_again) != _told(other, sent_again=sent_again):
                yield f"{event_id} is told otherwise at {_where(other)} than at {_where(one)}"


def _told(record: Received, *, sent_again: bool) -> tuple[str, object, InteractionReceived | str]:
    """Return what may not differ: everything, or all but the time of its receipt if the client sent it again."""
    line = record.line
    if not sent_again:
        return line.key, line.headers, line.value
    return line.key, line.headers, msgspec.structs.replace(record.event, received_at=0)


def cards_keep_their_order(facts: Facts) -> Iterator[str]:
    """Among clicks that were sent once, to one process, and recorded: by its own clock, and by the clients'."""
    for (card, *_), firsts in _firsts_by_card(facts).items():
        latest: Attempt | None = None
        for (one, _), (other, attempt) in pairwise(firsts):
            if one.event.received_at > other.event.received_at:
                yield f"{card}: {other.event.event_id} came first and is logged behind {one.event.event_id}"
            previous = facts.clicks[str(one.event.event_id)][0]
            if latest is None or previous.sending.sent_at > latest.sending.sent_at:
                latest = previous
            if attempt.over is not None and is_accepted(attempt) and attempt.over.at < latest.sending.sent_at:
                yield (
                    f"{card}: {other.event.event_id} was answered before {latest.sending.event_id} was sent, and is "
                    "logged behind it"
                )


def _firsts_by_card(facts: Facts) -> dict[tuple[str, int, int], list[tuple[Received, Attempt]]]:
    found = defaultdict(list)
    for event_id, records in facts.received.items():
        attempts = facts.clicks.get(event_id, ())
        if len(attempts) == 1 and (event_id in facts.accepted or attempts[0].sending.leaves):
            found[attempts[0].sending.card, *facts.life(attempts[0])].append((records[0], attempts[0]))
    for firsts in found.values():
        firsts.sort(key=lambda first: first[0].line.offset)
    return found


def marked(facts: Facts) -> Iterator[str]:
    """A click that was recorded has a mark, and one that says so if its answer was read."""
    for event_id, records in facts.received.items():
        attempts, marks = facts.clicks.get(event_id, ()), facts.marks.get(event_id, ())
        accepted = facts.accepted.get(event_id)
        waited_for = accepted or next((each for each in attempts if each.sending.leaves), None)
        if waited_for is None or waited_for.over is None or _mark_may_be_lost(facts, waited_for, waited_for.over.at):
            continue
        if not marks:
            yield f"{event_id} at {_where(records[0])} has no mark"
        elif accepted is not None and not any(mark.event.delivered for mark in marks):
            yield f"{event_id} was answered, and its marks say that nobody got the answer"


def _mark_may_be_lost(facts: Facts, attempt: Attempt, at: float) -> bool:
    if attempt.sending.leaves and facts.in_doubt(attempt.sending.sent_at):
        return True  # whether its append returned is not known
    kills = facts.kills.get(attempt.sending.gateway, ())
    return any(attempt.sending.sent_at <= kill.began_at <= at + MARK_MS for kill in kills)


def marks_lie_behind(facts: Facts) -> Iterator[str]:
    """In the same partition, and not of clicks that are not there."""
    for event_id, marks in facts.marks.items():
        records = facts.received.get(event_id)
        if records is None:
            yield f"{event_id} has a mark and is not in the log"
            continue
        first = records[0].line
        for mark in marks:
            if mark.line.partition != first.partition or mark.line.offset < first.offset:
                yield f"{event_id} at {_where(records[0])} has a mark at {mark.line.partition}/{mark.line.offset}"


def _where(record: Received) -> str:
    return f"{record.line.partition}/{record.line.offset}"
