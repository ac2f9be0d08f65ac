"""What became of a message and of a chat, as JSON for whoever looks."""

from collections.abc import Mapping
from typing import Any

from simulator.chats import Chat
from simulator.messages import Message
from simulator.wire_json import any_json


def story_of_message(message: Message, *, with_versions: bool = True) -> Mapping[str, Any]:
    """Return a message: what everybody sees, what single people see instead, and every version there was."""
    story: dict[str, Any] = {
        "message_id": message.message_id,
        "chat_id": message.chat_id,
        "msg_type": message.msg_type,
        "uuid": message.uuid,
        "sent_at_ms": message.sent_at,
        "recalled": message.is_recalled,
        "text": any_json(message.content)["text"] if message.card is None else None,
        "card": any_json(message.card.text) if message.card is not None else None,
        "views": {person: any_json(card.text) for person, card in message.views.items()},
    }
    if with_versions:
        story["versions"] = [
            {"at_ms": version.at_ms, "by": version.by, "open_id": version.audience, "card": any_json(version.card)}
            for version in message.versions
        ]
    return story


def story_of_chat(chat: Chat) -> Mapping[str, Any]:
    """Return a chat, with every name it had."""
    return {
        "chat_id": chat.chat_id,
        "name": chat.name,
        "mode": chat.mode,
        "dissolved": chat.is_dissolved,
        "names": [{"at_ms": given.at_ms, "name": given.name} for given in chat.names],
        "message_ids": list(chat.message_ids),
    }
