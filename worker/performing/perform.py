"""
One effect, one call, one value: what became of it.

Guarantees: nothing that the platform does is raised. After a crash at any point the effect is performed again: an
update or a name shows the same again; a send carries the ``uuid`` of its effect, and within an hour the platform
makes one message of any number of calls (docs/reference/platform.md, "Idempotency").
"""

from dataclasses import replace
from typing import assert_never

from shared.core.effects import (
    CallApi,
    DeleteEphemeral,
    PlatformEffect,
)
from shared.core.ids import AppId, MessageId, TenantKey
from shared.feishu.card_calls import entity_found
from shared.feishu.card_calls import find_entity as find_entity_of
from shared.feishu.openapi import (
    ApiReply,
    ApiRequest,
    PlatformError,
    Success,
    get_message,
    read,
    sent,
)
from worker.ledger.leased import Head
from worker.performing.request import done, request_of
from worker.performing.way import NOTHING, Means
from worker.platform.client import Platform, Unauthorized, Unreachable
from worker.platform.performed import (
    Failure,
    Found,
    FoundEntity,
    NoToken,
    Performed,
    Rejected,
    Unreached,
    Unsure,
)


async def perform(platform: Platform, effect: PlatformEffect, head: Head, means: Means = NOTHING) -> Performed:
    """
    Perform an effect that `worker.policy.before` let go.

    Args:
        head: Whose effect it is; its target is the card, the chat or the person concerned.
        means: What else the call needs; without any, a card is shown by its message.
    """
    match await _call(platform, head.app_id, head.tenant_key, request_of(effect, head, means)):
        case (ApiReply() as reply, Success() as success):
            return done(effect, head, reply, success)
        case Rejected(error=error) if _was_done_before(effect, means, error):
            before = ApiReply(status=error.http_status, body=b"")
            return done(effect, head, before, Success(data={}, log_id=error.log_id))
        case NoToken(refused=True) as refused if isinstance(effect, CallApi):
            # It may be an API that never takes our kind of token, which the platform says in the same words.
            return replace(refused, of_app=False)
        case failure:
            return failure


def _was_done_before(effect: PlatformEffect, means: Means, error: PlatformError) -> bool:
    """
    Say whether a refusal is no failure.

    An operation on an entity was made already, its answer had been lost; or an ephemeral card that was to be deleted is
    no more: a repeated call, or another program's.
    """
    return error.sense == "done_before" and (means.card_id is not None or isinstance(effect, DeleteEphemeral))


async def find_entity(
    platform: Platform, app_id: AppId, tenant_key: TenantKey, message_id: MessageId
) -> FoundEntity | Failure:
    """Ask the platform which entity a card is; asked again it tells the same."""
    match await _call(platform, app_id, tenant_key, find_entity_of(message_id)):
        case (_, Success(data=data)):
            return FoundEntity(card_id=entity_found(data))
        case failure:
            return failure


async def find_chat(platform: Platform, app_id: AppId, tenant_key: TenantKey, message_id: MessageId) -> Found | Failure:
    """Ask the platform in which chat a message lies. Changes nothing there, whatever happens."""
    match await _call(platform, app_id, tenant_key, get_message(message_id)):
        case (_, Success(data=data)):
            return Found(chat_id=sent(data).chat_id)
        case failure:
            return failure


async def _call(
    platform: Platform, app_id: AppId, tenant_key: TenantKey, request: ApiRequest
) -> tuple[ApiReply, Success] | Failure:
    try:
        reply = await platform.call(app_id, tenant_key, request)
    except Unreachable as unreachable:
        return Unsure(reason=unreachable.reason) if unreachable.sent else Unreached(reason=unreachable.reason)
    except Unauthorized as unauthorized:
        return NoToken(error=unauthorized.error, of_app=unauthorized.of_app, reason=unauthorized.reason)
    match read(reply):
        case Success() as success:
            return reply, success
        case PlatformError() as error:
            return _refused(error)


def _refused(error: PlatformError) -> Failure:
    match error.verdict:
        case "retry" if error.sense in {"busy", "sequence"}:
            return Rejected(error=error)
        case "retry":
            return Unsure(error=error)
        case "refresh_token":
            return NoToken(error=error, refused=True)
        case "rate_limit" | "target_final" | "configuration":
            return Rejected(error=error)
        case _ as unreachable:
            assert_never(unreachable)
