"""
What performing takes from the ledger and gives back: the values of `PerformingLedger` and `SettlingLedger`.

A target is leased for a bounded time, with its effects and what is known of its card; a settlement says what became
of them. A rate is what a reservation keeps to.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from shared.core.cards import CardFormat
from shared.core.events import OutcomeStatus
from shared.core.folded import RightKey
from shared.core.ids import AppId, ChatId, EventId, MessageId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.core.secret import Secret
from shared.eventlog.port import NewRecord
from shared.feishu.limits import CARD_TOKEN_USES


class EffectKey(NamedTuple):
    """An effect, within its app: the nth of its event's decision."""

    app_id: AppId
    event_id: EventId
    nth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRight:
    """
    A right that a callback gave.

    Attributes:
        received_at: When the gateway had the callback (ms).
        uses: How often it was used, or may have been.
    """

    key: RightKey
    token: Secret
    received_at: EpochMs
    uses: int = 0

    @property
    def uses_left(self) -> int:
        """How often it may still be used."""
        return max(0, CARD_TOKEN_USES - self.uses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """
    A call that is about to be made.

    Attributes:
        token: The right of which one use is counted by it.
        entity: The card whose next sequence it takes.
    """

    key: EffectKey
    token: RightKey | None = None
    entity: tuple[AppId, MessageId] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """
    What a call was given when it was begun.

    Attributes:
        uses_left: What is left of its right, this use taken off; ``None``: there was none left to take.
        sequence: Of an operation on an entity: higher than that of every one before.
    """

    uses_left: int | None = None
    sequence: int | None = None


class TargetKey(NamedTuple):
    """A target, within its app."""

    app_id: AppId
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRow:
    """
    A card as the platform has it, as far as we know.

    Attributes:
        sent_at: The platform's ``create_time`` of our own send (ms).
        sent: JSON text of the card as we sent it.
        shown: SHA-256 of the card that our last successful update showed, and the order of its effect.
        card_id: The entity that the card is, once anybody asked, and the highest `sequence` that we used for it.
        expired: The platform said that it is past its time, whatever its age.
        successor: The message that was sent in its place then.
    """

    app_id: AppId
    message_id: MessageId
    chat_id: ChatId | None = None
    sent_at: EpochMs | None = None
    sent: JsonText | None = None
    card_format: CardFormat | None = None
    shown: str | None = None
    shown_order: int | None = None
    card_id: str | None = None
    sequence: int | None = None
    expired: bool | None = None
    successor: MessageId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The newest full update of a target that the platform took: of which click, by which effect."""

    occurred_at: EpochMs
    order: int
    event_id: EventId
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    A pending effect without its payload: enough to choose what to do next.

    Attributes:
        due: Not before this time (ms, ledger's clock).
        k: How many outcomes it has had; `attempts` how many calls the platform answered.
        begun_at: When a call was first begun and not answered (ms): it may have been performed.
        delivered: Its click's answer reached somebody; ``None``: no mark has said so yet.
        traceparent: Of its input's record, if that had one.
        redriven_at: When it, or its input, had been given up and was wanted again by hand, last (ms, ledger's clock).
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
    order: int
    due: EpochMs
    occurred_at: EpochMs
    received_at: EpochMs
    decided_at: EpochMs
    k: int
    attempts: int
    begun_at: EpochMs | None
    marked_at: EpochMs | None
    delivered: bool | None = None
    traceparent: str | None = None
    redriven_at: EpochMs | None = None

    @property
    def key(self) -> EffectKey:
        """Its key."""
        return EffectKey(self.app_id, self.event_id, self.index)

    @property
    def wanted_at(self) -> EpochMs:
        """When somebody last wanted it: its handler, or whoever had it tried again (ms, ledger's clock)."""
        return self.decided_at if self.redriven_at is None else max(self.decided_at, self.redriven_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """
    A target that is ours for a while.

    Attributes:
        leased_at: When the lease began (ms, ledger's clock): with the owner, what tells this lease from others.
        heads: Its pending effects in log order, due or not, oldest first.
        more: There are more than `heads` shows.
        performed: Where a part of a card, what one person sees of it, or a reminder is tried again by hand: the newest
            of each that was performed since that was decided, as heads (status ``succeeded``).
        applied: The newest full update that the platform took.
        resend: That update is to be sent once more now, because an ambiguous call may have overtaken it; its
            effect as a head (status ``succeeded``), else ``None``.
        face: Of the card that the target is or descends from (message and chat-of targets).
        called_at: When the target was last called, by anybody (ms, ledger's clock).
    """

    key: TargetKey
    leased_at: EpochMs
    heads: Sequence[Head]
    more: bool = False
    performed: Sequence[Head] = ()
    applied: Applied | None = None
    resend: Head | None = None
    face: FaceRow | None = None
    called_at: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a pump leased, the ledger's time then, and when the next target is due that it did not get (ms)."""

    now: EpochMs
    targets: Sequence[Leased] = ()
    next_due: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectChange:
    """
    An effect's new standing after an outcome.

    Attributes:
        status: Its final status, or ``pending`` to try again in ``retry_in_ms``.
        begun: A call was begun and not answered.
        outcome: The outcome as JSON.
    """

    key: EffectKey
    status: OutcomeStatus | Literal["pending"]
    k: int
    attempts: int
    retry_in_ms: int | None = None
    begun: bool = False
    outcome: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """
    What became of a leased target.

    Attributes:
        leased_at: The lease under which it was done.
        called: The platform was called: if the lease was lost meanwhile, the newest state is sent again.
        moved: Effects that belong to another target, now that their chat is known.
        pace_ms: No further call to the target for so long.
        resend: ``keep`` the wish as it is, ``clear`` it (the newest state was sent), or send again in so many ms.
        face: What is now known of a card; ``None`` fields leave the row's as they are.
        linked: What is now known of a second card: the one that this one was sent in place of.
        refund: The right whose counted use was none: nothing had reached the platform.
        unbegun: The effect that was recorded as begun under this lease, not before, and whose call was not made.
    """

    key: TargetKey
    leased_at: EpochMs
    called: bool
    changes: Sequence[EffectChange] = ()
    moved: Mapping[EffectKey, Target] = field(default_factory=dict)
    pace_ms: int = 0
    resend: Literal["keep", "clear"] | int = "keep"
    applied: Applied | None = None
    face: FaceRow | None = None
    linked: FaceRow | None = None
    refund: RightKey | None = None
    unbegun: EffectKey | None = None
    outbox: Sequence[NewRecord] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Which targets' leases had been lost, and when the next target is due (ms, ledger's clock)."""

    lost: Collection[TargetKey]
    next_due: EpochMs | None


class BudgetKey(NamedTuple):
    """What a rate limit counts: calls of one API by one app in one tenant."""

    app_id: AppId
    tenant_key: TenantKey
    api: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Two limits that hold together; spacings in µs, bursts in calls above the spacing."""

    second_us: int
    second_burst: float
    minute_us: int
    minute_burst: float
