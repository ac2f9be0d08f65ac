"""Was each event decided once, and only what may be decided again? Rules over one event's facts (pure)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from worker.history.verifying.story import Known, Story, Violation

DECIDED_ONCE: Final = "decided_once"
DECIDED_AGAIN_AFTER_FAILURE: Final = "decided_again_after_failure"
DECIDED_FOR_ITS_CARD: Final = "decided_for_its_card"
TWINS_CHANGE_NOTHING: Final = "twins_change_nothing"

_NOTHING_FOLLOWS: Final = frozenset({"twin", "ignored"})


def decided_once(story: Story, _known: Known) -> Iterator[Violation]:
    """Whatever repeats a decision repeats it to the byte."""
    for redrive, first in story.first.items():
        others = [one for one in story.decisions if one.redrive == redrive and one.value != first.value]
        if others:
            places = {one.value: one.place for one in reversed(others)}
            text = f"{len(places) + 1} different decisions of one input"
            yield story.violates(DECIDED_ONCE, text, first.place, *places.values())


def decided_again_after_failure(story: Story, _known: Known) -> Iterator[Violation]:
    """Only what failed is decided once more, by hand."""
    decisions = list(story.first.values())
    for earlier, later in pairwise(decisions):
        if earlier.result != "failed":
            text = f"{earlier.result} before, and decided again by redrive {later.redrive}"
            yield story.violates(DECIDED_AGAIN_AFTER_FAILURE, text, earlier.place, later.place)


def decided_for_its_card(story: Story, _known: Known) -> Iterator[Violation]:
    """A decision writes the card of its own input, and no other."""
    for decision in story.first.values():
        asked = story.inputs if not decision.redrive else [one for one in story.redrives if one.n == decision.redrive]
        cards = {one.message_id for one in asked}
        if cards and decision.message_id not in cards:
            text = f"decided for the card {decision.message_id}, and its input is about {' and '.join(map(str, cards))}"
            yield story.violates(DECIDED_FOR_ITS_CARD, text, story.place_of(decision), decision.place)


def twins_change_nothing(story: Story, _known: Known) -> Iterator[Violation]:
    """What is only written down has no effect and leaves its card as it was."""
    for decision in story.first.values():
        if decision.result in _NOTHING_FOLLOWS and (decision.planned or decision.requests or decision.version):
            text = f"{decision.result}, with {len(decision.planned)} effects and version {decision.version}"
            yield story.violates(TWINS_CHANGE_NOTHING, text, decision.place)
