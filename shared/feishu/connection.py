"""
How a long connection is opened and kept: the request for its address, what refuses it, and the server's parameters.

Pure. Source: docs/reference/platform.md, "The long connection".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from shared.core.ids import AppId

PATH: Final = "/callback/ws/endpoint"
"""Where an address is asked for, by POST."""

MAX_CONNECTIONS: Final = 50
"""Of one app."""

OK: Final = 0
SYSTEM_BUSY: Final = 1
INTERNAL_ERROR: Final = 1000040343
NO_CREDENTIAL: Final = 1000040344
WRONG_CREDENTIAL: Final = 1000040345
TOO_MANY_CONNECTIONS: Final = 1000040350
FORBIDDEN: Final = 403
UNAUTHORIZED: Final = 514
"""Of a handshake: the ticket does not do, or, with its own code, there are too many connections."""

_PASSING: Final = frozenset({SYSTEM_BUSY, INTERNAL_ERROR})
_HTTP_OK: Final = 200
_INT32: Final = 2**31 - 1

STATUS_HEADER: Final = "handshake-status"
CODE_HEADER: Final = "handshake-autherrcode"

Reason = Literal["credentials", "too_many", "not_allowed"]
"""What an operator has to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """
    What the server asks of its clients; the defaults are those of the platform's own clients.

    Attributes:
        reconnect_count: How often a lost connection is tried again; ``None``: without end.
        reconnect_nonce_s: The first try waits for a random part of this.
        reconnect_interval_s: Each further one waits so long.
        ping_interval_s: How often a client says that it is still there.
    """

    reconnect_count: int | None = None
    reconnect_nonce_s: int = 30
    reconnect_interval_s: int = 120
    ping_interval_s: int = 120


DEFAULTS: Final = Parameters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """
    Where to connect to, once.

    Attributes:
        url: Holds a ticket, which is a credential: it stands in no log line.
        service: Goes into each ping.
    """

    url: str = field(repr=False)
    service: int
    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """
    No connection.

    Attributes:
        code: The platform's code or an HTTP status; ``None`` where the answer could not be read.
        reason: ``None``: it may do next time.
    """

    code: int | None
    reason: Reason | None = None


def endpoint_request(app_id: AppId, app_secret: str) -> bytes:
    """Return the body with which an address is asked for."""
    return json.dumps({"AppID": app_id, "AppSecret": app_secret}).encode()


def read_endpoint(status: int, body: bytes, *, is_secure: bool) -> Endpoint | Refusal:
    """
    Return the address that the platform gives, or why it gives none.

    Args:
        status: Of HTTP.
        is_secure: The platform was asked by HTTPS, so that an address without TLS is none.
    """
    if status != _HTTP_OK:
        return Refusal(code=status)
    content = _object(body)
    code = content.get("code")
    if not isinstance(code, int):
        return Refusal(code=None)
    if code != OK:
        return Refusal(code=code, reason=_reason(code))
    data = content.get("data")
    found = _endpoint(data, is_secure=is_secure) if isinstance(data, dict) else None
    return found or Refusal(code=None)


def read_handshake(headers: Mapping[str, str], status: int) -> Refusal:
    """
    Return why a WebSocket was not opened.

    Args:
        headers: Of the HTTP answer, names in lower case.
        status: Of HTTP.
    """
    told = _number(headers.get(STATUS_HEADER))
    if told == UNAUTHORIZED and _number(headers.get(CODE_HEADER)) == TOO_MANY_CONNECTIONS:
        return Refusal(code=TOO_MANY_CONNECTIONS, reason="too_many")
    if told == FORBIDDEN:
        return Refusal(code=FORBIDDEN, reason="not_allowed")
    return Refusal(code=status if told is None else told)


def read_parameters(payload: bytes | None, known: Parameters) -> Parameters:
    """Return what the payload of a pong asks for; what it does not say, or says in no sensible way, stays."""
    return _parameters(_object(payload or b""), known)


def written(parameters: Parameters) -> dict[str, int]:
    """Return the parameters as the platform writes them: always all four, because some clients take none for zero."""
    return {
        "ReconnectCount": -1 if parameters.reconnect_count is None else parameters.reconnect_count,
        "ReconnectInterval": parameters.reconnect_interval_s,
        "ReconnectNonce": parameters.reconnect_nonce_s,
        "PingInterval": parameters.ping_interval_s,
    }


def _reason(code: int) -> Reason | None:
    if code in _PASSING:
        return None
    if code == TOO_MANY_CONNECTIONS:
        return "too_many"
    return "credentials" if code in {NO_CREDENTIAL, WRONG_CREDENTIAL} else "not_allowed"


def _endpoint(data: dict[str, Any], *, is_secure: bool) -> Endpoint | None:
    url = data.get("URL")
    if not isinstance(url, str) or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError when it is no number
        query = parse_qs(parts.query)
    except ValueError:
        return None
    service = _number(query.get("service_id", [""])[0])
    schemes = {"wss"} if is_secure else {"ws", "wss"}
    if parts.scheme not in schemes or not parts.hostname or service is None or service > _INT32:
        return None
    config = data.get("ClientConfig")
    asked = _parameters(config, DEFAULTS) if isinstance(config, dict) else DEFAULTS
    return Endpoint(url=url, service=service, parameters=asked)


def _parameters(config: dict[str, Any], known: Parameters) -> Parameters:
    return Parameters(
        reconnect_count=_count(config.get("ReconnectCount"), known.reconnect_count),
        reconnect_nonce_s=_seconds(config.get("ReconnectNonce"), known.reconnect_nonce_s, least=0),
        reconnect_interval_s=_seconds(config.get("ReconnectInterval"), known.reconnect_interval_s, least=1),
        ping_interval_s=_seconds(config.get("PingInterval"), known.ping_interval_s, least=1),
    )


def _count(value: object, known: int | None) -> int | None:
    if not isinstance(value, int):
        return known
    return None if value < 0 else value


def _seconds(value: object, known: int, *, least: int) -> int:
    # Nothing of no length, nothing longer than a day: neither a busy loop nor a sleep for good.
    return value if isinstance(value, int) and least <= value <= 24 * 60 * 60 else known


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= len(str(2**63)) else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
