"""One event's facts together, as the rules ask them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import assert_never

from shared.core.ids import AppId, EventId
from shared.core.json_text import EpochMs
from worker.history.verifying.facts import (
    Decision,
    Fact,
    Input,
    Mark,
    Named,
    Outcome,
    Parked,
    Place,
    Planned,
    Redrive,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """
    A promise that was not kept.

    Attributes:
        rule: Its name in the table of rules.
        text: What was found, in words; nothing of what a person typed.
    """

    rule: str
    app_id: str
    event_id: str
    places: Sequence[Place]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """
    What is known of the whole log before its events are judged.

    Attributes:
        newest: The ledger's newest time that any record tells (ms).
        first_at: The time of the oldest kept input of each partition (ms), and `told_from` of the oldest kept outcome.
        outcome_partitions: How many partitions outcomes have.
        legacy: Apps whose clicks came in the legacy style, too.
    """

    newest: EpochMs = 0
    first_at: Mapping[int, EpochMs] = field(default_factory=dict)
    told_from: Mapping[int, EpochMs] = field(default_factory=dict)
    outcome_partitions: int = 1
    legacy: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class Story:
    """
    What the log tells of one event. Lists are in the order of the log.

    Attributes:
        decisions: Every record of a decision, repetitions included; likewise `outcomes`.
        is_named: One of its effects is said to have taken another one's place.
    """

    app_id: AppId
    event_id: EventId
    inputs: list[Input] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    redrives: list[Redrive] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    is_parked: bool = False
    is_named: bool = False

    @classmethod
    def of(cls, app_id: AppId, event_id: EventId, facts: Iterable[Fact]) -> "Story":
        """Return the story that these facts make."""
        story = cls(app_id=app_id, event_id=event_id)
        for fact in facts:
            story._take(fact)
        for told in (story.inputs, story.marks, story.redrives, story.decisions, story.outcomes):
            told.sort(key=_log_order)
        return story

    def _take(self, fact: Fact) -> None:
        match fact:
            case Decision():
                self.decisions.append(fact)
            case Outcome():
                self.outcomes.append(fact)
            case Input():
                self.inputs.append(fact)
            case Mark():
                self.marks.append(fact)
            case Redrive():
                self.redrives.append(fact)
            case Named():
                self.is_named = True
            case Parked():
                self.is_parked = True
            case _ as unreachable:
                assert_never(unreachable)

    @cached_property
    def first(self) -> Mapping[int, Decision]:
        """The decision of each redrive (0: the first one), as it was told first."""
        found: dict[int, Decision] = {}
        for decision in self.decisions:
            found.setdefault(decision.redrive, decision)
        return dict(sorted(found.items()))

    @cached_property
    def planned(self) -> Mapping[int, tuple[Decision, Planned]]:
        """Every effect that was decided, by its index, with the decision that wants it."""
        return {planned.index: (decision, planned) for decision in self.first.values() for planned in decision.planned}

    @cached_property
    def by_effect(self) -> Mapping[int, Sequence[Outcome]]:
        """The outcomes of each effect, by its index: each number once, in their order."""
        found: dict[int, dict[int, Outcome]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.index, {}).setdefault(outcome.k, outcome)
        return {index: [told[k] for k in sorted(told)] for index, told in found.items()}

    @property
    def logged(self) -> Place | None:
        """Where it was decided first, if that is known: a redriven one's own place."""
        return self.place_of(self.first[0]) if 0 in self.first else None

    def copies(self, decision: Decision) -> Sequence[Input | Redrive]:
        """Return the records that a decision may be of: its input's, or those of its redrive."""
        return [one for one in self.redrives if one.n == decision.redrive] if decision.redrive else self.inputs

    def place_of(self, decision: Decision) -> Place | None:
        """
        Return where the input of a decision lies in this log; ``None``: it does not, or not any more, or who knows.

        A decision tells its input's place itself. In a log that was moved here it is another one, and an earlier one,
        because offsets are counted from 0 again: what lies behind the place that is told repeats the input. Or the move
        itself has repeated records before it, and then nobody can say.
        """
        copies, told = self.copies(decision), decision.of_offset
        exact = (one for one in copies if (one.partition, one.offset) == (decision.of_partition, told))
        earlier = (one for one in copies if one.offset <= told)
        found = next(exact, None) or next(earlier, None)
        return None if found is None else Place("interactions", found.partition, found.offset)

    def violates(self, rule: str, text: str, *places: Place | None) -> Violation:
        """Return a violation by this event."""
        lying = tuple(place for place in places if place is not None)
        return Violation(rule=rule, app_id=self.app_id, event_id=self.event_id, places=lying, text=text)


def _log_order(fact: Input | Mark | Redrive | Decision | Outcome) -> tuple[int, int]:
    return fact.partition, fact.offset
