"""Effects on a card that is there."""

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from shared.core.ids import MessageId, OpenId
from shared.core.json_text import JsonText, json_text

CardLike = dict[str, Any] | str
"""A card as its JSON object, or as JSON text."""


OnExpired = Literal["skip", "reply", "successor"]
"""What becomes of an update whose card is past its time."""


def card_text(card: CardLike) -> JsonText:
    """Return a card as the text that it is stored as."""
    return JsonText(card) if isinstance(card, str) else json_text(card)


class UpdateCard(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="UpdateCard"):
    """
    Show this card, whole, in place of the one that was clicked, or of another card of the same app.

    Another card is not updated by the decision itself: the update goes to that card as a request and takes its turn
    among the clicks there.

    Attributes:
        card: The new card's JSON. A 1.0 card without ``config.update_multi`` is sent with ``true``; one that says
            ``false`` is for the person who clicked.
        message_id: Which card, ``om_…``; without it, the one that was clicked.
        audience: The open id (``ou_…``) of the only person who is to see it, by the right that their click gave: twice
            at most, within 30 minutes of it. Cards of JSON 2.0 are everybody's.
        on_expired: What happens if the card is past its time, so that it can be updated no more: nothing (``skip``), or
            the new card is sent instead, as an answer to the old one (``reply``) or as a message of its own in the same
            chat (``successor``), once for each card: later updates of the old card that say so update the new one.
    """

    card: JsonText
    message_id: MessageId | None = None
    audience: OpenId | None = None
    on_expired: OnExpired = "skip"

    if TYPE_CHECKING:

        def __init__(
            self,
            card: CardLike,
            message_id: str | None = None,
            audience: str | None = None,
            on_expired: OnExpired = "skip",
        ) -> None: ...

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "card", card_text(self.card))


ANSWERED_CARD: Final = "AnsweredCard"


class AnsweredCard(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag=ANSWERED_CARD):
    """
    The card that a click was answered with: effect 0 of its event, made by the worker, never by handlers.

    It needs no call if the answer was delivered; else it is sent like `UpdateCard`.

    Attributes:
        card: The card's JSON.
    """

    card: JsonText
