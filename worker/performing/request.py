"""The call that performs an effect, and what its answer says (pure)."""

import hashlib
from dataclasses import replace
from typing import assert_never

from shared.core.cards import card_format
from shared.core.effects import (
    Asking,
    CallApi,
    DeleteEphemeral,
    FetchChat,
    FetchMessage,
    OnCard,
    PlatformEffect,
    RefreshPreview,
    RenameChat,
    Reply,
    SendCard,
    SendEphemeral,
    SendText,
    SetStreaming,
    StreamText,
    UpdateCard,
    UpdateChat,
    UpdateElement,
)
from shared.core.events import EVERYBODY
from shared.core.ids import ChatId, MessageId
from shared.core.json_text import JsonText, json_text
from shared.core.targets import card_in, chat_in
from shared.feishu.card_calls import (
    Entity,
    delete_ephemeral,
    refresh_previews,
    send_ephemeral,
    set_streaming,
    stream_text,
    update_card_by_token,
    update_element,
    update_entity,
)
from shared.feishu.cards import everybodys
from shared.feishu.openapi import (
    ApiReply,
    ApiRequest,
    Success,
    any_api,
    get_chat,
    get_message,
    idempotency_key,
    reply_card,
    reply_text,
    send_card,
    send_text,
    sent,
    update_card,
    update_chat,
)
from worker.ledger.leased import Head
from worker.performing.way import NOTHING, Means
from worker.platform.performed import Done


def request_of(effect: PlatformEffect, head: Head, means: Means = NOTHING) -> ApiRequest:
    """
    Return the call that performs an effect; its ``api`` names the budget that it is counted by.

    Args:
        head: Whose effect it is; its target is the card, the chat or the person concerned.
        means: What else the call needs; without any, a card is shown by its message.
    """
    match effect:
        case UpdateCard() | UpdateElement() | StreamText() | SetStreaming():
            return _on_card(effect, head, means)
        case RenameChat() | UpdateChat():
            return update_chat(effect.chat_id or _chat_in(head), _changes(effect))
        case SendCard() | SendText() | Reply():
            return _send(effect, head)
        case SendEphemeral() | DeleteEphemeral():
            return _ephemeral(effect, head)
        case FetchChat() | FetchMessage() | CallApi():
            return _question(effect)
        case RefreshPreview(open_ids=open_ids):
            return refresh_previews([means.right.token.reveal()] if means.right else [], open_ids)
        case _ as unreachable:
            assert_never(unreachable)


def done(effect: PlatformEffect, head: Head, reply: ApiReply, success: Success) -> Done:
    """Return what a call that performed an effect has made of the world, as far as we keep that."""
    made = Done(http_status=reply.status, log_id=success.log_id)
    match effect:
        case UpdateCard(card=card) if head.audience == EVERYBODY:
            return replace(made, shown=digest_of(card), card_format=card_format(card))
        case RenameChat(chat_id=chat_id) | UpdateChat(chat_id=chat_id):
            return replace(made, chat_id=chat_id or chat_in(head.target))
        case SendCard(card=str(card)) | Reply(card=str(card)):
            return replace(_sent(made, head, success), card_format=card_format(card))
        case SendCard() | SendText() | SendEphemeral() | Reply():
            return _sent(made, head, success)
        case FetchChat() | FetchMessage() | CallApi():
            return replace(made, data=json_text(dict(success.data)))
        case UpdateCard() | UpdateElement() | StreamText() | SetStreaming() | DeleteEphemeral() | RefreshPreview():
            # What one person sees, or a part, is not what the card shows.
            return made
        case _ as unreachable:
            assert_never(unreachable)


def digest_of(card: JsonText) -> str:
    """Return the SHA-256 (hex) of a card as it is shown."""
    return hashlib.sha256(everybodys(card).encode("utf-8", "surrogatepass")).hexdigest()


def _on_card(effect: OnCard, head: Head, means: Means) -> ApiRequest:
    way = means.way
    match effect:
        case UpdateCard(card=card) if way is not None and way.right is not None:
            return update_card_by_token(way.right.token.reveal(), card, way.people)
        case UpdateCard(card=card) if way is not None and way.by == "cardkit":
            return update_entity(_entity(head, means), card)
        case UpdateCard(card=card):
            return update_card(_card_in(head), card)
        case UpdateElement(element_id=element_id, element=element):
            return update_element(_entity(head, means), element_id, element)
        case StreamText(element_id=element_id, text=text):
            return stream_text(_entity(head, means), element_id, text)
        case SetStreaming(on=on):
            return set_streaming(_entity(head, means), on=on)
        case _ as unreachable:
            assert_never(unreachable)


def _entity(head: Head, means: Means) -> Entity:
    # Shown once more, a card must be painted again: the platform would take the same key for the same operation.
    return Entity(card_id=means.card_id or "", sequence=means.sequence, uuid=None if means.again else _uuid(head))


def _uuid(head: Head) -> str:
    return idempotency_key(head.app_id, head.event_id, head.index)


def _send(effect: SendCard | SendText | Reply, head: Head) -> ApiRequest:
    uuid = _uuid(head)
    match effect:
        case SendCard(card=card, to=to):
            return send_card(to or _chat_in(head), card, uuid=uuid)
        case SendText(text=text, to=to):
            return send_text(to or _chat_in(head), text, uuid=uuid)
        case Reply(text=text, card=card, in_thread=in_thread):
            to = effect.message_id or head.message_id or _card_in(head)
            if card is None:
                return reply_text(to, text or "", in_thread=in_thread, uuid=uuid)
            return reply_card(to, card, in_thread=in_thread, uuid=uuid)
        case _ as unreachable:
            assert_never(unreachable)


def _ephemeral(effect: SendEphemeral | DeleteEphemeral, head: Head) -> ApiRequest:
    if isinstance(effect, DeleteEphemeral):
        return delete_ephemeral(_card_in(head))
    return send_ephemeral(effect.chat_id or _chat_in(head), effect.to or "", effect.card)


def _question(effect: Asking) -> ApiRequest:
    match effect:
        case FetchChat(chat_id=str(chat_id)):
            return get_chat(chat_id)
        case FetchMessage(message_id=str(message_id)):
            return get_message(message_id)
        case CallApi(method=method, path=path, query=query, body=body):
            return any_api(method, path, query, body)
        case _:
            raise ValueError(f"{type(effect).__name__} does not say of what: it is planned with that")


def _changes(effect: RenameChat | UpdateChat) -> dict[str, object]:
    changes = {name: getattr(effect, name, None) for name in ("name", "description", "avatar", "i18n_names")}
    return {name: value for name, value in changes.items() if value is not None}


def _chat_in(head: Head) -> ChatId:
    chat_id = chat_in(head.target)
    if chat_id is None:
        raise ValueError(f"{head.kind} of {head.event_id}/{head.index} has no chat: ask worker.policy.before first")
    return chat_id


def _card_in(head: Head) -> MessageId:
    message_id = card_in(head.target)
    if message_id is None:
        raise ValueError(f"{head.kind} of {head.event_id}/{head.index} is about no card, but {head.target}")
    return message_id


def _sent(made: Done, head: Head, success: Success) -> Done:
    message = sent(success.data)
    return replace(
        made,
        sent_message_id=message.message_id,
        sent_at=message.created_at,
        chat_id=message.chat_id or chat_in(head.target),
    )
