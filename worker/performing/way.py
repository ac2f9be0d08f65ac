"""
How a card is shown: by its message, as an entity, or by the right of a click (pure).

Everybody's card is patched by its message, unless it is known to be an entity: then its changes are counted together,
so that no earlier one of a part can arrive behind it. What one person alone is to see can be shown only by the right
that their click gave: twice, within 30 minutes of it. Source: docs/reference/platform.md, "Shared and exclusive cards"
and "Card update tokens".
"""

from dataclasses import dataclass
from typing import Final, Literal

from shared.core.cards import card_format
from shared.core.effects import RefreshPreview, UpdateCard
from shared.core.events import EVERYBODY, CardWay, WayReason, origin_of
from shared.core.folded import RightKey
from shared.core.json_text import EpochMs
from shared.core.targets import card_in
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from worker.ledger.leased import FaceRow, GivenRight, Head

NoRight = Literal["no_token", "token_spent", "token_expired"]
"""Why there is no way: the callback gave no right, it was used twice, it is older than 30 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """
    The way that was chosen.

    Attributes:
        people: Who is to see it; nobody named: everybody.
        right: The right to use, where one is needed.
        card_id: The entity to change, where it is one.
    """

    by: CardWay
    because: WayReason
    people: tuple[str, ...] = ()
    right: GivenRight | None = None
    card_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """
    What a call needs besides its effect.

    Attributes:
        way: How a card is shown, where there is a choice.
        right: The right to use.
        card_id: The entity to change, by the operation of this `sequence`.
        again: It was performed before, and is performed once more.
    """

    way: Way | None = None
    right: GivenRight | None = None
    card_id: str | None = None
    sequence: int = 0
    again: bool = False


NOTHING: Final = Means()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWay:
    """It cannot be shown."""

    reason: NoRight


def way_of(
    effect: UpdateCard, head: Head, *, face: FaceRow | None, right: GivenRight | None, now: EpochMs
) -> Way | NoWay:
    """
    Return how an update of a card is to be made.

    Args:
        face: What is known of the card.
        right: The right that its click gave, if it is known.
        now: The ledger's time, right before the call (ms).
    """
    if head.audience == EVERYBODY:
        card_id = face.card_id if face is not None and card_format(effect.card) == "2.0" else None
        if card_id is None:
            return Way(by="message", because="shared")
        return Way(by="cardkit", because="entity", card_id=card_id)
    if right is None or not head.audience:
        return NoWay(reason="no_token")
    if right.uses_left == 0:
        return NoWay(reason="token_spent")
    if now >= right.received_at + CARD_TOKEN_VALID_MS:
        return NoWay(reason="token_expired")
    return Way(by="token", because="exclusive", people=(head.audience,), right=right)


def right_for(head: Head) -> RightKey | None:
    """Return the right that an effect needs, if it needs one: of the click with which it began."""
    if head.kind == RefreshPreview.__name__:
        return RightKey(head.app_id, origin_of(head.event_id), "preview")
    is_for_one = card_in(head.target) is not None and head.audience != EVERYBODY
    return RightKey(head.app_id, origin_of(head.event_id), "card") if is_for_one else None
