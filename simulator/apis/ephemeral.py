"""Ephemeral cards: one person of a group sees them. Source: docs/reference/platform.md, "Ephemeral cards"."""

from collections.abc import Mapping
from typing import Any

from shared.core.ids import ChatId, MessageId, OpenId
from shared.core.json_text import json_text
from shared.feishu.limits import CARD_BYTES
from simulator.apis.calling import Calling
from simulator.cards import CardRead, read_card_value
from simulator.chats import Chat
from simulator.refusals import Refused

BOT_NOT_IN_CHAT = 10002
BAD_PARAMETER = 10003
BAD_CARD = 11246
CHAT_LIMIT = 11233
ALREADY_DELETED = 18051


def send_ephemeral(calling: Calling) -> Mapping[str, Any]:
    """Show a card to one person of a group."""
    body, platform = calling.body, calling.platform
    person = next((body[name] for name in ("open_id", "user_id", "email") if body.get(name)), None)
    if not isinstance(person, str) or body.get("msg_type") != "interactive":
        raise Refused(BAD_PARAMETER, "one of open_id, user_id, email; msg_type is interactive")
    chat = _group(calling)
    calling.count("chat_ephemeral_per_second", platform.limits.per_chat_ephemeral, chat.chat_id, code=CHAT_LIMIT)
    if platform.people.tenant_of(person) not in {None, calling.tenant_key}:
        raise Refused(99992364)
    card = _card(calling)
    open_id = OpenId(platform.people.open_id_of(person))
    message = platform.put(chat, msg_type="interactive", content=card.text, card=card, only_for=open_id)
    return {"code": 0, "msg": "ok", "data": {"message_id": message.message_id}}


def delete_ephemeral(calling: Calling) -> Mapping[str, Any]:
    """Take an ephemeral card away; nothing of it stays."""
    given = calling.body.get("message_id")
    message = calling.platform.messages.get(MessageId(given)) if isinstance(given, str) else None
    if message is None or message.only_for is None:
        raise Refused(BAD_PARAMETER, "message_id names no ephemeral card")
    calling.target = message.message_id
    if calling.platform.chats[message.chat_id].tenant_key != calling.tenant_key:
        raise Refused(BAD_PARAMETER, "message_id names no ephemeral card")
    if message.is_recalled:
        raise Refused(ALREADY_DELETED)
    message.is_recalled = True
    message.views.clear()
    return {"code": 0, "msg": "ok"}


def _group(calling: Calling) -> Chat:
    given = calling.body.get("chat_id")
    if not isinstance(given, str) or not given:
        raise Refused(BAD_PARAMETER, "chat_id is missing")
    calling.target = given
    chat = calling.platform.chats.get(ChatId(given))
    if chat is None or chat.tenant_key != calling.tenant_key or chat.is_dissolved:
        raise Refused(BOT_NOT_IN_CHAT)
    if chat.mode != "group":
        raise Refused(BAD_PARAMETER, "chat_id names no group")
    return chat


def _card(calling: Calling) -> CardRead:
    card = calling.body.get("card")
    if not isinstance(card, dict):
        raise Refused(BAD_PARAMETER, "card is a JSON object")
    if len(json_text(card).encode(errors="surrogatepass")) > CARD_BYTES:
        calling.note("card_too_large")
        raise Refused(BAD_CARD, "the card is too large")
    try:
        return read_card_value(card)
    except Refused as refused:
        raise Refused(BAD_CARD, refused.detail) from refused
