"""
What one event's facts alone cannot show: what was passed over, what came from nowhere, whose place was taken (pure).

Of each pair of partitions, one of the inputs and one of the outcomes, retention cuts off the beginning of either. So
what stands between two things that are there, and is not there, is missing; at the ends nobody can say.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from shared.core.effects import SetStreaming, UpdateChat
from shared.core.events import CARD, ELEMENT, EVERYBODY, NAME, PREVIEW, TEXT, TIMER
from shared.core.targets import card_of_unknown_chat
from worker.history.verifying.facts import Place, Planned
from worker.history.verifying.performing import PERFORMED_WAS_PLANNED
from worker.history.verifying.story import Violation

NOTHING_PASSED_OVER: Final = "nothing_passed_over"
DECIDED_WAS_LOGGED: Final = "decided_was_logged"
DELIVERY_DECIDED_ONCE: Final = "delivery_decided_once"
SUPERSEDED_BY_A_NEWER: Final = "superseded_by_a_newer"

_ELSEWHERE: Final = frozenset({NAME, PREVIEW})
"""Keys of effects whose winner may be another card's, in a partition of its own."""


class Undecided(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=3):
    """
    An input without a decision.

    Attributes:
        told_in: The partition in which its decision would have been told.
        performed: The first outcome of one of its effects, if there is any.
    """

    event_id: str
    input: Place
    told_in: int
    performed: Place | None


class Delivered(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=4):
    """An event of a delivery; `undecided` if it was not decided."""

    event_id: str
    told: Place | None
    undecided: Undecided | None


class Unheard(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=5):
    """A decision whose input is not in the log."""

    event_id: str
    of_partition: int
    told: Place
    redrive: int


class Winner(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=6):
    """
    An event of which an effect is said to have taken another's place.

    Attributes:
        input: Where it was decided, and `first` where it was logged, if it was redriven.
        targets: Of its effects, as performed.
    """

    event_id: str
    input: Place | None
    first: Place | None
    planned: tuple[Planned, ...]
    targets: dict[int, tuple[str, ...]]


class Replaced(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=7):
    """
    A superseded effect, and the one that is said to have taken its place.

    Attributes:
        target: As it was by then.
        input: Where it was decided, and `first` where it was logged, if it was redriven.
    """

    event_id: str
    message_id: str | None
    by: str
    by_index: int
    planned: Planned
    target: str
    input: Place | None
    first: Place | None
    told: Place


class Edges:
    """Between which offsets everything must be there: grows while events are judged, and is asked afterwards."""

    def __init__(self) -> None:
        self._decided: dict[tuple[int, int], tuple[int, int]] = {}
        self._heard: dict[tuple[int, int], int] = {}

    def decided(self, read: Place, told: Place) -> None:
        """Note an input that was decided, and where that was told."""
        pair = (read.partition, told.partition)
        low, high = self._decided.get(pair, (read.offset, read.offset))
        self._decided[pair] = (min(low, read.offset), max(high, read.offset))

    def heard(self, of_partition: int, told: Place) -> None:
        """Note a decision whose input is there."""
        pair = (of_partition, told.partition)
        self._heard[pair] = min(told.offset, self._heard.get(pair, told.offset))

    def is_between(self, undecided: Undecided) -> bool:
        """Say whether what was logged before it, and behind it, is decided."""
        low, high = self._decided.get((undecided.input.partition, undecided.told_in), (0, 0))
        return low < undecided.input.offset < high

    def should_be_there(self, unheard: Unheard) -> bool:
        """Say whether the input of an earlier decision is still there."""
        first = self._heard.get((unheard.of_partition, unheard.told.partition))
        return first is not None and first < unheard.told.offset


