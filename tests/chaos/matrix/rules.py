"""
The rules of a row: what clients, log and gateways must have seen, whatever was broken.

Each is a function of the facts that yields the evidence against it, one line for each case. Numbers are those of the
README's table of guarantees.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from shared.core.events import InteractionReceived
from tests.chaos.checker import Violation
from tests.chaos.facts import Received
from tests.chaos.matrix.facts import Facts, is_accepted, is_honest
from tests.chaos.matrix.history import Attempt, RowHistory

IN_TIME_MS: Final = 2_500
ON_TIME_MS: Final = 500
"""A client that sends later than that is no open loop any more, but what its machine leaves of it."""

MARK_MS: Final = 2_500
"""So long a mark may wait for its turn while the log and the spill take as long as they may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One promise: its name, its number in the table of guarantees, and what yields the evidence of each breach."""

    name: str
    guarantee: str
    breaches: Callable[[Facts], Iterator[str]]


def check(history: RowHistory) -> list[Violation]:
    """Return every violation in a row's history, in the order of the rules."""
    facts = Facts(history)
    return [
        Violation(rule=rule.name, guarantee=rule.guarantee, evidence=evidence)
        for rule in RULES
        for evidence in rule.breaches(facts)
    ]


def _answered_in_time(facts: Facts) -> Iterator[str]:
    for attempt in facts.history.attempts:
        sending, over = attempt.sending, attempt.over
        if over is None:
            yield f"{_place(attempt)} never ended"
        elif over.ending == "timeout" or (over.ending == "answered" and attempt.took_ms > IN_TIME_MS):
            yield f"{_place(attempt)} took {attempt.took_ms:.0f} ms: {over.ending}"
        elif over.ending == "left" and not sending.leaves:
            yield f"{_place(attempt)} was given up"
        elif over.ending == "closed" and not _was_killed(facts, attempt, over.at):
            yield f"{_place(attempt)}: the connection ended at {over.at:.0f}, and its gateway was not killed"


def _was_killed(facts: Facts, attempt: Attempt, until: float) -> bool:
    kills = facts.kills.get(attempt.sending.gateway, ())
    return any(kill.began_at <= until and attempt.sending.sent_at <= kill.ended_at for kill in kills)


def _all_accepted(facts: Facts) -> Iterator[str]:
    for event_id, attempts in facts.clicks.items():
        if event_id in facts.accepted or any(attempt.sending.leaves for attempt in attempts):
            continue
        if not (facts.history.demands.refused and _had_no_room(facts, attempts[-1])):
            yield f"{_place(attempts[-1])} was not accepted: {attempts[-1].over}"


def _had_no_room(facts: Facts, attempt: Attempt) -> bool:
    """Say whether the spill had been full before the answer, and the log was still not used."""
    until = attempt.over.at if attempt.over is not None else float("inf")
    room = facts.history.demands.room_bytes
    life = facts.lives.get(facts.life(attempt), ())
    # What is told is up to a look older than the answer: the next one counts, too.
    after = next((sample.at for sample in life if sample.at >= until), until)
    was_full = any(sample.own_bytes >= room for sample in life if sample.at <= after)
    return was_full and facts.in_doubt(attempt.sending.sent_at)


def _told_the_truth(facts: Facts) -> Iterator[str]:
    for attempt in facts.refused:
        if not is_honest(attempt):
            yield f"{_place(attempt)} was told {attempt.over}"


def _accepted_is_logged(facts: Facts) -> Iterator[str]:
    for event_id, attempt in facts.accepted.items():
        if event_id not in facts.received:
            yield f"{_place(attempt)} was accepted and is not in the log"


def _logged_was_clicked(facts: Facts) -> Iterator[str]:
    for event_id, records in facts.received.items():
        attempts = facts.clicks.get(event_id)
        if attempts is None:
            yield f"nobody clicked {event_id}, which is in the log"
        elif any(record.event.message_id != attempts[0].sending.card for record in records):
            yield f"{event_id} is logged for another card than {attempts[0].sending.card}"


def _twice_only_in_doubt(facts: Facts) -> Iterator[str]:
    for event_id, records in facts.received.items():
        sent_again = len(facts.clicks.get(event_id, ())) > 1
        if len(records) > 1 and not sent_again and not facts.in_doubt(records[0].event.received_at):
            yield f"{event_id} is in the log {len(records)} times, and was sent and appended without any trouble"


def _repetitions_are_equal(facts: Facts) -> Iterator[str]:
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


def _cards_keep_their_order(facts: Facts) -> Iterator[str]:
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


def _marked(facts: Facts) -> Iterator[str]:
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


