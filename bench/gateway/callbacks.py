"""
Requests made before the run: encrypted, signed clicks, each of its own event, message and person.

Decrypted they have 1.4 KB, on the wire 2.2 KB. Nobody's card is clicked twice, which suits no cache.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.feishu.crypto import Cipher
from shared.feishu.signature import sign

PATH: Final = "/webhook/card"
APP_ID: Final = "cli_b0b1b2b3b4b5b6b7"
ENCRYPT_KEY: Final = "not-the-key-of-any-app-of-anybody"
VERIFICATION_TOKEN: Final = "not-a-token-of-any-app"  # noqa: S105 -- of nobody's
TOAST: Final = {"toast": {"type": "info", "content": "正在跟进"}}
"""What every server here answers."""

CREDENTIALS: Final = {
    "LARK_APP_ID": APP_ID,
    "LARK_ENCRYPT_KEY": ENCRYPT_KEY,
    "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN,
}
DECRYPTED: Final = 1_400
_NONCE: Final = "950646929"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A request as bytes, and what it will be found by in the log."""

    event_id: str
    body: bytes = field(repr=False)

    def request(self, *, timestamp: int, signature: str | None = None) -> bytes:
        """Return the whole request, signed now, or with a signature that is none."""
        if signature is None:
            signature = sign(self.body, timestamp=str(timestamp), nonce=_NONCE, encrypt_key=ENCRYPT_KEY)
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept-Encoding: gzip\r\n"
            f"Content-Type: application/json;charset=utf-8\r\nX-Lark-Request-Timestamp: {timestamp}\r\n"
            f"X-Lark-Request-Nonce: {_NONCE}\r\nX-Lark-Signature: {signature}\r\n"
            f"X-Request-Id: {self.event_id}\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def callbacks(count: int, *, first: int = 0) -> Sequence[Callback]:
    """Return so many clicks; later ones are numbered from ``first`` on."""
    cipher = Cipher(ENCRYPT_KEY)
    return [_callback(cipher, number) for number in range(first, first + count)]


def requests(made: Sequence[Callback]) -> Sequence[bytes]:
    """Sign them all with the present time; good for ten minutes."""
    now = int(time.time())
    return [callback.request(timestamp=now) for callback in made]


def _callback(cipher: Cipher, number: int) -> Callback:
    click = _click(number)
    click["event"]["action"]["value"]["summary"] = ""
    # Chinese text, as in real alerts: three bytes for a character.
    room = DECRYPTED - len(_json(click))
    click["event"]["action"]["value"]["summary"] = "支付超时" * (room // 12) + "-" * (room % 12)
    encrypted = cipher.encrypt(_json(click), iv=number.to_bytes(16, "big"))
    return Callback(event_id=click["header"]["event_id"], body=_json({"encrypt": encrypted}))


def _click(number: int) -> dict[str, Any]:
    return {
        "schema": "2.0",
        "header": {
            "event_id": f"{number:032x}",
            "token": VERIFICATION_TOKEN,
            "create_time": str(time.time_ns() // 1000),
            "event_type": "card.action.trigger",
            "tenant_key": "2ed263bf32cf1651",
            "app_id": APP_ID,
        },
        "event": {
            "operator": {
                "tenant_key": "2ed263bf32cf1651",
                "user_id": f"{number:08x}",
                "open_id": f"ou_{number:032x}",
                "union_id": f"on_{number:032x}",
            },
            "token": f"c-{number:040x}",
            "action": {
                "value": {"action": "follow_up", "alert_id": f"alert-{number}", "service": "payments", "severity": 2},
                "tag": "button",
                "timezone": "Asia/Shanghai",
                "name": "follow_up_button",
            },
            "host": "im_message",
            "context": {"open_message_id": f"om_{number:032x}", "open_chat_id": f"oc_{number:032x}"},
        },
    }


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
