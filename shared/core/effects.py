"""
Effects: what a handler wants to happen, as values.

An effect is an intention, not a call. The worker stores it as a row in the same transaction as the decision,
and performs it later, as often as it takes.
"""

from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from shared.core.ids import ChatId, MessageId
from shared.core.json_text import JsonText, json_text

CardLike = dict[str, Any] | str
"""A card as its JSON object, or as JSON text."""


def _card_text(card: CardLike) -> JsonText:
    return JsonText(card) if isinstance(card, str) else json_text(card)


class UpdateCard(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="UpdateCard"):
    """
    Show this card, whole, in place of the one that was clicked, or of another card of the same app.

    Another card is not updated by the decision itself: the update goes to that card as a request and takes its turn
    among the clicks there.

    Attributes:
        card: The new card's JSON. A 1.0 card without ``config.update_multi`` is sent with ``true``.
        message_id: Which card, ``om_…``; without it, the one that was clicked.
    """

    card: JsonText
    message_id: MessageId | None = None

    if TYPE_CHECKING:

        def __init__(self, card: CardLike, message_id: str | None = None) -> None: ...

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "card", _card_text(self.card))


class RenameChat(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="RenameChat"):
    """
    Give a chat another name.

    Attributes:
        name: The new name (the platform suggests at most 60 characters).
        chat_id: Which chat; without it, the one that the card was clicked in.
    """

    name: str
    chat_id: ChatId | None = None


class SendCard(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="SendCard"):
    """
    Send a new card.

    Attributes:
        card: The card's JSON.
        to: ``oc_…`` chat, ``ou_…`` open id, ``on_…`` union id, an e-mail address, else a user id;
            without it, the chat that the card was clicked in.
    """

    card: JsonText
    to: str | None = None

    if TYPE_CHECKING:

        def __init__(self, card: CardLike, to: str | None = None) -> None: ...

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "card", _card_text(self.card))


class SendText(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="SendText"):
    """
    Send a text message.

    Attributes:
        text: What it says; ``<at user_id="ou_…"></at>`` mentions somebody.
        to: As for `SendCard`.
    """

    text: str
    to: str | None = None


Effect = UpdateCard | RenameChat | SendCard | SendText
"""What a handler may want."""

Requestable = UpdateCard | RenameChat | SendCard | SendText
"""What a program may ask for by a request: a closed list, without what is for handlers only."""

REQUESTABLE: Final[tuple[str, ...]] = tuple(kind.__name__ for kind in get_args(Requestable))
"""Their names."""


ANSWERED_CARD: Final = "AnsweredCard"


class AnsweredCard(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag=ANSWERED_CARD):
    """
    The card that a click was answered with: effect 0 of its event, made by the worker, never by handlers.

    It needs no call if the answer was delivered; else it is sent like `UpdateCard`.

    Attributes:
        card: The card's JSON.
    """

    card: JsonText


StoredEffect = Effect | AnsweredCard
"""What the ledger and the log hold."""
