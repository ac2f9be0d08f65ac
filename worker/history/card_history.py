"""
One card's story, for people: its clicks, what became of their effects, what is kept of the rest (values).

As of one moment, told by the ledger, or by the log as far as that goes; nothing of what a card shows or a person typed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.core.cards import CardFormat
from shared.core.events import ClaimResult, EffectOutcome
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, Target
from shared.core.json_text import EpochMs
from shared.core.races import Standings

CLICKS: Final = 500
"""How many of a card's inputs are told, newest first, unless somebody asks for fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInput:
    """
    A click on a card, or a request about it, as it was decided.

    Attributes:
        occurred_at: When it happened, and `decided_at` when the ledger took the decision (ms).
        redrive: How often it was decided anew on purpose.
    """

    event_id: EventId
    occurred_at: EpochMs | None
    decided_at: EpochMs
    open_id: OpenId | None
    handler: str | None
    result: ClaimResult
    reason: str | None
    late: bool
    redrive: int
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEffect:
    """
    An effect of one of these inputs, with its newest outcome.

    Attributes:
        k: How many outcomes it has had; `attempts` how many calls the platform answered.
        due: When it is tried next, if it is pending (ms).
    """

    event_id: EventId
    index: int
    kind: str
    target: Target
    audience: str
    eligibility: str
    status: str
    k: int
    attempts: int
    due: EpochMs
    decided_at: EpochMs
    marked_at: EpochMs | None
    outcome: EffectOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Buried:
    """An input that is kept as a dead letter. ``parks``: its card stands still until it is decided."""

    event_id: EventId
    handler: str
    reason: str
    died_at: EpochMs
    parks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsesLeft:
    """What is left of the right that a click's callback gave, and until when (ms). The token itself is not told."""

    event_id: EventId
    kind: str
    uses_left: int
    until: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a target may be called: not while it is leased, nor before its pace allows it (ms; 0: long past)."""

    leased_until: EpochMs
    paced_until: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """A handler that missed its deadlines, and until when it is not called (ms)."""

    handler: str
    until: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class CardHistory:
    """
    A card's story as of one moment.

    Attributes:
        now: The time at which it is told (ms): the ledger's, or of whoever reads the log.
        version: How often its state or content was decided; 0: never.
        sent_at: The platform's time of our own send; ``None``: somebody else sent it, or its send is not known.
        card_format: How the card was written that was sent or shown last; ``None``: not known.
        successor: The card that was sent in its place when it had expired.
        inputs: The newest ones, oldest first, and in `older` how many more there are.
        silent_until: APIs that the platform wants no call of, and until when (ms).
        tokens: Rights that have not lapsed.
        suspended: Handlers of these inputs that are not called at the moment, the one for longest last.
        races: How the races on it stand, by their handler's name.
    """

    app_id: AppId
    message_id: MessageId
    now: EpochMs
    version: int = 0
    chat_id: ChatId | None = None
    sent_at: EpochMs | None = None
    card_format: CardFormat | None = None
    successor: MessageId | None = None
    inputs: Sequence[CardInput] = ()
    older: int = 0
    effects: Sequence[CardEffect] = ()
    letters: Sequence[Buried] = ()
    standings: Mapping[Target, Standing]
    silent_until: Mapping[str, EpochMs]
    tokens: Sequence[UsesLeft] = ()
    races: Standings = field(default_factory=dict)
    suspended: Sequence[Suspended] = ()
