"""A piece of the interactions topic, joined by event id with what was decided about it (pure)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.core.codec import readable
from shared.core.events import (
    CallReturned,
    Decided,
    EffectOutcome,
    Input,
    InteractionAnswered,
    InteractionReceived,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.folded import EventKey
from shared.core.ids import AppId, DeliveryKey
from shared.core.json_text import EpochMs
from shared.eventlog.port import Record
from worker.identity import record_id
from worker.ledger.restored import Decision, Decisions, Place, Progress

_ASKED: Final = (InteractionReceived, CallReturned, TimerFired, RequestReceived)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """An input and its record; ``None``: nothing that is decided, for nobody can read it."""

    record: Record
    fact: Input | None

    @property
    def key(self) -> EventKey | None:
        """The event that it is, or is about."""
        return None if self.fact is None else (self.fact.app_id, self.fact.event_id)

    @property
    def place(self) -> Place:
        """Where it lies."""
        return Place(self.record.partition, self.record.offset)


def read(records: Sequence[Record]) -> Sequence[Laid]:
    """
    Return the inputs that records hold, in their order.

    Raises:
        NewerThanUs: A newer program wrote one of them.
    """
    return [Laid(record=record, fact=_fact(record)) for record in records]


def _fact(record: Record) -> Input | None:
    event = readable(record.headers, record.value)
    return None if isinstance(event, Decided | EffectOutcome) else event


def events(laid: Sequence[Laid]) -> Collection[EventKey]:
    """Return the events that are claimed, or that a redrive or a mark is about."""
    return {key for one in laid if (key := one.key) is not None}


def deliveries(laid: Sequence[Laid]) -> Collection[tuple[AppId, DeliveryKey]]:
    """Return the deliveries by which a second event is known for the same callback."""
    facts = (one.fact for one in laid)
    return {
        (fact.app_id, fact.delivery_key)
        for fact in facts
        if isinstance(fact, InteractionReceived) and fact.delivery_key is not None
    }


def marked(laid: Sequence[Laid]) -> Collection[EventKey]:
    """Return the events that answered marks are about."""
    return {(one.fact.app_id, one.fact.event_id) for one in laid if isinstance(one.fact, InteractionAnswered)}


def advanced(
    progress: Progress, laid: Sequence[Laid], known: Decisions, *, moved: bool, forgotten: EpochMs = 0
) -> Progress:
    """
    Return how far a partition is read behind a piece: its position stays at the first input that is not decided.

    Args:
        forgotten: Retention may have deleted the decisions about what came in before this time (ms).
    """
    position, last_id = progress.position, progress.last_id
    if position is None:
        for one in laid:
            if not _is_decided(one.fact, known) and not _is_forgotten(one.fact, forgotten):
                position = one.record.offset
                break
            last_id = record_id(one.record)
    return Progress(next=laid[-1].record.offset + 1, position=position, last_id=last_id, moved=progress.moved or moved)


def _is_decided(fact: Input | None, known: Decisions) -> bool:
    match fact:
        case InteractionReceived() | CallReturned() | TimerFired() | RequestReceived():
            delivery = fact.delivery_key if isinstance(fact, InteractionReceived) else None
            return (fact.app_id, fact.event_id) in known.by_event or (
                delivery is not None and (fact.app_id, delivery) in known.deliveries
            )
        case RedriveRequested():
            # Of what failed and was redriven less often, somebody wanted it and nobody has come to it.
            decision = known.by_event.get((fact.app_id, fact.event_id))
            return decision is None or decision.result != "failed" or decision.redrive >= fact.n
        case _:
            return True


def is_lost(one: Laid, known: Decisions, forgotten: EpochMs) -> bool:
    """Say whether nobody can tell any more what was decided about an input: it is as if it were gone with that."""
    return not _is_decided(one.fact, known) and _is_forgotten(one.fact, forgotten)


def _is_forgotten(fact: Input | None, before: EpochMs) -> bool:
    # Brokers delete by segments: the decision about an old click may go before the click does.
    return isinstance(fact, _ASKED) and fact.received_at < before


def strays(laid: Sequence[Laid], known: Decisions) -> Iterator[tuple[Laid, Place]]:
    """
    Yield inputs that do not lie where they were decided, each event once, and that place.

    A repetition, or a log that was moved: what lies at that place tells.
    """
    seen: set[EventKey] = set()
    for one in laid:
        key, decision = one.key, known.by_event.get(one.key) if one.key is not None else None
        if key is None or decision is None or key in seen or not _is_decided_by(one.fact, decision):
            continue
        seen.add(key)
        if decision.place != one.place:
            yield one, decision.place


def _is_decided_by(fact: Input | None, decision: Decision) -> bool:
    """Say whether a decision was made at this record: at the input itself, or at the redrive that it was made for."""
    if isinstance(fact, RedriveRequested):
        return fact.n == decision.redrive
    return isinstance(fact, _ASKED) and decision.redrive == 0


def told_there(places: Mapping[Place, str | None], one: Laid, place: Place) -> bool:
    """Say whether the record at the place of a decision is the one that was decided: then this one repeats it."""
    return place in places and places[place] == record_id(one.record)
