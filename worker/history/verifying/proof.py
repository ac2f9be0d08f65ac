"""The proof itself, without any waiting: records go in, violations and counts come out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from shared.core.codec import decode
from shared.core.errors import NewerThanUs, Undecodable
from shared.core.events import CARD_ACTIONS, Decided, EffectOutcome, Event, InteractionReceived
from shared.core.ids import AppId, EventId, MessageId, ordering_key
from shared.core.json_text import EpochMs
from shared.eventlog.partition import partition_of
from shared.eventlog.port import Record
from worker.history.verifying.beside import (
    Delivered,
    Edges,
    Replaced,
    Undecided,
    Unheard,
    Winner,
    from_nowhere,
    of_one_delivery,
    passed_over,
    took_its_place,
)
from worker.history.verifying.cards import LEGACY, CardRules, Clicked, Step, TwinRule
from worker.history.verifying.facts import Fact, Filed, Parked, Place, facts_of, winner_of
from worker.history.verifying.rules import EVENT_RULES
from worker.history.verifying.sorting import Scratch
from worker.history.verifying.story import Known, Story, Violation

Beside = Step | Clicked | Undecided | Delivered | Unheard | Winner | Replaced
Again = tuple[str, int, Beside]
"""What is judged in the second turn: under which key, in which order, what."""

AT_ONCE: Final = 4_000
"""Facts of the second turn that are filed together."""

_APART: Final = "\0"


class Proof:
    """
    Takes a log's records, in any order of partitions, and then judges them.

    Attributes:
        counts: What was read and judged, by name.
    """

    def __init__(self, *, outcome_partitions: int) -> None:
        self._scratch = Scratch()
        self._events = self._scratch.filing("events", Fact)
        self._beside = self._scratch.filing("beside", Beside)
        self._outcome_partitions = outcome_partitions
        self._newest: EpochMs = 0
        self._first_at: dict[int, EpochMs] = {}
        self._told_from: dict[int, EpochMs] = {}
        self._legacy: set[str] = set()
        self._edges = Edges()
        self.counts: Counter[str] = Counter()

    def close(self) -> None:
        """Leave nothing behind."""
        self._scratch.close()

    def read(self, records: Sequence[Record]) -> None:
        """
        Take records of inputs or of outcomes.

        Raises:
            NewerThanUs: One was written by a newer program.
        """
        filed: list[Filed] = []
        for record in records:
            try:
                event = decode(record.headers, record.value)
            except NewerThanUs:
                raise
            except Undecodable:
                self.counts["undecodable"] += 1
                continue
            self._note(event, record)
            filed += facts_of(event, record)
        self._file(filed)

    def read_parked(self, records: Sequence[Record]) -> None:
        """Take records of the dead-letter topic: inputs that were put aside."""
        filed: list[Filed] = []
        for record in records:
            try:
                event = decode(record.headers, record.value)
            except Undecodable:
                continue
            filed.append((event.app_id, event.event_id, Parked()))
        self.counts["parked"] += len(filed)
        self._file(filed)

    def _file(self, filed: Iterable[Filed]) -> None:
        self._events.file((f"{app_id}{_APART}{event_id}", 0, fact) for app_id, event_id, fact in filed)

    def _note(self, event: Event, record: Record) -> None:
        match event:
            case Decided():
                self._note_told(record.partition, event.decided_at)
                self.counts["decisions"] += 1
            case EffectOutcome():
                self._note_told(record.partition, event.finished_at)
                self.counts["outcomes"] += 1
            case _:
                self._first_at.setdefault(record.partition, record.timestamp)
                self.counts["inputs"] += 1
                if isinstance(event, InteractionReceived) and event.kind == LEGACY:
                    self._legacy.add(event.app_id)

    def _note_told(self, partition: int, at: EpochMs) -> None:
        self._newest = max(self._newest, at)
        self._told_from.setdefault(partition, at)

    def violations(self) -> Iterator[Violation]:
        """Judge everything, event by event, then card by card, and yield what is wrong as it is found."""
        known = Known(
            newest=self._newest,
            first_at=self._first_at,
            told_from=self._told_from,
            outcome_partitions=self._outcome_partitions,
            legacy=frozenset(self._legacy),
        )
        waiting: list[Again] = []
        for key, facts in self._events.groups():
            app_id, _, event_id = key.partition(_APART)
            story = Story.of(AppId(app_id), EventId(event_id), facts)
            for rule in EVENT_RULES:
                yield from rule(story, known)
            self._count(story)
            waiting += again(story, known, self._edges)
            if len(waiting) >= AT_ONCE:
                self._beside.file(waiting)
                waiting = []
        self._beside.file(waiting)
        self._events.drop()
        yield from self._second_turn()

    def _count(self, story: Story) -> None:
        self.counts["events"] += 1
        self.counts["effects"] += len(story.planned)
        if not story.inputs and (story.decisions or story.outcomes):
            self.counts["begun_before_the_log"] += 1
        if story.inputs and not story.decisions:
            self.counts["not_decided"] += 1

    def _second_turn(self) -> Iterator[Violation]:
        for key, group in self._beside.groups():
            what, app_id, of = key.split(_APART, 2)
            match what:
                case "card":
                    self.counts["cards"] += 1
                    rules = CardRules(app_id, of)
                    yield from (found for step in _only(group, Step) for found in rules.see(step))
                case "twins":
                    twins = TwinRule(app_id)
                    yield from (found for click in _only(group, Clicked) for found in twins.see(click))
                case "delivery":
                    yield from of_one_delivery(app_id, _only(group, Delivered), self._edges)
                case "undecided":
                    for undecided in _only(group, Undecided):
                        yield from passed_over(app_id, undecided, self._edges)
                case "unheard":
                    for unheard in _only(group, Unheard):
                        yield from from_nowhere(app_id, unheard, self._edges)
                case _:
                    yield from _superseded(app_id, group)


def _superseded(app_id: str, group: Iterator[Beside]) -> Iterator[Violation]:
    """The winner comes first, if it is there."""
    winner: Winner | None = None
    for one in group:
        match one:
            case Winner():
                winner = one
            case Replaced():
                yield from took_its_place(app_id, winner, one)
            case _:
                raise TypeError(f"{type(one).__name__} filed among those whose place was taken")


def _only(group: Iterator[Beside], kind: Any) -> Iterator[Any]:
    for one in group:
        if not isinstance(one, kind):
            raise TypeError(f"{type(one).__name__} filed among {kind.__name__}")
        yield one


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
    return f"{what}{_APART}{app_id}{_APART}{of}"


def _heard(story: Story, edges: Edges) -> Iterator[Again]:
    for decision in story.first.values():
        if story.place_of(decision) is not None:
            edges.heard(decision.of_partition, decision.place)
        else:
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


def told(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return the counts that are told, in their order."""
    names = (
        "inputs", "decisions", "outcomes", "parked", "undecodable", "events", "cards", "effects", "not_decided",
        "begun_before_the_log",
    )  # fmt: skip
    return {name: counts.get(name, 0) for name in names}
