"""
Messages: sent, answered, changed and read.

Source: docs/reference/platform.md, "Messages", "Idempotency" and "Cards as entities".
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.core.ids import ChatId, MessageId
from shared.core.json_text import json_text
from shared.feishu.limits import TEXT_BYTES, UUID_CHARS, UUID_VALID_MS
from simulator.apis.calling import Calling, done
from simulator.apis.entities import entity_to_send
from simulator.cards import CardRead, is_updatable, read_card, texts_of
from simulator.chats import Chat
from simulator.entities import Entity
from simulator.messages import Message, Reply
from simulator.refusals import TOO_LONG, Refused
from simulator.wire_json import any_json

RECEIVER_PREFIXES: Final = {"chat_id": "oc_", "open_id": "ou_", "union_id": "on_", "user_id": "", "email": ""}


def create_message(calling: Calling) -> Mapping[str, Any]:
    """Send a text or a card; with the ``uuid`` of the last hour, answer with the message sent then."""
    kind, to = calling.query.get("receive_id_type"), calling.body.get("receive_id")
    if kind not in RECEIVER_PREFIXES or not isinstance(to, str) or not to:
        raise Refused(99992402, "receive_id_type and receive_id are required")
    calling.target = to
    _check_uuid(calling)
    return _send(calling, _receiver(calling, kind, to))


def reply_message(calling: Calling) -> Mapping[str, Any]:
    """Answer a message with another one, in its chat or in a thread; ``uuid`` as for a send."""
    parent, body = calling.message(), calling.body
    in_thread = body.get("reply_in_thread", False)
    if not isinstance(in_thread, bool):
        raise Refused(99992402, "reply_in_thread is true or false")
    _check_uuid(calling)
    if parent.is_recalled:
        raise Refused(230011)
    if parent.only_for is not None:
        raise Refused(230054)
    chat = calling.platform.chats[parent.chat_id]
    if chat.is_dissolved:
        raise Refused(232009)
    root_id = parent.reply.root_id if parent.reply is not None else parent.message_id
    thread_id = parent.reply.thread_id if parent.reply is not None else None
    if thread_id is None and in_thread:
        thread_id = calling.platform.names.thread()
    reply = Reply(root_id=root_id, parent_id=root_id if thread_id else parent.message_id, thread_id=thread_id)
    return _send(calling, chat, reply)


def patch_message(calling: Calling) -> Mapping[str, Any]:
    """Replace a shared card for everybody."""
    platform, message = calling.platform, calling.message()
    if message.card is not None and not is_updatable(message.sent_at, message.card.format, calling.now):
        calling.note("update_expired")
    message.check_patch(now=calling.now)
    calling.count("message_per_second", platform.limits.per_message, message.message_id)
    try:
        new = read_card(calling.body.get("content"))
    except Refused as refused:
        if refused.code == TOO_LONG:
            calling.note("card_too_large")
        raise
    if message.patch(new, now=calling.now):
        calling.note("update_before_answer")
    return done({})


def get_message(calling: Calling) -> Mapping[str, Any]:
    """Tell a message; its card simplified, unless ``card_msg_content_type=user_card_content`` asks for it whole."""
    message = calling.message()
    content = message.content
    if message.card is not None:
        is_whole = calling.query.get("card_msg_content_type") == "user_card_content"
        content = message.card.text if is_whole else _simplified(message.card)
    return done({"items": [_told(calling, message, content="" if message.is_recalled else content)]})


def _send(calling: Calling, chat: Chat, reply: Reply | None = None) -> Mapping[str, Any]:
    platform, body = calling.platform, calling.body
    if chat.person is not None:
        calling.count("user_per_second", platform.limits.per_user, chat.person)
    else:
        calling.count("chat_per_second", platform.limits.per_chat, chat.chat_id)
    uuid, msg_type = body.get("uuid"), body.get("msg_type")
    sent = _sent_before(calling, uuid)
    if sent is None:
        content, card, entity = _content(calling, msg_type, body.get("content"))
        sent = platform.put(chat, msg_type=str(msg_type), content=content, card=card, uuid=uuid, reply=reply)
        if entity is not None:
            entity.message_id = sent.message_id
            sent.entity = entity
        if uuid:
            platform.sent_uuids[calling.api, uuid] = sent.message_id
    return done(_told(calling, sent, content=sent.content))


def _check_uuid(calling: Calling) -> None:
    uuid = calling.body.get("uuid")
    if uuid is not None and (not isinstance(uuid, str) or len(uuid) > UUID_CHARS):
        raise Refused(99992402, f"uuid has at most {UUID_CHARS} characters")


def _receiver(calling: Calling, kind: str, to: str) -> Chat:
    platform = calling.platform
    if not to.startswith(RECEIVER_PREFIXES[kind]) or (kind == "email" and "@" not in to):
        raise Refused(230034)
    if kind != "chat_id":
        if platform.people.tenant_of(to) not in {None, calling.tenant_key}:
            raise Refused(99992364)
        return platform.chat_with(platform.people.open_id_of(to), calling.tenant_key)
    chat = platform.chats.get(ChatId(to))
    # The bot of one tenant is in no group of another.
    if chat is None or chat.tenant_key != calling.tenant_key:
        raise Refused(230002)
    if chat.is_dissolved:
        raise Refused(232009)
    return chat


def _content(calling: Calling, msg_type: object, content: object) -> tuple[str, CardRead | None, Entity | None]:
    if not isinstance(content, str):
        raise Refused(230001, "content is not a string of JSON")
    if msg_type == "interactive":
        entity = entity_to_send(calling, content)
        return content, read_card(content) if entity is None else entity.card, entity
    if msg_type != "text":
        raise Refused(230001, "invalid msg_type.")
    if len(content.encode(errors="surrogatepass")) > TEXT_BYTES:
        raise Refused(230025)
    try:
        text = any_json(content)
    except ValueError as error:
        raise Refused(230001, "content is not a string of JSON") from error
    if not isinstance(text, dict) or not isinstance(text.get("text"), str):
        raise Refused(230001, "content has no text")
    return content, None, None


def _sent_before(calling: Calling, uuid: str | None) -> Message | None:
    message_id: MessageId | None = calling.platform.sent_uuids.get((calling.api, uuid)) if uuid else None
    message = calling.platform.messages[message_id] if message_id else None
    return message if message is not None and calling.now - message.sent_at < UUID_VALID_MS else None


def _told(calling: Calling, message: Message, *, content: str) -> dict[str, Any]:
    app = calling.platform.app
    sender = {
        "id": app.app_id, "id_type": "app_id", "sender_type": "app", "tenant_key": calling.tenant_key,
    }  # fmt: skip
    told = {
        "message_id": message.message_id, "msg_type": message.msg_type, "create_time": str(message.sent_at),
        "update_time": str(message.updated_at), "deleted": message.is_recalled,
        "updated": message.updated_at != message.sent_at, "chat_id": message.chat_id, "sender": sender,
        "body": {"content": content},
    }  # fmt: skip
    if message.reply is not None:
        told |= {"root_id": message.reply.root_id, "parent_id": message.reply.parent_id}
        if message.reply.thread_id is not None:
            told["thread_id"] = message.reply.thread_id
    return told


def _simplified(card: CardRead) -> str:
    texts = list(texts_of(any_json(card.text)))
    title, *rest = texts or [""]
    return json_text({"title": title, "elements": [[{"tag": "text", "text": text}] for text in rest]})
