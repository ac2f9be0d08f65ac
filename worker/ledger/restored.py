"""
What a rebuild asks of an unfinished ledger and has it store: values.

Rows are those of a fold (`shared.core.folded`); what only inputs hold joins them in the second stage.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from shared.core.errors import CardwireError
from shared.core.events import ClaimResult
from shared.core.folded import (
    CardKey,
    EffectKey,
    EventKey,
    FoldedCard,
    FoldedClaim,
    FoldedEffect,
    FoldedFace,
    FoldedLetter,
    FoldedToken,
    RightKey,
)
from shared.core.ids import AppId, DeliveryKey
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from worker.ledger.decided import AppTicket

Stage = Literal["outcomes", "inputs"]


class NotEmpty(CardwireError):
    """A ledger that is to be rebuilt holds something already: nothing was changed."""


class AlreadyRebuilding(CardwireError):
    """Another rebuild has gone on with this ledger: nothing of this piece was stored."""


class Place(NamedTuple):
    """Where a record lies in its topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far a partition of a topic is read.

    Attributes:
        next: The offset to go on from.
        position: Of the interactions topic: its first input that is not decided; ``None``: all are, so far.
        last_id: The ``ce_id`` of the record before that, or before `next`.
        moved: Inputs were found elsewhere than where they were decided: the log was moved.
    """

    next: int
    position: int | None = None
    last_id: str | None = None
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A partition's progress, by a piece that was read from ``expected`` on."""

    stage: Stage
    partition: int
    expected: int
    to: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """The rows that a piece of outcomes may change."""

    claims: Collection[EventKey]
    cards: Collection[CardKey]
    faces: Collection[CardKey]
    effects: Collection[EffectKey]
    tokens: Collection[RightKey]
    letters: Collection[EventKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """
    What a piece of outcomes changes.

    Attributes:
        planned: Effects that are new, and `standings`: those whose standing changed.
        lifted: Dead letters that are none any more.
        traceparents: Of the decisions, where they have one.
    """

    claims: Mapping[EventKey, FoldedClaim]
    cards: Mapping[CardKey, FoldedCard]
    faces: Mapping[CardKey, FoldedFace]
    planned: Mapping[EffectKey, FoldedEffect]
    standings: Mapping[EffectKey, FoldedEffect]
    tokens: Mapping[RightKey, FoldedToken]
    letters: Mapping[EventKey, FoldedLetter]
    lifted: Collection[EventKey]
    traceparents: Mapping[EventKey, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is known of the claim of an input: its result, how often it was redriven, where it lay when decided."""

    result: ClaimResult
    redrive: int
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Which inputs of a piece are decided, by their event or by their delivery, and which have what comes back."""

    by_event: Mapping[EventKey, Decision]
    deliveries: Collection[tuple[AppId, DeliveryKey]]
    returning: Collection[EventKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """
    What the inputs of one event tell of its effects.

    Attributes:
        received_at: When the gateway had it (ms).
        answered_at: When it was answered, and `delivered` whether that reached somebody; ``None``: no mark yet.
    """

    received_at: EpochMs | None = None
    answered_at: EpochMs | None = None
    delivered: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptInput:
    """An input that failed, whole: its record's value, its ``ce_type``, and its offset."""

    interaction: bytes
    kind: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """A right as a callback gave it."""

    token: Secret
    received_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What a piece of inputs adds.

    Attributes:
        heard: Of each event.
        answered: When clicks were answered whose work comes back (ms).
        homes: Where inputs lie in this log that were decided elsewhere, and `redriven`: their redrives.
        new_style_at: Each app's newest new-style callback (ms), and `tickets` its newest ticket.
    """

    heard: Mapping[EventKey, Heard]
    answered: Mapping[EventKey, EpochMs]
    letters: Mapping[EventKey, KeptInput]
    rights: Mapping[RightKey, Right]
    homes: Mapping[EventKey, Place]
    redriven: Mapping[EventKey, Place]
    timings: Mapping[EventKey, Place] = field(default_factory=dict)
    new_style_at: Mapping[AppId, EpochMs]
    tickets: Mapping[AppId, AppTicket]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """
    What a rebuilt ledger holds, and what could not be restored.

    Attributes:
        rows: Of each table.
        letters_lost: Dead letters whose input is not in the log any more.
        sends_unsure: Pending sends that may have been made: within their hour they are repeated under the same
            ``uuid``, and `sends_unknown` of them, whose hour is over, will end as ``unknown``.
    """

    rows: Mapping[str, int]
    letters_lost: int
    sends_unsure: int
    sends_unknown: int


Reached = Mapping[Stage, Mapping[int, Progress]]
"""How far a rebuild has come; empty: it has not begun."""
