"""A history, decoded and indexed once for all rules."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from shared.core.codec import decode
from shared.core.events import Decided, EffectOutcome, Event, InteractionAnswered, InteractionReceived, PlannedEffect
from shared.core.fold import fold
from shared.core.folded import Folded
from tests.chaos.history import CardSeen, ChatSeen, Clicked, History, LedgerRow, Line

POISON: Final = {"action": "poison"}
CONNECT_FAILED: Final = 200_342
"""The client's code for a receiver that could not be reached."""


class Received(NamedTuple):
    """An interaction and where it lies in the log."""

    line: Line
    event: InteractionReceived


class Decision(NamedTuple):
    """A decision and where it lies in the log."""

    line: Line
    event: Decided


@dataclass(frozen=True)
class Facts:
    """What the rules ask a history. Lists are in log order within a partition."""

    history: History

    @cached_property
    def received(self) -> Mapping[str, Sequence[Received]]:
        """Every record of each event, by event id; more than one where an append was repeated."""
        found = defaultdict(list)
        for line, event in self._inputs:
            if isinstance(event, InteractionReceived):
                found[str(event.event_id)].append(Received(line, event))
        return found

    @cached_property
    def poisoned(self) -> AbstractSet[str]:
        """The events that ask for what no handler can decide."""
        return {event_id for event_id, records in self.received.items() if _asks_for(records[0].event) == POISON}

    @cached_property
    def marks(self) -> Mapping[str, InteractionAnswered]:
        """The first answered mark of each event."""
        found: dict[str, InteractionAnswered] = {}
        for _, event in self._inputs:
            if isinstance(event, InteractionAnswered):
                found.setdefault(event.event_id, event)
        return found

    @cached_property
    def decisions(self) -> Mapping[str, Sequence[Decision]]:
        """Every `Decided` record of each event, by event id."""
        found = defaultdict(list)
        for line, event in self._outputs:
            if isinstance(event, Decided):
                found[str(event.event_id)].append(Decision(line, event))
        return found

    @cached_property
    def stories(self) -> Mapping[str, Sequence[Decided]]:
        """The decisions that changed each card, in the order in which the outcomes topic tells them first."""
        found = defaultdict(list)
        told = set()
        for _, event in self._outputs:
            if isinstance(event, Decided) and event.result == "decided" and event.event_id not in told:
                told.add(event.event_id)
                found[str(event.message_id)].append(event)
        return found

    @cached_property
    def newest(self) -> Mapping[str, Decided]:
        """The decision with the highest version, of each card."""
        return {card: max(story, key=lambda decided: decided.version) for card, story in self.stories.items()}

    @cached_property
    def planned(self) -> Sequence[tuple[Decided, PlannedEffect]]:
        """Every effect that was decided, once."""
        firsts = (decisions[0].event for decisions in self.decisions.values())
        return [(decided, effect) for decided in firsts for effect in decided.effects]

    @cached_property
    def results(self) -> Mapping[tuple[str, int], EffectOutcome]:
        """The newest outcome of each effect, by event id and index."""
        found: dict[tuple[str, int], EffectOutcome] = {}
        for _, event in self._outputs:
            if isinstance(event, EffectOutcome):
                key = (str(event.event_id), event.index)
                if key not in found or found[key].k < event.k:
                    found[key] = event
        return found

    @cached_property
    def folded(self) -> Folded:
        """The ledger that the outcomes topic tells of."""
        return fold(event for _, event in self._outputs if isinstance(event, Decided | EffectOutcome))

    @cached_property
    def clicks(self) -> Mapping[str, Clicked]:
        """The clicks that left their person's client, by event id."""
        return {click.event_id: click for click in self.history.clicks if click.event_id is not None}

    @cached_property
    def answered_at(self) -> Mapping[str, int]:
        """When each click's person first saw an answer, or that there will be none (ms), by event id."""
        found: dict[str, int] = {}
        for delivered in self.history.deliveries:
            if delivered.client_error == CONNECT_FAILED:
                continue  # nobody got the bytes yet
            found[delivered.event_id] = min(delivered.ended_at, found.get(delivered.event_id, delivered.ended_at))
        return found

    @cached_property
    def cards(self) -> Mapping[str, CardSeen]:
        """The cards of the run, by message id."""
        return {card.message_id: card for card in self.history.cards}

    @cached_property
    def chats(self) -> Mapping[str, ChatSeen]:
        """The chats of the run, by chat id."""
        return {chat.chat_id: chat for chat in self.history.chats}

    @cached_property
    def stored_cards(self) -> Mapping[str, LedgerRow]:
        """The ledger's cards, by message id."""
        return {str(row.key[-1]): row for row in self.history.ledger if row.table == "cards"}

    @cached_property
    def _inputs(self) -> Sequence[tuple[Line, Event]]:
        return _decoded(self.history.interactions)

    @cached_property
    def _outputs(self) -> Sequence[tuple[Line, Event]]:
        return _decoded(self.history.outcomes)


def _asks_for(click: InteractionReceived) -> object:
    return json.loads(click.action.value or "null")


def _decoded(lines: Sequence[Line]) -> Sequence[tuple[Line, Event]]:
    ordered = sorted(lines, key=lambda line: (line.partition, line.offset))
    return [
        (line, decode([(name, value.encode()) for name, value in line.headers], line.value.encode()))
        for line in ordered
    ]
