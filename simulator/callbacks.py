"""
Callbacks as bytes: what production would send, signed and encrypted as production does.

Compact JSON in a fixed order, UTF-8 unescaped, explicit nulls. Sources: docs/reference/platform.md, "Card callbacks",
"Events", "Signatures" and "Encryption".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import EpochMs
from shared.feishu.crypto import Cipher
from shared.feishu.signature import identity, sign, sign_legacy
from simulator.answers import CallbackStyle
from simulator.names import Names
from simulator.wire_json import json_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who clicks. ``user_id`` is null for an app that may not see it; without ``tenant_key`` they are of the chat's."""

    open_id: OpenId
    user_id: str | None = None
    union_id: str | None = None
    tenant_key: TenantKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """
    One click, before it is bytes.

    Attributes:
        tenant_key: The organisation that the card's chat is in.
        action: JSON of the component and its values, taken as it is.
        created_us: When it happened, in the platform's time (µs).
    """

    event_id: EventId
    message_id: MessageId
    chat_id: ChatId
    tenant_key: TenantKey
    operator: Person
    style: CallbackStyle
    action: bytes
    card_token: str = field(repr=False)
    created_us: int
    host: str = "im_message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    One HTTP request to the receiver, or one payload for a long connection; delivering it again means the same bytes.

    Attributes:
        payload: What a frame holds; ``None`` where this never comes in frames.
    """

    event_id: EventId
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    payload: bytes | None = field(default=None, repr=False)


class Callbacks:
    """
    Makes deliveries for one app.

    Args:
        encrypt_key: Empty: bodies are plaintext and signed with an empty key, as production does.
        verification_token: Stands in every body, and signs legacy card callbacks.
    """

    def __init__(self, *, app_id: AppId, encrypt_key: str, verification_token: str, names: Names) -> None:
        self._app_id = app_id
        self._encrypt_key = encrypt_key
        self._verification_token = verification_token
        self._cipher = Cipher(encrypt_key) if encrypt_key else None
        self._names = names

    def click(self, click: Click, *, wall: EpochMs) -> Delivery:
        """
        Return the delivery of a click.

        The event id of a legacy one, which carries none, is its signature: that is what a receiver knows it by.

        Args:
            wall: The machine's time, for the signed timestamp (ms).
        """
        if click.style == "legacy":
            return self._signed_legacy(orjson.dumps(self._legacy_body(click)), wall=wall)
        event = {
            "operator": {"tenant_key": click.operator.tenant_key or click.tenant_key, **_ids(click.operator)},
            "token": click.card_token,
            "action": orjson.Fragment(click.action),
            "host": click.host,
            "context": {"open_message_id": click.message_id, "open_chat_id": click.chat_id},
        }
        header = self._header(click.event_id, "card.action.trigger", str(click.created_us), click.tenant_key)
        return self._signed(click.event_id, {"schema": "2.0", "header": header, "event": event}, wall=wall)

    def event_p2(
        self, event_id: EventId, kind: str, event: bytes, *, tenant_key: TenantKey, created: str, wall: EpochMs
    ) -> Delivery:
        """Return the delivery of an event of schema 2.0; ``event`` is JSON, ``created`` digits of ms or µs."""
        header = self._header(event_id, kind, created, tenant_key)
        return self._signed(event_id, {"schema": "2.0", "header": header, "event": orjson.Fragment(event)}, wall=wall)

    def event_p1(
        self,
        event_id: EventId,
        kind: str,
        event: Mapping[str, Any],
        *,
        tenant_key: TenantKey | None,
        created: EpochMs,
        wall: EpochMs,
    ) -> Delivery:
        """
        Return the delivery of an event of the first version, known by its ``uuid``; ``created`` in ms.

        Without ``tenant_key`` it is the app's own affair, as its ticket is.
        """
        of_tenant = {} if tenant_key is None else {"tenant_key": tenant_key}
        inner = {"app_id": self._app_id, **of_tenant, "type": kind, **event}
        body = {
            "ts": f"{created // 1000}.{created % 1000:03}0000",
            "uuid": event_id,
            "token": self._verification_token,
            "type": "event_callback",
            "event": orjson.Fragment(json_bytes(inner)),
        }
        return self._signed(event_id, body, wall=wall)

    def challenge(self, challenge: str, *, wall: EpochMs) -> Delivery:
        """Return the request that verifies an address."""
        body = {"challenge": challenge, "token": self._verification_token, "type": "url_verification"}
        return replace(self._signed(EventId(""), body, wall=wall), payload=None)

    def _header(self, event_id: EventId, kind: str, created: str, tenant_key: TenantKey) -> dict[str, str]:
        return {
            "event_id": event_id,
            "token": self._verification_token,
            "create_time": created,
            "event_type": kind,
            "tenant_key": tenant_key,
            "app_id": self._app_id,
        }

    def _legacy_body(self, click: Click) -> dict[str, Any]:
        return {
            "open_id": click.operator.open_id,
            "user_id": click.operator.user_id,
            "open_message_id": click.message_id,
            "open_chat_id": click.chat_id,
            "tenant_key": click.operator.tenant_key or click.tenant_key,
            "token": click.card_token,
            "action": orjson.Fragment(click.action),
        }

    def _signed(self, event_id: EventId, content: Mapping[str, Any], *, wall: EpochMs) -> Delivery:
        body = payload = orjson.dumps(content)
        if self._cipher is not None:
            body = orjson.dumps({"encrypt": self._cipher.encrypt(payload, iv=self._names.vector())})
        timestamp, nonce = str(wall // 1000), self._names.nonce()
        signature = sign(body, timestamp=timestamp, nonce=nonce, encrypt_key=self._encrypt_key)
        headers = self._headers(timestamp, nonce, signature)
        return Delivery(event_id=event_id, headers=headers, body=body, payload=payload)

    def _signed_legacy(self, body: bytes, *, wall: EpochMs) -> Delivery:
        timestamp, nonce = str(wall // 1000), self._names.nonce()
        signature = sign_legacy(body, timestamp=timestamp, nonce=nonce, verification_token=self._verification_token)
        return Delivery(
            event_id=EventId(identity(signature)), headers=self._headers(timestamp, nonce, signature), body=body
        )

    def _headers(self, timestamp: str, nonce: str, signature: str) -> dict[str, str]:
        return {
            "Content-Type": "application/json;charset=utf-8",
            "User-Agent": "Go-http-client/1.1",
            "X-Request-Id": self._names.request(),
            "X-Lark-Request-Timestamp": timestamp,
            "X-Lark-Request-Nonce": nonce,
            "X-Lark-Signature": signature,
        }


def _ids(person: Person) -> dict[str, str | None]:
    return {"user_id": person.user_id, "open_id": person.open_id, "union_id": person.union_id}
