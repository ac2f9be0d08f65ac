"""Effects on a chat."""

import msgspec

from shared.core.ids import ChatId


class RenameChat(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="RenameChat"):
    """
    Give a chat another name.

    Attributes:
        name: The new name (the platform suggests at most 60 characters).
        chat_id: Which chat; without it, the one that the card was clicked in.
    """

    name: str
    chat_id: ChatId | None = None
