"""Effects that make a new message."""

from typing import TYPE_CHECKING

import msgspec

from shared.core.effects.cards import CardLike, card_text
from shared.core.json_text import JsonText


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
        msgspec.structs.force_setattr(self, "card", card_text(self.card))


class SendText(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="SendText"):
    """
    Send a text message.

    Attributes:
        text: What it says; ``<at user_id="ou_…"></at>`` mentions somebody.
        to: As for `SendCard`.
    """

    text: str
    to: str | None = None
