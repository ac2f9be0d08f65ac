"""
The ledger as its outcomes tell it: what a fold makes, row by row, in memory or in a database.

Rows are Structs, because a rebuild makes one or two for every record of a month.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.core.cards import CardFormat
from shared.core.effects import StoredEffect
from shared.core.events import ClaimResult, EffectOutcome, Eligibility
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId, MessageId, OpenId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.core.rights import Right
from shared.core.value import Value

ROUTING: Final = "(routing)"
"""Stands for the handler's name where a predicate hung before one was found: predicates are suspended together."""

REQUEST: Final = "(request)"
"""Stands for the handler's name where there is none because a program asked."""

EventKey = tuple[AppId, EventId]
CardKey = tuple[AppId, MessageId]
EffectKey = tuple[AppId, EventId, int]


class RightKey(NamedTuple):
    """What a callback gave the right to: of its event, or of what descends from that."""

    app_id: AppId
    event_id: EventId
    kind: Right


class FoldedClaim(Value, frozen=True, kw_only=True):
    """An input that was decided; ``decided_at`` tells when (ms), of one that was redriven the last time."""

    delivery_key: DeliveryKey | None
    result: ClaimResult
    redrive: int
    handler: str | None
    digest: str | None
    reason: str | None
    partition: int
    offset: int
    message_id: MessageId | None
    open_id: OpenId | None
    occurred_at: EpochMs
    late: bool
    decided_at: EpochMs


class FoldedCard(Value, frozen=True, kw_only=True):
    """A card as decided."""

    version: int
    state: JsonText | None
    content: JsonText | None
    newest_at: EpochMs | None
    rules: JsonText | None = None


class FoldedFace(Value, frozen=True, kw_only=True):
    """A card as the platform has it, as far as we know."""

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


class FoldedEffect(Value, frozen=True, kw_only=True):
    """
    An effect and its standing: ``pending`` until a final outcome.

    Attributes:
        due: When it is tried next, where somebody said so: its decision, or its newest outcome (ms).
        begun_at: Since when a call may have been performed that nobody knows the end of (ms).
        redriven_at: When it, or its input, was last wanted again by hand (ms).
        outcome: The newest.
    """

    tenant_key: TenantKey
    message_id: MessageId | None
    target: Target
    audience: str
    coalesce: str | None
    eligibility: Eligibility
    order: int
    occurred_at: EpochMs
    decided_at: EpochMs
    effect: StoredEffect
    status: str = "pending"
    k: int = 0
    attempts: int = 0
    due: EpochMs | None = None
    begun_at: EpochMs | None = None
    marked_at: EpochMs | None = None
    redriven_at: EpochMs | None = None
    outcome: EffectOutcome | None = None


class FoldedToken(Value, frozen=True, kw_only=True):
    """What is left of a right that some effect needs; ``None``: nobody has told of a use."""

    uses_left: int | None = None


class FoldedLetter(Value, frozen=True, kw_only=True):
    """
    An input that failed and is kept, less what it says: that stands in the input alone.

    Attributes:
        is_request: It came from a program.
        offset: Where it lay when it failed first, and `died_at` when that was (ms).
    """

    handler: str | None
    reason: str | None
    message_id: MessageId | None
    parks: bool
    is_request: bool
    offset: int
    died_at: EpochMs

    @property
    def named(self) -> str:
        """Whose it is: a handler's name, or what stands for one."""
        return self.handler or (REQUEST if self.is_request else ROUTING)


@dataclass(slots=True)
class Folded:
    """The ledger, folded."""

    claims: dict[EventKey, FoldedClaim] = field(default_factory=dict)
    cards: dict[CardKey, FoldedCard] = field(default_factory=dict)
    faces: dict[CardKey, FoldedFace] = field(default_factory=dict)
    effects: dict[EffectKey, FoldedEffect] = field(default_factory=dict)
    tokens: dict[RightKey, FoldedToken] = field(default_factory=dict)
    letters: dict[EventKey, FoldedLetter] = field(default_factory=dict)
