"""What became of effects."""

from typing import Final, Literal, get_args

import msgspec

from shared.core.cards import CardFormat
from shared.core.ids import AppId, ChatId, EventId, MessageId, Target, TenantKey
from shared.core.json_text import EpochMs

OutcomeStatus = Literal["succeeded", "failed", "superseded", "refused", "unknown"]
"""
``succeeded``: the platform said so. ``failed``: it refused, finally or for now (see `final`). ``superseded``: a
newer effect took its place. ``refused``: by a rule of ours, without a call. ``unknown``: it was begun, and it can
no longer be told or safely repeated.
"""

OUTCOME_STATUSES: tuple[OutcomeStatus, ...] = get_args(OutcomeStatus)

TOO_OLD: Final = frozenset({230031, 200750})
"""
The platform's codes for a card past its time: by its message, and as an entity (docs/reference/platform.md, "Update a
card by its message" and "Cards as entities").
"""

REDRIVEN: Final = "redriven"
"""Why an effect that had been given up is pending again: somebody wants it tried once more, from `finished_at` on."""

CardWay = Literal["message", "token", "cardkit"]
"""How a whole card was shown: by its message, by the right of a click, or as an entity."""

WayReason = Literal["shared", "exclusive", "entity"]
"""
Why so: everybody sees the card; one person alone is to see it, which only a click's right can do; it is an entity,
whose changes are counted together.
"""


class EffectOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What became of one effect, or of one attempt at it. Absolute, so that folding is idempotent and commutative.

    Attributes:
        message_id: The card of the interaction that the effect descends from.
        index: Which effect of the decision.
        k: Counts the outcomes of this effect from 1; the highest is the present one.
        final: No further attempt follows. Only a ``failed`` one may not be final.
        retry_at: When the next attempt is due (ms).
        begun_at: Since when a call may have been performed whose end nobody knows (ms); absent where there is none.
        folded: How many waiting effects this call took the place of; over its outcomes, how many it stands for.
        attempts: How many calls the platform answered about this target.
        code: The platform's code; `http_status` and `log_id` (``X-Tt-Logid``) of the same answer.
        reason: A few words of ours, from a closed list.
        sent_message_id: The message that a send created; `sent_at` its creation time (ms).
        chat_id: The chat that was sent to or renamed.
        shown: SHA-256 of the card now shown, and `shown_order` the order of the effect that showed it.
        card_format: The JSON version of that card.
        way: How a card was to be shown, and `because` why so; absent where there was nothing to choose.
        card_id: The entity that the card is, where that is known.
        sequence: The highest sequence used for this entity so far.
        uses_left: What is left of the click's update token; absent where none was needed.
        started_at: When the call began (ms, ledger's clock); absent without a call.
        finished_at: When the outcome was known (ms, ledger's clock).
        marked_at: When the answered mark was seen (ms, ledger's clock); absent without a mark.
    """

    event_id: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    index: int
    k: int
    kind: str
    target: Target
    status: OutcomeStatus
    final: bool = True
    retry_at: EpochMs | None = None
    begun_at: EpochMs | None = None
    folded: int = 0
    attempts: int = 0
    code: int | None = None
    http_status: int | None = None
    log_id: str | None = None
    reason: str | None = None
    sent_message_id: MessageId | None = None
    sent_at: EpochMs | None = None
    chat_id: ChatId | None = None
    shown: str | None = None
    shown_order: int | None = None
    card_format: CardFormat | None = None
    way: CardWay | None = None
    because: WayReason | None = None
    card_id: str | None = None
    sequence: int | None = None
    uses_left: int | None = None
    started_at: EpochMs | None = None
    finished_at: EpochMs
    marked_at: EpochMs | None = None