def passed_over(app_id: str, undecided: Undecided, edges: Edges) -> Iterator[Violation]:
    """What lies between inputs that were decided was decided: positions move over every record."""
    if not edges.is_between(undecided):
        return
    rule, text, places = NOTHING_PASSED_OVER, "not decided, and later inputs of its partition are", [undecided.input]
    if undecided.performed is not None:
        rule, text = PERFORMED_WAS_PLANNED, "an effect of it has an outcome, and it was never decided"
        places.append(undecided.performed)
    yield Violation(rule=rule, app_id=app_id, event_id=undecided.event_id, places=places, text=text)


def from_nowhere(app_id: str, unheard: Unheard, edges: Edges) -> Iterator[Violation]:
    """What was decided is in the log."""
    if edges.should_be_there(unheard):
        what = f"redrive {unheard.redrive}" if unheard.redrive else "an event"
        yield Violation(
            rule=DECIDED_WAS_LOGGED,
            app_id=app_id,
            event_id=unheard.event_id,
            places=(unheard.told,),
            text=f"a decision of {what} that is not in the log",
        )


def of_one_delivery(app_id: str, events: Iterable[Delivered], edges: Edges) -> Iterator[Violation]:
    """Of what was delivered twice, whatever ids it got, one is decided. Those that were decided come first."""
    first: Delivered | None = None
    for one in events:
        if one.undecided is not None:
            if first is None:
                yield from passed_over(app_id, one.undecided, edges)
        elif first is None:
            first = one
        elif one.event_id != first.event_id:
            yield Violation(
                rule=DELIVERY_DECIDED_ONCE,
                app_id=app_id,
                event_id=one.event_id,
                places=[place for place in (first.told, one.told) if place is not None],
                text=f"decided, and so was {first.event_id}, which is the same delivery",
            )


def took_its_place(app_id: str, winner: Winner | None, replaced: Replaced) -> Iterator[Violation]:
    """What is superseded gave way to a later effect of the same target, for the same people, that does as much."""
    text = _unjust(winner, replaced)
    if text is not None:
        yield Violation(
            rule=SUPERSEDED_BY_A_NEWER,
            app_id=app_id,
            event_id=replaced.event_id,
            places=(replaced.told,),
            text=f"effect {replaced.planned.index} superseded by {replaced.by}/{replaced.by_index}, {text}",
        )


def _unjust(winner: Winner | None, replaced: Replaced) -> str | None:
    if winner is None:
        may_be_elsewhere = replaced.message_id is None or replaced.planned.coalesce in _ELSEWHERE
        return None if may_be_elsewhere else "which nobody decided"
    planned = next((one for one in winner.planned if one.index == replaced.by_index), None)
    if planned is None:
        return "which nobody decided"
    if not _does_as_much(planned, replaced.planned):
        return "which does not do what it was to do"
    unknown = card_of_unknown_chat(planned.target) is not None  # type: ignore[arg-type]
    if not unknown and replaced.target not in {planned.target, *winner.targets.get(planned.index, ())}:
        return "which acts on something else"
    return None if _is_later(winner, planned, replaced) else "which is older"


def _does_as_much(winner: Planned, loser: Planned) -> bool:
    if winner.audience not in {loser.audience, EVERYBODY}:
        return False
    if loser.coalesce is None:
        return winner.kind == loser.kind == SetStreaming.__name__  # of one that was tried again by hand
    above = {loser.coalesce}
    if loser.coalesce.startswith((ELEMENT, TEXT)):
        above |= {CARD, f"{ELEMENT}{loser.coalesce.partition(':')[2]}"}
    return winner.coalesce in above or (loser.coalesce == NAME and winner.kind == UpdateChat.__name__)


def _is_later(winner: Winner, planned: Planned, replaced: Replaced) -> bool:
    if replaced.planned.coalesce == NAME:
        return planned.counts_from >= replaced.planned.counts_from
    # What is redriven is shown as it is decided now; its reminders may have been settled since it was logged.
    is_timer = replaced.planned.coalesce == TIMER
    first, second = (replaced.first, winner.first) if is_timer else (replaced.input, winner.input)
    if first is None or second is None or first.partition != second.partition:
        return True  # nobody can say
    return (first.offset, replaced.planned.index) < (second.offset, planned.index)
