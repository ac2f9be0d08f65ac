"""Was each effect performed, once where that can be told? Rules over one event's facts (pure)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from shared.core.effects import UpdateChat
from shared.core.events import CARD, NAME
from worker.history.verifying.facts import Outcome, Place, Planned
from worker.history.verifying.story import Known, Story, Violation

PERFORMED_WAS_PLANNED: Final = "performed_was_planned"
OUTCOMES_ARE_COUNTED: Final = "outcomes_are_counted"
FINAL_IS_FINAL: Final = "final_is_final"
SENT_ONCE: Final = "sent_once"
COMES_TO_AN_END: Final = "comes_to_an_end"

LONG_MS: Final = 48 * 3_600_000
"""Twice as long as an effect is tried: it may have waited for a worker, or for the platform to be reached again."""

REDRIVEN: Final = "redriven"


def performed_was_planned(story: Story, _known: Known) -> Iterator[Violation]:
    """Nothing happens that no decision wants. Of an event without any decision, `worker.history.verifying.beside`."""
    if not story.decisions:
        return
    for index in story.by_effect.keys() - story.planned.keys():
        first = story.by_effect[index][0]
        text = f"effect {index} has an outcome, and no decision wants it"
        yield story.violates(PERFORMED_WAS_PLANNED, text, first.place, next(iter(story.first.values())).place)


def outcomes_are_counted(story: Story, _known: Known) -> Iterator[Violation]:
    """Outcomes of an effect are numbered from 1 without a gap, and each number says one thing."""
    for index, outcomes in story.by_effect.items():
        yield from _told_otherwise(story, index)
        before = 0 if index in story.planned else outcomes[0].k - 1
        for outcome in outcomes:
            if outcome.k != before + 1:
                text = f"effect {index} has no outcome {before + 1}, and one with the number {outcome.k}"
                yield story.violates(OUTCOMES_ARE_COUNTED, text, outcome.place)
            before = outcome.k


def _told_otherwise(story: Story, index: int) -> Iterator[Violation]:
    first: dict[int, Outcome] = {}
    for outcome in story.outcomes:
        if outcome.index == index and first.setdefault(outcome.k, outcome).value != outcome.value:
            text = f"effect {index} has two different outcomes with the number {outcome.k}"
            yield story.violates(OUTCOMES_ARE_COUNTED, text, first[outcome.k].place, outcome.place)


def final_is_final(story: Story, _known: Known) -> Iterator[Violation]:
    """
    Nothing follows a final outcome, but what was asked for by hand, and the newest state sent once more.

    A failed effect may be redriven, which is an outcome of its own. What a card or a chat shows is sent again when a
    call that nobody knows the end of may have overtaken it.
    """
    for index, outcomes in story.by_effect.items():
        planned = story.planned[index][1] if index in story.planned else None
        for earlier, later in pairwise(outcomes):
            if earlier.final and not _is_redriven(earlier, later) and not _is_sent_again(planned, outcomes, later):
                text = f"effect {index} {later.status} after it had {earlier.status} for good"
                yield story.violates(FINAL_IS_FINAL, text, earlier.place, later.place)


def _is_redriven(earlier: Outcome, later: Outcome) -> bool:
    return earlier.status == "failed" and later.status == "failed" and not later.final and later.reason == REDRIVEN


def _is_sent_again(planned: Planned | None, outcomes: Sequence[Outcome], later: Outcome) -> bool:
    if planned is None:
        return True  # what it was is older than the log
    is_state = planned.kind == UpdateChat.__name__ or (planned.is_for_everybody and planned.coalesce in {CARD, NAME})
    was_done = any(one.status == "succeeded" and one.k < later.k for one in outcomes)
    return is_state and was_done and later.status == "succeeded"


def sent_once(story: Story, _known: Known) -> Iterator[Violation]:
    """A send makes one message."""
    for index, outcomes in story.by_effect.items():
        sent = {outcome.sent_message_id: outcome.place for outcome in outcomes if outcome.sent_message_id is not None}
        if len(sent) > 1:
            text = f"effect {index} made {len(sent)} messages: {', '.join(sorted(sent))}"
            yield story.violates(SENT_ONCE, text, *sent.values())


def comes_to_an_end(story: Story, known: Known) -> Iterator[Violation]:
    """What was to be done long ago was done, given up with a reason, or superseded."""
    for index, (decision, planned) in story.planned.items():
        outcomes = story.by_effect.get(index, ())
        if outcomes and outcomes[-1].final:
            continue
        since = max(decision.decided_at, planned.due or 0, *_wanted_again(outcomes))
        if known.newest - since > LONG_MS:
            last: Place | None = outcomes[-1].place if outcomes else None
            hours = (known.newest - since) // 3_600_000
            text = f"effect {index} ({planned.kind}) has not come to an end for {hours} h"
            yield story.violates(COMES_TO_AN_END, text, decision.place, last)


def _wanted_again(outcomes: Sequence[Outcome]) -> Sequence[int]:
    return [0, *(outcome.finished_at for outcome in outcomes if outcome.reason == REDRIVEN)]
