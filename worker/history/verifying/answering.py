"""Did anything happen before its click was answered? Rules over one event's facts (pure)."""

from collections.abc import Iterator
from typing import Final

from shared.core.effects import ANSWERED_CARD
from shared.core.eligibility import UNANSWERED_MS
from worker.history.verifying.facts import Decision, Outcome, Place, Planned
from worker.history.verifying.story import Known, Story, Violation

WAITED_FOR_THE_ANSWER: Final = "waited_for_the_answer"
NOT_BEFORE_ITS_TIME: Final = "not_before_its_time"
MARK_WAS_LOGGED: Final = "mark_was_logged"
MARKED_WAS_LOGGED: Final = "marked_was_logged"

CLOCK_MS: Final = 100
"""A worker reads the ledger's clock now and then, and goes by its own in between: they part by no more than this."""

HEAD_MS: Final = 60_000
"""A mark follows its click within seconds; at the head of a log that retention cut, its click may be gone."""


def waited_for_the_answer(story: Story, _known: Known) -> Iterator[Violation]:
    """No change of the clicked card began before the mark was seen, or 3 s had passed. All by the ledger's clock."""
    for outcome, decision, planned in _with_plans(story):
        if not planned.after_answer or planned.due is not None or outcome.started_at is None:
            continue
        if outcome.marked_at is None:
            since, what = decision.decided_at + UNANSWERED_MS, "3 s after its decision, without a mark"
        else:
            since, what = outcome.marked_at, "the mark was seen"
        if outcome.started_at < since - CLOCK_MS:
            text = f"effect {outcome.index} began {since - outcome.started_at} ms before {what}"
            yield story.violates(WAITED_FOR_THE_ANSWER, text, decision.place, outcome.place)


def not_before_its_time(story: Story, _known: Known) -> Iterator[Violation]:
    """What has a time of its own, a reminder or what came back while its click may be unanswered, waits for it."""
    for outcome, decision, planned in _with_plans(story):
        began = outcome.started_at if outcome.started_at is not None else outcome.finished_at
        is_done = outcome.status in {"succeeded", "failed"}
        if planned.due is not None and is_done and began < planned.due - CLOCK_MS:
            text = f"effect {outcome.index} was performed {planned.due - began} ms before it was due"
            yield story.violates(NOT_BEFORE_ITS_TIME, text, decision.place, outcome.place)


def mark_was_logged(story: Story, _known: Known) -> Iterator[Violation]:
    """What went by an answered mark has one in the log; what needed no call has one that says it was delivered."""
    for outcome, decision, planned in _with_plans(story):
        if story.place_of(decision) is None:
            continue  # older than the log, and so may be its mark
        needed_no_call = planned.kind == ANSWERED_CARD and outcome.status == "succeeded" and outcome.started_at is None
        if outcome.marked_at is not None and not story.marks:
            text = f"effect {outcome.index} went by an answered mark that is not in the log"
            yield story.violates(MARK_WAS_LOGGED, text, outcome.place)
        elif needed_no_call and not any(mark.delivered for mark in story.marks):
            text = "its answered card was taken for shown, and no mark says that the answer was delivered"
            yield story.violates(MARK_WAS_LOGGED, text, outcome.place)


def marked_was_logged(story: Story, known: Known) -> Iterator[Violation]:
    """What was answered is in the log: the click was appended before its answer, and so before its mark."""
    for mark in story.marks[:1]:
        is_old = mark.answered_at <= known.first_at.get(mark.partition, 0) + HEAD_MS
        if not story.inputs and not is_old:
            place = Place("interactions", mark.partition, mark.offset)
            yield story.violates(MARKED_WAS_LOGGED, "a mark of an event that is not in the log", place)


def _with_plans(story: Story) -> Iterator[tuple[Outcome, Decision, Planned]]:
    for index, outcomes in story.by_effect.items():
        if index in story.planned:
            for outcome in outcomes:
                yield outcome, *story.planned[index]
