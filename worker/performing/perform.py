"""
One effect, one call, one value: what became of it.

Guarantees: nothing that the platform does is raised. After a crash at any point the effect is performed again: an
update or a name shows the same again; a send carries the ``uuid`` of its effect, and within an hour the platform
makes one message of any number of calls (docs/reference/platform.md, "Idempotency").
"""

import hashlib
from dataclasses import replace
from typing import Final, assert_never

from shared.core.cards import card_format
from shared.core.effects import (
    Asking,
    CallApi,
    FetchChat,
    FetchMessage,
    PlatformEffect,
    RenameChat,
    SendCard,
    SendText,
    UpdateCard,
)
from shared.core.ids import AppId, ChatId, MessageId, TenantKey
from shared.core.json_text import JsonText, json_text
from shared.feishu.cards import everybodys
from shared.feishu.openapi import (
    ApiReply,
    ApiRequest,
    PlatformError,
    Success,
    any_api,
    get_chat,
    get_message,
    idempotency_key,
    read,
    rename_chat,
    send_card,
    send_text,
    sent,
    update_card,
)
from worker.ledger.port import Head
from worker.performing.performed import Done, Failure, Found, NoToken, Performed, Rejected, Unreached, Unsure
from worker.platform.client import Platform, Unauthorized, Unreachable
from worker.policy import chat_in

MESSAGE: Final = "message:"


async def perform(platform: Platform, effect: PlatformEffect, head: Head) -> Performed:
    """
    Perform an effect that `worker.policy.before` let go.

    Args:
        head: Whose effect it is; its target is the card, the chat or the person concerned.
    """
    match await _call(platform, head.app_id, head.tenant_key, request_of(effect, head)):
        case (ApiReply() as reply, Success() as success):
            return _done(effect, head, reply, success)
        case failure:
            return failure


async def find_chat(platform: Platform, app_id: AppId, tenant_key: TenantKey, message_id: MessageId) -> Found | Failure:
    """Ask the platform in which chat a message lies. Changes nothing there, whatever happens."""
    match await _call(platform, app_id, tenant_key, get_message(message_id)):
        case (_, Success(data=data)):
            return Found(chat_id=sent(data).chat_id)
        case failure:
            return failure


def request_of(effect: PlatformEffect, head: Head) -> ApiRequest:
    """Return the call that performs an effect; its ``api`` names the budget that it is counted by."""
    match effect:
        case UpdateCard(card=card):
            return update_card(_card_in(head), card)
        case RenameChat(name=name, chat_id=chat_id):
            return rename_chat(chat_id or _chat_in(head), name)
        case SendCard(card=card, to=to):
            return send_card(to or _chat_in(head), card, uuid=_uuid(head))
        case SendText(text=text, to=to):
            return send_text(to or _chat_in(head), text, uuid=_uuid(head))
        case FetchChat() | FetchMessage() | CallApi():
            return _question(effect)
        case _ as unreachable:
            assert_never(unreachable)


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


def digest_of(card: JsonText) -> str:
    """Return the SHA-256 (hex) of a card as it is shown."""
    return hashlib.sha256(everybodys(card).encode("utf-8", "surrogatepass")).hexdigest()


async def _call(
    platform: Platform, app_id: AppId, tenant_key: TenantKey, request: ApiRequest
) -> tuple[ApiReply, Success] | Failure:
    try:
        reply = await platform.call(app_id, tenant_key, request)
    except Unreachable as unreachable:
        return Unsure(reason=unreachable.reason) if unreachable.sent else Unreached(reason=unreachable.reason)
    except Unauthorized as unauthorized:
        return NoToken(error=unauthorized.error)
    match read(reply):
        case Success() as success:
            return reply, success
        case PlatformError() as error:
            return _refused(error)


def _refused(error: PlatformError) -> Failure:
    match error.verdict:
        case "retry":
            return Unsure(error=error)
        case "refresh_token":
            return NoToken(error=error)
        case "rate_limit" | "target_final" | "configuration":
            return Rejected(error=error)
        case _ as unreachable:
            assert_never(unreachable)


def _done(effect: PlatformEffect, head: Head, reply: ApiReply, success: Success) -> Done:
    done = Done(http_status=reply.status, log_id=success.log_id)
    match effect:
        case UpdateCard(card=card):
            return replace(done, shown=digest_of(card), card_format=card_format(card))
        case RenameChat(chat_id=chat_id):
            return replace(done, chat_id=chat_id or chat_in(head))
        case SendCard(card=card):
            return replace(_sent(done, head, success), card_format=card_format(card))
        case SendText():
            return _sent(done, head, success)
        case FetchChat() | FetchMessage() | CallApi():
            return replace(done, data=json_text(dict(success.data)))
        case _ as unreachable:
            assert_never(unreachable)


def _sent(done: Done, head: Head, success: Success) -> Done:
    message = sent(success.data)
    return replace(
        done,
        sent_message_id=message.message_id,
        sent_at=message.created_at,
        chat_id=message.chat_id or chat_in(head),
    )


def _uuid(head: Head) -> str:
    return idempotency_key(head.app_id, head.event_id, head.index)


def _chat_in(head: Head) -> ChatId:
    chat_id = chat_in(head)
    if chat_id is None:
        raise ValueError(f"{head.kind} of {head.event_id}/{head.index} has no chat: ask worker.policy.before first")
    return chat_id


def _card_in(head: Head) -> MessageId:
    if not head.target.startswith(MESSAGE):
        raise ValueError(f"{head.kind} of {head.event_id}/{head.index} is about no card, but {head.target}")
    return MessageId(head.target.removeprefix(MESSAGE))
