"""Callbacks as the platform would send them: bodies, and the headers that sign them."""

import json
from dataclasses import dataclass, field
from typing import Any

from shared.core.json_text import EpochMs
from shared.feishu.crypto import Cipher
from shared.feishu.signature import sign, sign_legacy
from tests.support.planted import plant

APP_ID = "cli_a1"
ENCRYPT_KEY = "planted-encrypt-key-0b9d"
VERIFICATION_TOKEN = "planted-verification-token-51aa"
CARD_TOKEN = "c-0123456789abcdef0123456789abcdef"
NOW: EpochMs = 1_750_000_000_000
IV = bytes(range(16))
NOTE = "planted-in-a-body-77c1"
"""A member of every body that nobody knows: it is recorded with the callback, and told to nobody."""


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A request as bytes and headers; `headers` by their names on the wire."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def but(self, **headers: str | None) -> "Wire":
        """Return it with other headers, given as signature, timestamp, nonce, request_id; None takes one out."""
        changed = {**self.headers, **{_NAMES[name]: text for name, text in headers.items()}}
        return Wire(body=self.body, headers={name: text for name, text in changed.items() if text is not None})


_NAMES = {
    "signature": "X-Lark-Signature",
    "timestamp": "X-Lark-Request-Timestamp",
    "nonce": "X-Lark-Request-Nonce",
    "request_id": "X-Request-Id",
}


def click(
    event_id: str = "ev1",
    *,
    app_id: str = APP_ID,
    token: str = VERIFICATION_TOKEN,
    message_id: str = "om_1",
    value: Any = None,
    event_type: str = "card.action.trigger",
) -> dict[str, Any]:
    """Return the body of a new-style click."""
    return {
        "schema": "2.0",
        "header": {
            "event_id": event_id,
            "token": token,
            "create_time": str(NOW * 1000),
            "event_type": event_type,
            "tenant_key": "t1",
            "app_id": app_id,
        },
        "event": {
            "operator": {"tenant_key": "t1", "user_id": "u1", "open_id": "ou_1", "union_id": "on_1"},
            "token": CARD_TOKEN,
            "action": {"value": {"action": "follow_up"} if value is None else value, "tag": "button"},
            "host": "im_message",
            "note": NOTE,
            "context": {"open_message_id": message_id, "open_chat_id": "oc_1"},
        },
    }


def legacy_click(message_id: str = "om_1") -> dict[str, Any]:
    """Return the body of a legacy click."""
    return {
        "open_id": "ou_1",
        "user_id": "u1",
        "open_message_id": message_id,
        "open_chat_id": "oc_1",
        "tenant_key": "t1",
        "token": CARD_TOKEN,
        "note": NOTE,
        "action": {"value": {"action": "follow_up"}, "tag": "button"},
    }


def subscribed(event_type: str = "im.chat.updated_v1", *, app_id: str = APP_ID) -> dict[str, Any]:
    """Return the body of an event."""
    body = click(app_id=app_id, event_type=event_type)
    return {**body, "event": {"chat_id": "oc_1"}}


def verification(token: str | None = VERIFICATION_TOKEN) -> dict[str, Any]:
    """Return the body of a URL verification."""
    return {"challenge": "prove it", "token": token, "type": "url_verification"}


def plain(body: Any) -> bytes:
    """Return compact JSON, as the platform writes it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def encrypted(body: Any, *, key: str = ENCRYPT_KEY) -> bytes:
    """Return the body in its encrypted envelope; bytes are taken as the plaintext."""
    return plain({"encrypt": Cipher(key).encrypt(body if isinstance(body, bytes) else plain(body), iv=IV)})


def signed(body: bytes, *, key: str = ENCRYPT_KEY, at: EpochMs = NOW, timestamp: str | None = None) -> Wire:
    """Return bytes signed in the new style."""
    stamp = str(at // 1000) if timestamp is None else timestamp
    return _wire(body, stamp, sign(body, timestamp=stamp, nonce="950646929", encrypt_key=key))


def signed_legacy(
    body: bytes, *, token: str = VERIFICATION_TOKEN, at: EpochMs = NOW, timestamp: str | None = None
) -> Wire:
    """Return bytes signed in the legacy style."""
    stamp = str(at // 1000) if timestamp is None else timestamp
    return _wire(body, stamp, sign_legacy(body, timestamp=stamp, nonce="950646929", verification_token=token))


def _wire(body: bytes, stamp: str, signature: str) -> Wire:
    return Wire(
        body=body,
        headers={
            "Content-Type": "application/json;charset=utf-8",
            "X-Lark-Request-Timestamp": stamp,
            "X-Lark-Request-Nonce": "950646929",
            "X-Lark-Signature": plant(signature),
            "X-Request-Id": "0f0e0d0c",
        },
    )
