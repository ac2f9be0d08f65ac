"""`verify`: each broken promise is found by exactly its rule, and none where all were kept."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from shared.core.events import Decided, EffectOutcome, Event, InteractionAnswered, InteractionReceived
from shared.core.ids import EventId, MessageId
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import TOPICS
from tests.support.facts import click, mark, redrive
from tests.support.recorded import HOUR, SETTLE, Recorded, honest, of_event, rename
from worker.history.verify import Verified, verify
from worker.history.verifying.rules import RULES
from worker.history.verifying.story import Violation

Doctor = Callable[[Recorded], None]


async def judged(told: Recorded) -> tuple[list[Violation], Verified]:
    """Return what is wrong with a history."""
    found: list[Violation] = []
    return found, await verify(await told.log(), TOPICS, found=found.append)


async def test_an_honest_history_has_no_violation() -> None:
    """Repetitions, retries, redrives, twins, races and what was put aside are all in good order."""
    found, verified = await judged(honest())
    assert [] == found
    assert 0 == verified.violations
    assert verified.counts["decisions"] > 20
    assert {"parked": 1, "not_decided": 2, "begun_before_the_log": 0}.items() <= verified.counts.items()


async def _judged_log(event_log: MemoryLog) -> list[Violation]:
    found: list[Violation] = []
    await verify(event_log, TOPICS, found=found.append)
    return found


@pytest.mark.parametrize("inputs", [0, 1, 7, 18, 25])
@pytest.mark.parametrize("outcomes", [0, 1, 5, 12, 23])
async def test_what_retention_took_is_no_violation(inputs: int, outcomes: int) -> None:
    """Wherever it cut either topic: what lies at the head may have lost its other half."""
    event_log = await honest().log()
    for topic, before in ((TOPICS.interactions, inputs), (TOPICS.outcomes, outcomes)):
        for partition, span in (await event_log.spans(topic)).items():
            event_log.forget(topic, partition, before=min(before, span.end))
    assert [] == await _judged_log(event_log)


async def test_a_log_that_was_moved_has_no_violation() -> None:
    """Its decisions name the places of another log."""
    told = honest()
    told.outcomes = [
        replace(one, partition=(one.partition + 5) % 12, offset=one.offset + 70_000)
        if isinstance(one, Decided)
        else one
        for one in told.outcomes
    ]
    assert [] == (await judged(told))[0]


@pytest.mark.parametrize("first", [1, 3, 7])
async def test_a_log_that_was_moved_with_repetitions_has_no_violation(first: int) -> None:
    """An import appends again what nobody acknowledged: all that lies behind has later places than decisions name."""
    told = honest()
    told.interactions = [*told.interactions[:first], *told.interactions[:first], *told.interactions[first:]]
    assert [] == (await judged(told))[0]


@pytest.mark.parametrize("end", [1, 9, 20, 33, 47])
async def test_what_is_not_told_yet_is_no_violation(end: int) -> None:
    """While workers go on: decisions and outcomes that are still to come."""
    told = honest()
    told.outcomes = told.outcomes[:end]
    assert [] == (await judged(told))[0]


async def test_a_name_counts_from_its_cards_newest_click() -> None:
    """People's clicks are not logged in the order of their times, and a name does not go back with one."""
    told = honest()
    version = of_event(told, "last").version
    first = told.click("name")
    older = told.decide(first, rename(1), version=version + 1, newest_at=first.occurred_at)
    late = told.click("name-of-a-slow-phone", occurred_at=first.occurred_at - 2_000)
    newer = told.decide(late, rename(1), version=version + 2, newest_at=first.occurred_at)
    told.come(older, 1, "superseded", reason="by name-of-a-slow-phone/1")
    told.come(newer, 1)
    assert [] == (await judged(told))[0]


def _swap(told: Recorded, old: Any, new: Any) -> None:
    """Put another output in the place of one, wherever it was told."""
    told.outcomes = [new if one is old else one for one in told.outcomes]


def _change(event_id: str, **fields: Any) -> Doctor:
    def doctor(told: Recorded) -> None:
        decided = of_event(told, event_id)
        _swap(told, decided, replace(decided, **fields))

    return doctor


def _outcome(told: Recorded, event_id: str, index: int = 1, k: int = 1) -> EffectOutcome:
    return next(
        one
        for one in told.outcomes
        if isinstance(one, EffectOutcome) and (one.event_id, one.index, one.k) == (event_id, index, k)
    )


def _instead(event_id: str, index: int, k: int, /, **fields: Any) -> Doctor:
    """Return what changes an outcome."""

    def doctor(told: Recorded) -> None:
        outcome = _outcome(told, event_id, index, k)
        _swap(told, outcome, replace(outcome, **fields))

    return doctor


