"""What became of messages, chats, card tokens and link previews, as JSON for whoever looks."""

from collections.abc import Mapping
from typing import Any

from shared.core.json_text import EpochMs
from shared.feishu.limits import CARD_TOKEN_USES
from simulator.chats import Chat
from simulator.messages import Message
from simulator.platform import Platform, UnknownThing
from simulator.previews import Preview
from simulator.tokens import CardToken
from simulator.wire_json import any_json


def story_of_message(message: Message, *, now: EpochMs, with_versions: bool = True) -> Mapping[str, Any]:
    """Return a message: what everybody sees, what single people see instead, and every version there was."""
    reply = message.reply
    story: dict[str, Any] = {
        "message_id": message.message_id,
        "chat_id": message.chat_id,
        "msg_type": message.msg_type,
        "uuid": message.uuid,
        "sent_at_ms": message.sent_at,
        "recalled": message.is_recalled,
        "root_id": reply.root_id if reply is not None else None,
        "parent_id": reply.parent_id if reply is not None else None,
        "thread_id": reply.thread_id if reply is not None else None,
        "only_for": message.only_for,
        "card_id": message.entity.card_id if message.entity is not None else None,
        "streaming": message.entity is not None and message.entity.is_streaming(now),
        "text": any_json(message.content)["text"] if message.msg_type == "text" else None,
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
        "tenant_key": chat.tenant_key,
        "name": chat.name,
        "mode": chat.mode,
        "bot": chat.bot,
        "edit_permission": chat.edit_permission,
        "profile": dict(chat.profile),
        "dissolved": chat.is_dissolved,
        "names": [{"at_ms": given.at_ms, "name": given.name} for given in chat.names],
        "message_ids": list(chat.message_ids),
    }


def story_of_entity(platform: Platform, card_id: str) -> Mapping[str, Any]:
    """
    Return a card entity, as the operations on it left it.

    Raises:
        UnknownThing: There is none.
    """
    entity = platform.entities.get(card_id)
    if entity is None:
        raise UnknownThing(f"card entity {card_id}")
    return {
        "card_id": entity.card_id,
        "tenant_key": entity.tenant_key,
        "created_at_ms": entity.created_at,
        "message_id": entity.message_id,
        "sequence": entity.sequence,
        "streaming": entity.is_streaming(platform.clock.now()),
        "card": any_json(platform.card_of(entity).text),
    }


def story_of_card_token(token: CardToken) -> Mapping[str, Any]:
    """Return what is left of the right that one click gave; not the token itself."""
    return {
        "event_id": token.event_id,
        "message_id": token.message_id,
        "open_id": token.operator,
        "issued_at_ms": token.issued_at,
        "answered": token.is_answered,
        "uses": CARD_TOKEN_USES - token.uses_left,
        "uses_left": token.uses_left,
    }


def story_of_preview(preview: Preview) -> Mapping[str, Any]:
    """Return a link in a message, and what each person sees of it."""
    return {
        "preview_token": preview.token,
        "url": preview.url,
        "message_id": preview.message_id,
        "chat_id": preview.chat_id,
        "pulls": preview.pulls,
        "views": {
            person: {"inline": shown.line, "card": any_json(shown.card.text) if shown.card is not None else None}
            for person, shown in preview.views.items()
        },
    }
