"""What an effect leaves unsaid, and takes from the input that it is decided for."""

from collections.abc import Mapping
from typing import Final, Literal

from shared.core.effects import (
    DeleteEphemeral,
    Effect,
    FetchChat,
    FetchMessage,
    OnCard,
    RenameChat,
    Reply,
    SendCard,
    SendEphemeral,
    SendText,
    UpdateChat,
)

Taken = Literal["card", "chat", "person"]
"""The input's card, the chat of that, or whose input it was."""

_NOTHING: Final[Mapping[str, Taken]] = {}


def lacks(effect: Effect) -> Mapping[str, Taken]:
    """Return the members that are not given, and what each is taken from; what every effect of a kind says is none."""
    match effect:
        case Reply(message_id=None) | DeleteEphemeral(message_id=None) | FetchMessage(message_id=None):
            return {"message_id": "card"}
        case RenameChat(chat_id=None) | UpdateChat(chat_id=None) | FetchChat(chat_id=None):
            return {"chat_id": "chat"}
        case SendCard(to=None) | SendText(to=None):
            return {"to": "chat"}
        case SendEphemeral(to=to, chat_id=chat_id):
            lacking: Mapping[str, Taken] = {} if to is not None else {"to": "person"}
            return lacking if chat_id is not None else {**lacking, "chat_id": "chat"}
        case _ if isinstance(effect, OnCard) and effect.message_id is None:
            return {"message_id": "card"}
        case _:
            return _NOTHING