def _besides(event_id: str, index: int, like: int, /, **fields: Any) -> Doctor:
    """Return what tells one more outcome, like another one."""

    def doctor(told: Recorded) -> None:
        outcome = _outcome(told, event_id, index, like)
        told.outcomes.insert(told.outcomes.index(outcome) + 1, replace(outcome, **fields))

    return doctor


def _earlier(event_id: str, index: int, ms: int, /) -> Doctor:
    """Return what lets an effect be performed earlier."""

    def doctor(told: Recorded) -> None:
        outcome = _outcome(told, event_id, index)
        began = None if outcome.started_at is None else outcome.started_at - ms
        _swap(told, outcome, replace(outcome, started_at=began, finished_at=outcome.finished_at - ms))

    return doctor


def _decided_twice(told: Recorded) -> None:
    decided = of_event(told, "retried")
    told.outcomes.insert(20, replace(decided, state='{"clicks":0}'))


def _redriven_though_decided(told: Recorded) -> None:
    wish = redrive("nobody-cares", 1)
    told.interactions.append(wish)
    told.decide(_asked(told, "nobody-cares"), of=wish, handler=None, result="ignored")


def _asked(told: Recorded, event_id: str) -> InteractionReceived:
    return next(one for one in told.interactions if isinstance(one, InteractionReceived) and one.event_id == event_id)


def _decided_what_nobody_did(told: Recorded) -> None:
    ghost = replace(of_event(told, "nobody-cares"), event_id=EventId("ghost"))
    told.outcomes.insert(20, ghost)


def _redriven_by_nobody(told: Recorded) -> None:
    told.interactions = [one for one in told.interactions if one is not _wish(told)]


def _wish(told: Recorded) -> Any:
    return next(one for one in told.interactions if type(one).__name__ == "RedriveRequested")


def _one_version_twice(told: Recorded) -> None:
    for one in [each for each in told.outcomes if isinstance(each, Decided) and each.message_id == "om_1"]:
        if one.version > 2:
            _swap(told, one, replace(one, version=one.version - 1))


def _one_version_skipped(told: Recorded) -> None:
    for one in [each for each in told.outcomes if isinstance(each, Decided) and each.message_id == "om_1"]:
        if one.version > 2:
            _swap(told, one, replace(one, version=one.version + 1))


def _versions_exchanged(told: Recorded) -> None:
    older, newer = of_event(told, "older"), of_event(told, "newer")
    _swap(told, older, replace(older, version=newer.version))
    _swap(told, newer, replace(newer, version=older.version))


def _lost(told: Recorded) -> None:
    _insert(told, click("lost", occurred_at=told.at, received_at=told.at))


def _lost_among_deliveries(told: Recorded) -> None:
    _insert(told, click("lost", delivery_key="of-nobody-else", occurred_at=told.at, received_at=told.at))


def _insert(told: Recorded, lost: InteractionReceived) -> None:
    """Put a click between others of its card, which lie one place further then."""
    told.interactions.insert(told.interactions.index(_asked(told, "older")), lost)
    partition, offset = told.place(lost)
    told.outcomes = [
        replace(one, offset=one.offset + 1)
        if isinstance(one, Decided) and one.partition == partition and one.offset >= offset
        else one
        for one in told.outcomes
    ]


def _delivered_twice_and_decided(told: Recorded) -> None:
    told.decide(_asked(told, "first-again"), result="ignored", handler=None)


def _performed_and_never_decided(told: Recorded) -> None:
    _swap(told, of_event(told, "nobody-cares"), replace(_outcome(told, "newer"), event_id=EventId("nobody-cares")))


def _marked_from_nowhere(told: Recorded) -> None:
    told.interactions.append(mark(click("never"), answered_at=told.at))


def _without_marks(event_id: str) -> Doctor:
    def doctor(told: Recorded) -> None:
        told.interactions = [one for one in told.interactions if not _is_mark(one, event_id)]

    return doctor


def _undelivered(event_id: str) -> Doctor:
    def doctor(told: Recorded) -> None:
        told.interactions = [
            replace(one, delivered=False) if isinstance(one, InteractionAnswered) and _is_mark(one, event_id) else one
            for one in told.interactions
        ]

    return doctor


def _is_mark(event: Event, event_id: str) -> bool:
    return isinstance(event, InteractionAnswered) and event.event_id == event_id


def _never_done(told: Recorded) -> None:
    told.at += 60 * HOUR
    told.decide(told.click("days-later"), version=of_event(told, "last").version + 1)
    told.outcomes = [one for one in told.outcomes if one is not _outcome(told, "first", 2)]


def _won_twice(told: Recorded) -> None:
    late = told.click("u3", message_id="om_each")
    told.decide(late, version=3, winners=("ou_1",))


def _two_winners(told: Recorded) -> None:
    late = told.click("w3", message_id="om_once")
    told.decide(late, version=2, winners=("ou_3",))


