"""
Delayed updates: a card is changed with the right that one click gave.

Source: docs/reference/platform.md, "Delayed updates" and "Card update tokens".
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.core.ids import OpenId
from shared.core.json_text import json_text
from shared.feishu.limits import CARD_BYTES
from simulator.apis.calling import Calling
from simulator.cards import CardRead, is_updatable, read_card_value
from simulator.messages import Message
from simulator.refusals import CARD_TOKEN_EXPIRED, Refused
from simulator.tokens import CardToken

LARGEST_BYTES: Final = 100 * 1024


def update_card_by_token(calling: Calling) -> Mapping[str, Any]:
    """Replace a card: for everybody, or for the people whom an exclusive card names."""
    token, message = _token(calling)
    new = _card(calling)
    if message.is_recalled:
        raise Refused(200000)
    people = _people(calling, new)
    try:
        token.use(now=calling.now)
    except Refused as refused:
        calling.note("card_token_expired" if refused.code == CARD_TOKEN_EXPIRED else "card_token_used_up")
        raise
    # A 1.0 card reports clicks for 30 days, but after 14 nothing changes it any more.
    if is_updatable(message.sent_at, new.format, calling.now):
        message.update_by_token(new, people, now=calling.now, is_early=not token.is_answered)
    else:
        calling.note("update_expired")
    if not token.is_answered:
        calling.note("update_before_answer")
    return {"code": 0, "msg": "ok"}


def _token(calling: Calling) -> tuple[CardToken, Message]:
    platform, given = calling.platform, calling.body.get("token")
    token = platform.card_tokens.get(given) if isinstance(given, str) and given.startswith("c-") else None
    if token is None:
        raise Refused(300020)
    message = platform.messages[token.message_id]
    calling.target = message.message_id
    if platform.chats[message.chat_id].tenant_key != calling.tenant_key:
        raise Refused(200310)
    return token, message


def _card(calling: Calling) -> CardRead:
    card = calling.body.get("card")
    if not isinstance(card, dict):
        raise Refused(10002)
    size = len(json_text(card).encode(errors="surrogatepass"))
    if size > CARD_BYTES:
        calling.note("card_too_large")
        raise Refused(100000 if size > LARGEST_BYTES else 11310)
    try:
        return read_card_value(card)
    except Refused as refused:
        raise Refused(11311, refused.detail) from refused


def _people(calling: Calling, new: CardRead) -> tuple[OpenId, ...]:
    if new.shared:
        if new.open_ids:
            calling.note("open_ids_of_shared_card")
        return ()
    if not new.open_ids:
        raise Refused(300090)
    if not all(person.startswith("ou_") for person in new.open_ids):
        raise Refused(200320)
    return tuple(OpenId(person) for person in new.open_ids)
