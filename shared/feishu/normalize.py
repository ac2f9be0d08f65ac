"""
A verified callback becomes the fact that is recorded.

Identity, time and place of a click are settled here, once, for the webhook and every other way in.
"""

import hashlib
import re
from typing import Final

import msgspec

from shared.core.events import Action, Answer, InteractionReceived
from shared.core.ids import AppId, DeliveryKey, EventId, TenantKey
from shared.core.json_text import EpochMs
from shared.feishu.callback import Interactive, LegacyCardAction, SubscribedEvent, UnreadableCallback
from shared.feishu.members import repaired

_DEFAULT: Final = Answer()
_DIGITS: Final = re.compile(r"[0-9]+")
_SECONDS: Final = re.compile(r"([0-9]{10})(?:\.([0-9]{1,9}))?")
_MILLIS_DIGITS: Final = 13
_MICROS_DIGITS: Final = 16


def normalize(
    callback: Interactive,
    *,
    app_id: AppId,
    received_at: EpochMs,
    request_id: str | None,
    delivery_key: DeliveryKey | None,
    signature: str | None,
    signed_at: EpochMs | None,
    answer: Answer = _DEFAULT,
    keep_callback: bool = True,
    keep_form_value: bool = True,
) -> InteractionReceived:
    """
    Return the fact that a callback tells.

    Args:
        callback: Already verified: nothing here checks who sent it.
        app_id: The app of the route that it arrived on.
        received_at: When the gateway had the whole request (ms).
        request_id: ``X-Request-Id`` as received.
        delivery_key: See `delivery_key`; ``None`` where there is none.
        signature: The *verified* signature in hex (covers timestamp, nonce and bytes), or on the long connection
            the frame's ``message_id``: what identifies a callback that carries no id of its own.
        signed_at: The signed timestamp header's time (ms).
        answer: What the caller is answered.
        keep_callback: Whether the body, less its tokens, is recorded too. That of an event always is: it has nothing
            else to tell.
        keep_form_value: Whether what was typed into a form is part of the fact. If not, it stands in no body either.

    Raises:
        UnreadableCallback: There is nothing that could identify it. Content alone never does: an honest second
            click may look exactly like the first.
    """
    keeps_body = keep_callback and keep_form_value
    return InteractionReceived(
        event_id=_event_id(callback, signature),
        kind=callback.kind,
        app_id=app_id,
        tenant_key=callback.tenant_key or TenantKey(""),
        operator=callback.operator,
        message_id=callback.message_id,
        chat_id=callback.chat_id,
        host=callback.host,
        delivery_type=callback.delivery_type,
        url=callback.url,
        action=callback.action if keep_form_value else _without_form(callback.action),
        event_type=callback.event_type,
        card_token=callback.card_token,
        preview_token=callback.preview_token,
        answer=answer,
        occurred_at=_occurred_at(callback, signed_at, received_at),
        received_at=received_at,
        request_id=None if request_id is None else repaired(request_id),
        delivery_key=delivery_key,
        app_ticket=callback.app_ticket,
        callback=callback.text if keeps_body or isinstance(callback, SubscribedEvent) else None,
    )


def delivery_key(request_id: str | None, body: bytes) -> DeliveryKey | None:
    """
    Return what two deliveries of the same request have in common; ``None`` without an ``X-Request-Id``.

    The header is not signed, so it can add a duplicate to be recognised, never make two clicks one by itself:
    the raw body is part of the key.
    """
    if not request_id:
        return None
    digest = hashlib.sha256(request_id.encode("utf-8", "surrogatepass") + b"\n" + body)
    return DeliveryKey(digest.hexdigest())


def _without_form(action: Action) -> Action:
    return msgspec.structs.replace(action, form_value=None)


def _event_id(callback: Interactive, signature: str | None) -> EventId:
    if callback.event_id is not None:
        return callback.event_id
    if not signature:
        raise UnreadableCallback("the callback has neither an id nor a verified signature")
    return EventId(signature)


def _occurred_at(callback: Interactive, signed_at: EpochMs | None, received_at: EpochMs) -> EpochMs:
    at = signed_at if isinstance(callback, LegacyCardAction) else platform_time(callback.created)
    return received_at if at is None else at


def platform_time(text: str | None) -> EpochMs | None:
    """
    Return a time that the platform wrote (ms), ``None`` if it is in no known unit.

    Documents and real callbacks differ in the unit of ``header.create_time``, so the number of digits decides:
    13 are milliseconds, 16 microseconds, 10 seconds, with or without a fraction (the ``ts`` of first-version events).
    Source: docs/reference/platform.md, "Times".
    """
    if text is None:
        return None
    if _DIGITS.fullmatch(text) and len(text) == _MILLIS_DIGITS:
        return int(text)
    if _DIGITS.fullmatch(text) and len(text) == _MICROS_DIGITS:
        return int(text) // 1000
    if seconds := _SECONDS.fullmatch(text):
        return int(seconds[1]) * 1000 + int((seconds[2] or "").ljust(3, "0")[:3])
    return None
