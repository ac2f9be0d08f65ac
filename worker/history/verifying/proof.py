"""The proof itself, without any waiting: records go in, violations and counts come out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from shared.core.codec import decode, readable
from shared.core.errors import Undecodable
from shared.core.events import Decided, EffectOutcome, Event, InteractionReceived
from shared.core.ids import AppId, EventId
from shared.core.json_text import EpochMs
from shared.eventlog.port import Record
from worker.history.verifying.again import APART, Again, Beside, again
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
from worker.history.verifying.facts import Fact, Filed, Parked, facts_of
from worker.history.verifying.rules import EVENT_RULES
from worker.history.verifying.sorting import Scratch
from worker.history.verifying.story import Known, Story, Violation

AT_ONCE: Final = 4_000
"""Facts of the second turn that are filed together."""


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
            event = readable(record.headers, record.value)
            if event is None:
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
        self._events.file((f"{app_id}{APART}{event_id}", 0, fact) for app_id, event_id, fact in filed)

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
            app_id, _, event_id = key.partition(APART)
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
            what, app_id, of = key.split(APART, 2)
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


def told(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return the counts that are told, in their order."""
    names = (
        "inputs", "decisions", "outcomes", "parked", "undecodable", "events", "cards", "effects", "not_decided",
        "begun_before_the_log",
    )  # fmt: skip
    return {name: counts.get(name, 0) for name in names}
