"""What is kept of each record for the rules: places, numbers and names, and nothing that a person typed (pure)."""

from typing import Final, Literal

import msgspec

from shared.core.events import (
    CARD_ACTIONS,
    EVERYBODY,
    Asked,
    CallReturned,
    Decided,
    EffectOutcome,
    Event,
    InteractionAnswered,
    InteractionReceived,
    PlannedEffect,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.ids import AppId, EventId
from shared.core.json_text import EpochMs
from shared.eventlog.port import Record

TopicKind = Literal["interactions", "outcomes"]


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """Where a record lies."""

    topic: TopicKind
    partition: int
    offset: int

    def __str__(self) -> str:
        """Say it as an operator types it."""
        return f"{self.topic} {self.partition}/{self.offset}"


class Input(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """
    What was to be decided.

    Attributes:
        kind: Of an interaction; ``request``, ``returned`` or ``fired`` of the others.
        same: Equal where two clicks are one person's on one thing; 0: it is no click.
    """

    partition: int
    offset: int
    message_id: str | None
    delivery_key: str | None
    kind: str
    received_at: EpochMs
    same: int


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2):
    """An answered mark; `answered_at` is the gateway's time (ms)."""

    partition: int
    offset: int
    delivered: bool
    answered_at: EpochMs


class Redrive(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=3):
    """The wish that an input is decided again."""

    partition: int
    offset: int
    n: int
    message_id: str | None


class Parked(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=4):
    """An input that was put aside, into the dead-letter topic."""


class Planned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An effect of a decision, less what it says; `counts_from` is the time by which names are compared (ms)."""

    index: int
    kind: str
    target: str
    audience: str
    coalesce: str | None
    after_answer: bool
    due: EpochMs | None
    counts_from: EpochMs

    @property
    def is_for_everybody(self) -> bool:
        """Whether all see it."""
        return self.audience == EVERYBODY


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=5):
    """
    A decision, as it was told.

    Attributes:
        partition: Where it was told; `of_partition` and `of_offset` say where its input lay, as it says itself.
        value: A digest of its bytes.
    """

    partition: int
    offset: int
    value: int
    of_partition: int
    of_offset: int
    redrive: int
    result: str
    version: int
    message_id: str | None
    delivery_key: str | None
    handler: str | None
    digest: str | None
    reason: str | None
    winners: tuple[str, ...]
    voters: tuple[str, ...]
    decided_at: EpochMs
    planned: tuple[Planned, ...]
    requests: int

    @property
    def place(self) -> Place:
        """Where it was told."""
        return Place("outcomes", self.partition, self.offset)


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=6):
    """What became of an effect, as it was told; `value` is a digest of its bytes. Times are the ledger's (ms)."""

    partition: int
    offset: int
    value: int
    index: int
    k: int
    status: str
    final: bool
    reason: str | None
    target: str
    sent_message_id: str | None
    started_at: EpochMs | None
    finished_at: EpochMs
    marked_at: EpochMs | None

    @property
    def place(self) -> Place:
        """Where it was told."""
        return Place("outcomes", self.partition, self.offset)


class Named(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=7):
    """An effect of this event is said to have taken another one's place."""


Fact = Input | Mark | Redrive | Parked | Decision | Outcome | Named

Filed = tuple[AppId, EventId, Fact]
"""A fact, and the event that it is about."""

_BY: Final = "by "


def facts_of(event: Event, record: Record) -> list[Filed]:
    """Return what is kept of a record that was read as this event."""
    app_id, event_id = event.app_id, event.event_id
    match event:
        case InteractionReceived() | RequestReceived() | CallReturned() | TimerFired():
            return [(app_id, event_id, _input(event, record))]
        case InteractionAnswered():
            mark = Mark(record.partition, record.offset, event.delivered, event.answered_at)
            return [(app_id, event_id, mark)]
        case RedriveRequested():
            return [(app_id, event_id, Redrive(record.partition, record.offset, event.n, event.message_id))]
        case Decided():
            return [(app_id, event_id, _decision(event, record))]
        case EffectOutcome():
            told: list[Filed] = [(app_id, event_id, _outcome(event, record))]
            if event.status == "superseded" and (winner := winner_of(event.reason)) is not None:
                told.append((app_id, winner[0], Named()))
            return told


def winner_of(reason: str | None) -> tuple[EventId, int] | None:
    """Return which effect took a superseded one's place, if its reason says so."""
    event_id, _, index = (reason or "").removeprefix(_BY).rpartition("/")
    return (EventId(event_id), int(index)) if event_id and index.isdecimal() else None


def _input(asked: Asked, record: Record) -> Input:
    kind, same, delivery_key = "request", 0, None
    match asked:
        case InteractionReceived():
            kind, delivery_key = asked.kind, asked.delivery_key
            if kind in CARD_ACTIONS:
                same = hash((asked.operator.open_id, asked.action.tag, asked.action.value, asked.action.option))
        case CallReturned():
            kind = "returned"
        case TimerFired():
            kind = "fired"
        case RequestReceived():
            pass
    return Input(record.partition, record.offset, asked.message_id, delivery_key, kind, asked.received_at, same)


def _decision(decided: Decided, record: Record) -> Decision:
    return Decision(
        record.partition, record.offset, hash(record.value), decided.partition, decided.offset, decided.redrive,
        decided.result, decided.version, decided.message_id, decided.delivery_key, decided.handler, decided.digest,
        decided.reason, decided.winners, decided.voters, decided.decided_at,
        tuple(_planned(decided, planned) for planned in decided.effects), len(decided.requests),
    )  # fmt: skip


def _planned(decided: Decided, planned: PlannedEffect) -> Planned:
    return Planned(
        planned.index, type(planned.effect).__name__, planned.target, planned.audience, planned.coalesce,
        planned.eligibility == "after_answer", planned.due, decided.counts_from(planned),
    )  # fmt: skip


def _outcome(outcome: EffectOutcome, record: Record) -> Outcome:
    return Outcome(
        record.partition, record.offset, hash((record.value, outcome.status)), outcome.index, outcome.k,
        outcome.status, outcome.final, outcome.reason, outcome.target, outcome.sent_message_id, outcome.started_at,
        outcome.finished_at, outcome.marked_at,
    )  # fmt: skip
