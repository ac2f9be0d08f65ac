"""Effects that make a new message, or take one away."""

from typing import TYPE_CHECKING

import msgspec

from shared.core.effects.cards import CardLike, card_text
from shared.core.ids import ChatId, MessageId
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


class Reply(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="Reply"):
    """
    Answer a message with a text or a card.

    Attributes:
        text: As for `SendText`; either this or `card`.
        card: The card's JSON.
        message_id: Which message, ``om_…``; without it, the card that was clicked.
        in_thread: Answer in a topic of that message.
    """

    text: str | None = None
    card: JsonText | None = None
    message_id: MessageId | None = None
    in_thread: bool = False

    if TYPE_CHECKING:

        def __init__(
            self,
            text: str | None = None,
            card: CardLike | None = None,
            message_id: str | None = None,
            in_thread: bool = False,  # noqa: FBT001, FBT002 - a Struct's member
        ) -> None: ...

    def __post_init__(self) -> None:
        if (self.text is None) == (self.card is None):
            raise ValueError("Reply says nothing, or two things: expected either text or card")
        if self.card is not None:
            msgspec.structs.force_setattr(self, "card", card_text(self.card))


class SendEphemeral(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="SendEphemeral"):
    """
    Show a card to one person in a group, if they are online; nobody else sees it.

    At least once: the platform has no key by which it could tell a repeated call, so after a lost reply the person may
    see the card twice.

    Attributes:
        card: The card's JSON.
        to: ``ou_…`` open id, an e-mail address, else a user id; without it, the person who clicked.
        chat_id: Which group; without it, the one that the card was clicked in.
    """

    card: JsonText
    to: str | None = None
    chat_id: ChatId | None = None

    if TYPE_CHECKING:

        def __init__(self, card: CardLike, to: str | None = None, chat_id: str | None = None) -> None: ...

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "card", card_text(self.card))


class DeleteEphemeral(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="DeleteEphemeral"):
    """
    Take a card away again that one person was shown.

    Attributes:
        message_id: Which one, ``om_…``; without it, the one that was clicked.
    """

    message_id: MessageId | None = None
