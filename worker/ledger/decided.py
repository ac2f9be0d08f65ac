"""
What deciding asks of the ledger and has it store: the values of `DecidingLedger.read` and `write`.

A batch is read at one moment and written in one transaction; nothing here says how.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.core.events import ClaimResult, Eligibility
from shared.core.ids import AppId, DeliveryKey, EventId, MessageId, OpenId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.core.races import Standings
from shared.core.secret import Secret
from shared.eventlog.port import NewRecord
from worker.ledger.leased import FaceRow, GivenRight


class ClaimKey(NamedTuple):
    """An input, within its app."""

    app_id: AppId
    event_id: EventId


class DeliveryRef(NamedTuple):
    """A delivery, within its app."""

    app_id: AppId
    delivery_key: DeliveryKey


class CardKey(NamedTuple):
    """A card, within its app."""

    app_id: AppId
    message_id: MessageId


EVERY_APP: Final = AppId("")
"""Stands for the app where all apps have the same handlers: a handler is code, and hangs for every app it serves."""


class HandlerKey(NamedTuple):
    """A handler, within its app; of `EVERY_APP` where all apps have the same."""

    app_id: AppId
    handler: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a partition is decided up to: the next offset, and the ``ce_id`` of the record before it."""

    next: int
    last_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A position's change: only if it still is ``expected``."""

    partition: int
    expected: int
    next: int
    last_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """
    An input that is decided: at most one row for each event, and for each delivery of an app.

    Attributes:
        message_id: The card that it is about, `open_id` who acted, `occurred_at` when (ms): for whoever asks later.
        answered: Its click's answered mark was in the same batch.
    """

    app_id: AppId
    event_id: EventId
    delivery_key: DeliveryKey | None
    result: ClaimResult
    redrive: int = 0
    handler: str | None = None
    digest: str | None = None
    reason: str | None = None
    partition: int
    offset: int
    message_id: MessageId | None = None
    open_id: OpenId | None = None
    occurred_at: EpochMs | None = None
    late: bool = False
    answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """A card as decided: state, the card we intend to show, version, time of its newest click (ms), race rules."""

    app_id: AppId
    message_id: MessageId
    version: int
    state: JsonText | None
    content: JsonText | None
    newest_at: EpochMs | None
    rules: Standings = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEffect:
    """
    An effect to store, pending.

    Attributes:
        message_id: The card of the interaction it descends from.
        due_in_ms: When it may start, from the commit on.
        marked: Its click's answered mark was in the same batch.
        delivered: What that mark says; ``None`` without one.
        occurred_at: The time that it counts from (ms): names go by it. `received_at`: the gateway's, of its click (ms).
        payload: The effect as JSON, with its ``kind``.
        traceparent: Of the input's record, if that had one.
        redriven: Its input had failed, and was decided again by hand.
    """

    app_id: AppId
    event_id: EventId
    index: int
    tenant_key: TenantKey
    message_id: MessageId | None
    kind: str
    target: Target
    audience: str
    coalesce: str | None
    eligibility: Eligibility
    order: int
    due_in_ms: int
    marked: bool
    occurred_at: EpochMs
    received_at: EpochMs
    payload: bytes
    delivered: bool | None = None
    traceparent: str | None = None
    redriven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """
    A first or later answered mark of an event decided earlier; its card's target is woken.

    Attributes:
        delivered: The answer reached somebody.
        due_in_ms: When what waits for it may start, from the commit on, and `card_due_in_ms`: the answered card.
    """

    app_id: AppId
    event_id: EventId
    message_id: MessageId
    delivered: bool
    due_in_ms: int
    card_due_in_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    An input whose handler failed, kept whole so that it can be decided again later.

    Attributes:
        interaction: The record's value, and `kind` its ``ce_type``.
        offset: Where it was logged: inputs of one card are decided again in that order.
        parks: Its card stands still until it is decided.
    """

    app_id: AppId
    event_id: EventId
    handler: str
    reason: str
    interaction: bytes
    kind: str
    message_id: MessageId | None = None
    offset: int = 0
    parks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrivable:
    """
    A dead letter that may be decided again.

    Attributes:
        redrive: How often it was, by its claim.
        interaction: The record's value, and `kind` its ``ce_type``.
        offset: Where it was logged.
    """

    redrive: int
    interaction: bytes
    kind: str
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppTicket:
    """What a store app asks for access tokens with, and when the gateway received it (ms): the newest counts."""

    ticket: Secret
    at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """
    A handler's record of missed deadlines, shared by all workers.

    Attributes:
        app_id: Whose handler it is; `EVERY_APP` where all apps have the same.
        misses: Deadlines missed in a row.
        until: Not called before this time (ms); 0: not suspended.
        pause_ms: How long the last suspension was; the next one is twice as long.
        recent: Deadlines missed from `since` (ms) on, whatever came between.
    """

    app_id: AppId
    handler: str
    misses: int = 0
    until: EpochMs = 0
    pause_ms: int = 0
    recent: int = 0
    since: EpochMs = 0

    @property
    def key(self) -> HandlerKey:
        """What it is filed under."""
        return HandlerKey(self.app_id, self.handler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a batch asks the ledger."""

    claims: Collection[ClaimKey]
    deliveries: Collection[DeliveryRef]
    cards: Collection[CardKey]
    apps: Collection[AppId]
    redrives: Collection[ClaimKey] = ()
    origins: Collection[ClaimKey] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """
    What the ledger knew when a batch was read.

    Attributes:
        new_style_at: Newest new-style callback of each app (ms).
        redrivable: Dead letters that the batch wants decided again, and whose claim still says that they failed.
        answered: When the clicks were answered with which work began that has come back (ms, ledger's clock).
        standing: Cards that stand still, each with the inputs that are to be decided first, in their order.
    """

    now: EpochMs
    claims: Mapping[ClaimKey, ClaimResult] = field(default_factory=dict)
    deliveries: Collection[DeliveryRef] = frozenset()
    cards: Mapping[CardKey, CardRow] = field(default_factory=dict)
    faces: Mapping[CardKey, FaceRow] = field(default_factory=dict)
    new_style_at: Mapping[AppId, EpochMs] = field(default_factory=dict)
    suspensions: Mapping[HandlerKey, Suspension] = field(default_factory=dict)
    redrivable: Mapping[ClaimKey, Redrivable] = field(default_factory=dict)
    standing: Mapping[CardKey, Sequence[EventId]] = field(default_factory=dict)
    answered: Mapping[ClaimKey, EpochMs] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """
    What a batch decided. At most one row for each key in every list.

    Attributes:
        claims: Those with a redrive replace one that failed, and that was redriven less often.
        revived: Dead letters that are none any more.
    """

    moves: Sequence[Move]
    claims: Sequence[ClaimRow] = ()
    cards: Sequence[CardRow] = ()
    effects: Sequence[NewEffect] = ()
    tokens: Sequence[GivenRight] = ()
    marks: Sequence[Mark] = ()
    dead_letters: Sequence[DeadLetter] = ()
    revived: Sequence[ClaimKey] = ()
    suspensions: Sequence[Suspension] = ()
    new_style_at: Mapping[AppId, EpochMs] = field(default_factory=dict)
    tickets: Mapping[AppId, AppTicket] = field(default_factory=dict)
    outbox: Sequence[NewRecord] = ()
