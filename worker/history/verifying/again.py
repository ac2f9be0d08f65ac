"""What has to be seen beside other events, of the same card, delivery or winner: filed for the second turn (pure)."""

from collections.abc import Iterator
from typing import Final

from shared.core.events import CARD_ACTIONS
from shared.core.ids import MessageId, ordering_key
from shared.eventlog.partition import partition_of
from worker.history.verifying.beside import Delivered, Edges, Replaced, Undecided, Unheard, Winner
from worker.history.verifying.cards import Clicked, Step
from worker.history.verifying.facts import Place, winner_of
from worker.history.verifying.story import Known, Story

Beside = Step | Clicked | Undecided | Delivered | Unheard | Winner | Replaced
Again = tuple[str, int, Beside]
"""What is judged in the second turn: under which key, in which order, what."""

APART: Final = "\0"
"""Between the parts of a key: what is judged, the app, and of what."""


def again(story: Story, known: Known, edges: Edges) -> Iterator[Again]:
    """Yield what is judged beside other events, and note at the edges what is there."""
    yield from _heard(story, edges)
    yield from _decided(story, known, edges)
    for decision in story.first.values():
        if decision.message_id is not None and (decision.version or decision.reason or decision.winners):
            step = Step(
                story.event_id, story.place_of(decision), decision.place, decision.version, decision.handler,
                decision.digest, decision.reason, decision.winners, decision.voters,
            )  # fmt: skip
            yield _key("card", story.app_id, decision.message_id), decision.version, step
    yield from _clicked(story, known)
    yield from _places(story)


def _key(what: str, app_id: str, of: str) -> str:
    return f"{what}{APART}{app_id}{APART}{of}"


def _heard(story: Story, edges: Edges) -> Iterator[Again]:
    for decision in story.first.values():
        if story.place_of(decision) is not None:
            edges.heard(decision.of_partition, decision.place)
        elif not story.copies(decision):
            unheard = Unheard(story.event_id, decision.of_partition, decision.place, decision.redrive)
            yield _key("unheard", story.app_id, ""), 0, unheard


def _decided(story: Story, known: Known, edges: Edges) -> Iterator[Again]:
    first = story.first.get(0)
    delivery = next((one.delivery_key for one in story.inputs if one.delivery_key is not None), None)
    undecided: Undecided | None = None
    if first is not None:
        delivery = first.delivery_key or delivery
        if (read := story.place_of(first)) is not None:
            edges.decided(read, first.place)
    elif story.decisions or not story.inputs or story.is_parked:
        return
    else:
        undecided = _undecided(story, known)
        if story.inputs[0].received_at < known.told_from.get(undecided.told_in, 0):
            return  # it may repeat one whose decision is older than the log
    if delivery is not None:
        told = None if first is None else first.place
        delivered = Delivered(story.event_id, told, undecided)
        yield _key("delivery", story.app_id, delivery), int(undecided is not None), delivered
    elif undecided is not None:
        yield _key("undecided", story.app_id, ""), 0, undecided


def _undecided(story: Story, known: Known) -> Undecided:
    read = story.inputs[0]
    message_id = None if read.message_id is None else MessageId(read.message_id)
    told_in = partition_of(ordering_key(story.app_id, message_id, story.event_id), known.outcome_partitions)
    performed = story.outcomes[0].place if story.outcomes else None
    return Undecided(story.event_id, Place("interactions", read.partition, read.offset), told_in, performed)


def _clicked(story: Story, known: Known) -> Iterator[Again]:
    first = story.first.get(0)
    if first is None or story.app_id not in known.legacy or not story.inputs:
        return
    read = story.inputs[0]
    if read.message_id is not None and read.kind in CARD_ACTIONS:
        place = Place("interactions", read.partition, read.offset)
        click = Clicked(story.event_id, place, read.kind, read.same, read.received_at, first.result)
        yield _key("twins", story.app_id, read.message_id), read.offset, click


def _places(story: Story) -> Iterator[Again]:
    """Yield whose place was taken, and what is said to have taken a place."""
    if story.is_named and story.planned:
        decision = max(story.first.values(), key=lambda one: one.redrive)
        targets = {index: tuple({one.target for one in told}) for index, told in story.by_effect.items()}
        planned = tuple(one for _, one in story.planned.values())
        places = (story.place_of(decision), story.logged)
        winner = Winner(story.event_id, *places, planned, targets)
        yield _key("superseded", story.app_id, story.event_id), 0, winner
    for index, outcomes in story.by_effect.items():
        for outcome in outcomes:
            by = winner_of(outcome.reason) if outcome.status == "superseded" else None
            if by is not None and index in story.planned:
                decision, plan = story.planned[index]
                replaced = Replaced(
                    story.event_id, decision.message_id, by[0], by[1], plan, outcome.target,
                    story.place_of(decision), story.logged, outcome.place,
                )  # fmt: skip
                yield _key("superseded", story.app_id, by[0]), 1, replaced
