"""
When a card is past its time. Source: docs/reference/platform.md, "Validity".

All of it is arithmetic on the platform's own times; ``None`` (we did not send the card, so its age is unknown)
never forbids anything: try once, and believe the platform.
"""

from typing import Final

from shared.core.cards import CardFormat
from shared.core.json_text import EpochMs, JsonText
from shared.feishu.limits import CARD_BYTES, DAY_MS, INTERACTIVE_DAYS, UPDATABLE_DAYS

CLICK_MARGIN_MS: Final = 60 * 60 * 1000
"""A click that the platform let through at the border is decided: both of its clocks may be off by minutes."""


def interactive_until(sent_at: EpochMs, card_format: CardFormat) -> EpochMs:
    """Return until when the platform lets people click a card (ms)."""
    return sent_at + INTERACTIVE_DAYS[card_format] * DAY_MS


def updatable_until(sent_at: EpochMs, card_format: CardFormat) -> EpochMs:
    """Return until when the platform lets a card be updated (ms)."""
    return sent_at + UPDATABLE_DAYS[card_format] * DAY_MS


def clicked_too_late(sent_at: EpochMs | None, card_format: CardFormat, occurred_at: EpochMs) -> bool:
    """
    Tell whether a click came so long after its card was sent that the platform should never have delivered it.

    Args:
        sent_at: The platform's ``create_time`` of our own send.
        card_format: The card's JSON version; unknown ones (templates) count as 1.0.
        occurred_at: The platform's time of the click.
    """
    if sent_at is None:
        return False
    return occurred_at >= interactive_until(sent_at, card_format) + CLICK_MARGIN_MS


def update_too_late(sent_at: EpochMs | None, card_format: CardFormat, now: EpochMs) -> bool:
    """Tell whether the platform would refuse to update a card at ``now``: without margin, the call is the cost."""
    return sent_at is not None and now >= updatable_until(sent_at, card_format)


def fits(card: JsonText) -> bool:
    """Tell whether a card is within the platform's 30 KB; what a template grows to is only known there."""
    return len(card.encode("utf-8", "surrogatepass")) <= CARD_BYTES