def _marks_lie_behind(facts: Facts) -> Iterator[str]:
    for event_id, marks in facts.marks.items():
        records = facts.received.get(event_id)
        if records is None:
            yield f"{event_id} has a mark and is not in the log"
            continue
        first = records[0].line
        for mark in marks:
            if mark.line.partition != first.partition or mark.line.offset < first.offset:
                yield f"{event_id} at {_where(records[0])} has a mark at {mark.line.partition}/{mark.line.offset}"


def _drains(facts: Facts) -> Iterator[str]:
    newest = {gateway: samples[-1] for (gateway, _), samples in sorted(facts.lives.items())}
    if not newest:
        yield "no gateway told anything"
    for sample in newest.values():
        if not sample.is_quiet:
            yield f"at last: {sample}"
    if facts.history.in_folder:
        yield f"left in the folder of spills: {', '.join(facts.history.in_folder)}"


def _nobody_ended(facts: Facts) -> Iterator[str]:
    for ended in facts.history.ended:
        yield f"{ended.name} ended by itself at {ended.at} with exit code {ended.code}: {ended.last_line}"


def _was_offered(facts: Facts) -> Iterator[str]:
    wanted = facts.history.demands.clicks
    numbers = sorted(int(event_id.rpartition("-")[2]) for event_id in facts.clicks)
    if len(numbers) < wanted or numbers != list(range(len(numbers))):
        yield f"{len(numbers)} clicks were sent, up to number {max(numbers, default=0)}; {wanted} were wanted"
    late = sorted(each.sending.sent_at - each.sending.intended_at for each in facts.history.attempts)
    if late and late[len(late) * 99 // 100] > ON_TIME_MS:
        yield f"one click in a hundred was sent {late[len(late) * 99 // 100]:.0f} ms after its time, or later"


def _was_broken(facts: Facts) -> Iterator[str]:
    demands = facts.history.demands
    left = sum(each.over is not None and each.over.ending == "left" for each in facts.history.attempts)
    seen = {
        "clicks came when all was as before": (_came_afterwards(facts), demands.afterwards),
        "records went through the spill": (facts.spilled, demands.spilled),
        "gateways were killed": (sum(map(len, facts.kills.values())), demands.kills),
        "clicks were refused": (len(facts.refused), demands.refused),
        "clients left": (left, demands.left),
    }
    for what, (number, wanted) in seen.items():
        if number < wanted:
            yield f"{number} {what}, {wanted} were wanted"


def _came_afterwards(facts: Facts) -> int:
    """Return how many clicks came after the first look, behind all faults, at which every gateway was quiet."""
    over = max((fault.at for fault in facts.history.faults), default=facts.history.began_at)
    quiet: dict[int, bool] = {}
    for sample in facts.history.samples:
        if sample.at > over:
            quiet[sample.gateway] = sample.is_quiet
            if len(quiet) == len({each.gateway for each in facts.history.samples}) and all(quiet.values()):
                return sum(attempts[0].sending.sent_at > sample.at for attempts in facts.clicks.values())
    return 0


def _place(attempt: Attempt) -> str:
    sending = attempt.sending
    return f"{sending.event_id} (attempt {sending.nth}, gateway {sending.gateway}, sent at {sending.sent_at:.0f})"


def _where(record: Received) -> str:
    return f"{record.line.partition}/{record.line.offset}"


RULES: Final[Sequence[Rule]] = (
    Rule(name="every click is answered within 2.5 s", guarantee="G2", breaches=_answered_in_time),
    Rule(name="every click is accepted, as long as there is room", guarantee="G1", breaches=_all_accepted),
    Rule(name="who is not accepted is told so", guarantee="G1", breaches=_told_the_truth),
    Rule(name="every accepted click is in the log", guarantee="G1", breaches=_accepted_is_logged),
    Rule(name="only what was clicked is in the log", guarantee="G11", breaches=_logged_was_clicked),
    Rule(name="twice in the log is only what was in doubt", guarantee="G1", breaches=_twice_only_in_doubt),
    Rule(name="repetitions are equal", guarantee="G1", breaches=_repetitions_are_equal),
    Rule(name="cards keep their order", guarantee="G5", breaches=_cards_keep_their_order),
    Rule(name="every answer has its mark", guarantee="G6", breaches=_marked),
    Rule(name="marks lie behind their clicks", guarantee="G6", breaches=_marks_lie_behind),
    Rule(name="the spill drains and the breaker closes", guarantee="G1", breaches=_drains),
    Rule(name="no gateway ends by itself", guarantee="", breaches=_nobody_ended),
    Rule(name="the clicks were sent at their times", guarantee="", breaches=_was_offered),
    Rule(name="enough was broken to prove anything", guarantee="", breaches=_was_broken),
)