def _twin_with_an_effect(told: Recorded) -> None:
    twin = of_event(told, "legacy")
    (name,) = told.decide(_asked(told, "legacy"), rename(1)).effects
    told.outcomes.pop()
    _swap(told, twin, replace(twin, effects=(name,)))


def _sent_twice(told: Recorded) -> None:
    outcome = _outcome(told, "first", 3)
    again = replace(outcome, k=2, sent_message_id=MessageId("om_again"))
    _swap(told, outcome, replace(outcome, status="failed", final=False))
    told.outcomes.append(again)


def _twin_decided(told: Recorded) -> None:
    twin = of_event(told, "legacy")
    _swap(told, twin, replace(twin, result="decided", handler="follow_up"))


def _renamed(told: Recorded) -> None:
    """A name gives way to an older one."""
    older = told.decide(told.click("older-name"), rename(1), version=of_event(told, "last").version + 1)
    newer = told.decide(told.click("newer-name"), rename(1), version=older.version + 1)
    told.come(older, 1)
    told.come(newer, 1, "superseded", reason="by older-name/1")


PLANTED: list[tuple[str, str, Doctor]] = [
    ("decided_once", "two different decisions of one event", _decided_twice),
    ("decided_again_after_failure", "a redrive of what had not failed", _redriven_though_decided),
    ("decided_was_logged", "a decision of an event that is not in the log", _decided_what_nobody_did),
    ("decided_was_logged", "a redrive that nobody asked for", _redriven_by_nobody),
    ("decided_for_its_card", "a decision about another card", _change("nobody-cares", message_id=MessageId("om_2"))),
    ("versions_have_no_gap", "a state changed twice from one version", _one_version_twice),
    ("versions_have_no_gap", "a version skipped", _one_version_skipped),
    ("decided_in_log_order", "decisions of one card out of log order", _versions_exchanged),
    ("nothing_passed_over", "a lost click", _lost),
    ("nothing_passed_over", "a lost click that was delivered once", _lost_among_deliveries),
    ("delivery_decided_once", "two events of one delivery, both decided", _delivered_twice_and_decided),
    ("twin_decided_once", "a click decided in both styles", _twin_decided),
    ("twins_change_nothing", "a twin with an effect", _twin_with_an_effect),
    ("performed_was_planned", "an outcome that no decision wants", _besides("newer", 1, 1, index=9)),
    ("performed_was_planned", "an effect performed and never decided", _performed_and_never_decided),
    ("outcomes_are_counted", "a gap in the numbers", _instead("retried", 1, 2, k=3)),
    ("outcomes_are_counted", "one number twice", _besides("newer", 1, 1, log_id="another")),
    ("final_is_final", "an outcome after a final one", _besides("newer", 1, 1, k=2, final=False, status="failed")),
    ("final_is_final", "a text sent again", _besides("first", 3, 1, k=2)),
    ("sent_once", "two messages of one effect", _sent_twice),
    ("superseded_by_a_newer", "by nobody", _instead("older", 1, 1, reason="by ghost/1")),
    ("superseded_by_a_newer", "by an effect that was never wanted", _instead("older", 1, 1, reason="by newer/7")),
    ("superseded_by_a_newer", "by an older one", _instead("older", 1, 1, reason="by first/1")),
    ("superseded_by_a_newer", "by a name", _instead("older", 1, 1, reason="by first/2")),
    ("superseded_by_a_newer", "by another card's", _instead("older", 1, 1, reason="by w1/1")),
    ("superseded_by_a_newer", "a name by an older one", _renamed),
    ("comes_to_an_end", "an effect that is not heard of for days", _never_done),
    ("waited_for_the_answer", "an update before its mark", _earlier("newer", 1, SETTLE + 1_000)),
    ("waited_for_the_answer", "an update without a mark, too early", _earlier("unanswered", 1, 1_000)),
    ("mark_was_logged", "an update that went by a mark that nobody appended", _without_marks("newer")),
    ("mark_was_logged", "an answered card that nobody got", _undelivered("answered")),
    ("marked_was_logged", "a mark of an event that was never received", _marked_from_nowhere),
    ("not_before_its_time", "a reminder that came too early", _earlier("approval", 2, 1_000)),
    ("won_by_its_rule", "who won twice", _won_twice),
    ("won_by_its_rule", "two winners of a race for one", _two_winners),
]


@pytest.mark.parametrize(
    ("rule", "doctor"), [(rule, doctor) for rule, _, doctor in PLANTED], ids=[what for _, what, _ in PLANTED]
)
async def test_a_planted_violation_is_found_by_its_rule_alone(rule: str, doctor: Doctor) -> None:
    """And by no other: whoever reads it knows what to look for."""
    told = honest()
    doctor(told)
    found, verified = await judged(told)
    assert {rule} == {violation.rule for violation in found}, found
    assert len(found) == verified.violations
    assert all(violation.places and violation.text for violation in found)


def test_every_rule_is_tried() -> None:
    """With at least one violation planted for each."""
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in PLANTED}
