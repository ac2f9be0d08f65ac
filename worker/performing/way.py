"""
How a card is shown: by its message, or by the right of a click (pure).

Everybody's card is patched by its message. What one person alone is to see can be shown only by the right that their
click gave: twice, within 30 minutes of it. Source: docs/reference/platform.md, "Shared and exclusive cards" and
"Card update tokens".
"""

from dataclasses import dataclass
from typing import Literal

from shared.core.events import EVERYBODY, CardWay, WayReason
from shared.core.json_text import EpochMs
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from worker.ledger.port import Head, Token, TokenKey

TokenReason = Literal["no_token", "token_spent", "token_expired"]
"""Why there is no way: the callback gave no right, it was used twice, it is older than 30 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """
    The way that was chosen.

    Attributes:
        people: Who is to see it; nobody named: everybody.
        token: The right to use, where one is needed.
    """

    by: CardWay
    because: WayReason
    people: tuple[str, ...] = ()
    token: Token | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWay:
    """It cannot be shown."""

    reason: TokenReason


def way_of(head: Head, token: Token | None, now: EpochMs) -> Way | NoWay:
    """
    Return how an update of a card is to be made.

    Args:
        token: The right that its click gave, if it is known.
        now: The ledger's time, right before the call (ms).
    """
    if head.audience == EVERYBODY:
        return Way(by="message", because="shared")
    if token is None or not head.audience:
        return NoWay(reason="no_token")
    if token.uses_left == 0:
        return NoWay(reason="token_spent")
    if now >= token.received_at + CARD_TOKEN_VALID_MS:
        return NoWay(reason="token_expired")
    return Way(by="token", because="exclusive", people=(head.audience,), token=token)


def token_for(head: Head) -> TokenKey | None:
    """Return the right that an effect needs, if it needs one."""
    if head.kind == "RefreshPreview":
        return TokenKey(head.app_id, head.event_id, "preview")
    is_for_one = head.target.startswith("message:") and head.audience != EVERYBODY
    return TokenKey(head.app_id, head.event_id, "card") if is_for_one else None
