"""
Calls to the platform as values, and its replies as values. Sending is the worker's business.

Source: docs/reference/platform.md, the section named at each call.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

import orjson

from shared.core.effects.returning import Method
from shared.core.ids import AppId, ChatId, EventId, MessageId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText, json_text
from shared.core.targets import chat_target, user_target
from shared.feishu.api_names import api_of
from shared.feishu.cards import everybodys
from shared.feishu.codes import Sense, Verdict, sense, verdict
from shared.feishu.normalize import platform_time

ReceiveIdType = Literal["chat_id", "open_id", "union_id", "email", "user_id"]

_RESET: Final = "x-ogw-ratelimit-reset"
_LOG_ID: Final = "x-tt-logid"
_SECONDS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_INNER: Final = re.compile(r"\bErrCode: ?([0-9]{1,9})\b", re.ASCII)
LONGEST_RATE_WAIT_MS: Final = 60 * 60 * 1000
"""The platform's windows are a second and a minute; a longer wait than an hour must be a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """
    One call, without host and token.

    Attributes:
        api: What rate limits count it as (``im.v1.message.patch``).
        path: From the root, percent-encoded: send it as it is.
        body: JSON, or ``None`` for none.
    """

    api: str
    method: Method
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiReply:
    """
    What came back.

    Attributes:
        headers: Their names are in lower case.
        too_long: There was more of a body than is read, so none of it is here.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(repr=False)
    too_long: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """The platform did it. `log_id` is its ``X-Tt-Logid``, which its support asks for."""

    data: Mapping[str, Any] = field(repr=False)
    log_id: str | None = None


RATE_MS: Final = 1_000
"""How long to leave a rate limit alone where the platform does not say: its shorter window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformError:
    """
    The platform refused, or answered something that is not its JSON.

    Its message is left out on purpose: it quotes what was sent. Only a number in it is read.

    Attributes:
        inner: Of a code that says little, the platform's ``ErrCode`` in the message, which says more.
        code: The body's code; ``None`` if there was none to read.
        retry_after_ms: For how long nobody should call this API, where the platform says so.
        too_long: The answer was longer than what is read of one, so that nobody knows what it says.
    """

    code: int | None
    http_status: int
    verdict: Verdict
    retry_after_ms: int | None = None
    log_id: str | None = None
    too_long: bool = False
    inner: int | None = None

    @property
    def asked_for_ms(self) -> int:
        """For how long to leave a rate limit alone: as long as the platform says, or its shorter window."""
        return self.retry_after_ms or RATE_MS

    @property
    def sense(self) -> Sense | None:
        """What the code says beyond the verdict, if anything."""
        return sense(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token, of an organisation or of an app, and how long it lives, in seconds from now."""

    value: str = field(repr=False)
    expires_in_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message as the platform has it. What a reply leaves out is ``None``. `created_at` in ms."""

    message_id: MessageId | None
    chat_id: ChatId | None
    created_at: EpochMs | None


def tenant_token(app_id: AppId, app_secret: str) -> ApiRequest:
    """Ask for a custom app's tenant access token ("Access tokens"). Read the reply with `read_token`."""
    return ApiRequest(
        api="auth.v3.tenant_access_token.internal",
        method="POST",
        path="/open-apis/auth/v3/tenant_access_token/internal",
        body=json_body({"app_id": app_id, "app_secret": app_secret}),
    )


def app_token(app_id: AppId, app_secret: str, app_ticket: str) -> ApiRequest:
    """Ask for a store app's own access token ("Store apps"). Read the reply with `read_token`."""
    return ApiRequest(
        api="auth.v3.app_access_token",
        method="POST",
        path="/open-apis/auth/v3/app_access_token",
        body=json_body({"app_id": app_id, "app_secret": app_secret, "app_ticket": app_ticket}),
    )


def tenant_token_of_store(app_access_token: str, tenant_key: TenantKey) -> ApiRequest:
    """Ask for a store app's access token in one organisation ("Store apps"). Read the reply with `read_token`."""
    return ApiRequest(
        api="auth.v3.tenant_access_token",
        method="POST",
        path="/open-apis/auth/v3/tenant_access_token",
        body=json_body({"app_access_token": app_access_token, "tenant_key": tenant_key}),
    )


def resend_ticket(app_id: AppId, app_secret: str) -> ApiRequest:
    """Ask for a store app's ticket to be sent again, as an event ("Store apps")."""
    return ApiRequest(
        api="auth.v3.app_ticket.resend",
        method="POST",
        path="/open-apis/auth/v3/app_ticket/resend",
        body=json_body({"app_id": app_id, "app_secret": app_secret}),
    )


def update_card(message_id: MessageId, card: JsonText) -> ApiRequest:
    """Replace a card for everybody who sees it ("Update a card by its message"); see `everybodys`."""
    return ApiRequest(
        api="im.v1.message.patch",
        method="PATCH",
        path=f"/open-apis/im/v1/messages/{segment(message_id)}",
        body=json_body({"content": everybodys(card)}),
    )


def rename_chat(chat_id: ChatId, name: str) -> ApiRequest:
    """Give a chat another name and leave the rest of it as it is: see `update_chat`."""
    return update_chat(chat_id, {"name": name})


def update_chat(chat_id: ChatId, changes: Mapping[str, Any]) -> ApiRequest:
    """Change these members of a chat and leave the rest of it as it is ("Update a chat")."""
    return ApiRequest(
        api="im.v1.chat.update",
        method="PUT",
        path=f"/open-apis/im/v1/chats/{segment(chat_id)}",
        body=json_body(changes),
    )


def send_card(to: str, card: JsonText, *, uuid: str) -> ApiRequest:
    """Send a card ("Send a message"). Within an hour the platform sends at most one message for a ``uuid``."""
    return _send(to, "interactive", everybodys(card), uuid)


def send_text(to: str, text: str, *, uuid: str) -> ApiRequest:
    """Send a text ("Send a message"). ``uuid`` as for `send_card`."""
    return _send(to, "text", text_content(text), uuid)


def reply_card(message_id: MessageId, card: JsonText, *, in_thread: bool, uuid: str) -> ApiRequest:
    """Answer a message with a card ("Reply to a message"). ``uuid`` as for `send_card`."""
    return _reply(message_id, "interactive", everybodys(card), in_thread=in_thread, uuid=uuid)


def reply_text(message_id: MessageId, text: str, *, in_thread: bool, uuid: str) -> ApiRequest:
    """Answer a message with a text ("Reply to a message"). ``uuid`` as for `send_card`."""
    return _reply(message_id, "text", text_content(text), in_thread=in_thread, uuid=uuid)


def text_content(text: str) -> JsonText:
    """Return a text as it is sent, and measured: as JSON, in which a line break is two characters."""
    return json_text({"text": text})


def get_message(message_id: MessageId) -> ApiRequest:
    """Ask for a message, to learn which chat it is in ("Read a message"). Read the data with `sent`."""
    return ApiRequest(api="im.v1.message.get", method="GET", path=f"/open-apis/im/v1/messages/{segment(message_id)}")


def get_chat(chat_id: ChatId) -> ApiRequest:
    """Ask for a chat's name, description, members' count ("Read a chat")."""
    return ApiRequest(api="im.v1.chat.get", method="GET", path=f"/open-apis/im/v1/chats/{segment(chat_id)}")


def any_api(method: Method, path: str, query: Mapping[str, str], body: JsonText | None) -> ApiRequest:
    """Make a call that somebody else wrote down. Limits count it by its method and what its path begins with."""
    return ApiRequest(
        api=api_of(method, path),
        method=method,
        path=path,
        query=tuple(query.items()),
        body=None if body is None else body.encode(),
    )


def receiver(to: str) -> tuple[ReceiveIdType, str]:
    """Tell what kind of id a receiver is given by; what has no known form is taken for a user id."""
    if to.startswith("oc_"):
        return "chat_id", to
    if to.startswith("ou_"):
        return "open_id", to
    if to.startswith("on_"):
        return "union_id", to
    return ("email", to) if "@" in to else ("user_id", to)


def target_of(to: str) -> Target:
    """Return what sends to this receiver are paced and leased as."""
    return chat_target(ChatId(to)) if receiver(to)[0] == "chat_id" else user_target(to)


def idempotency_key(app_id: AppId, event_id: EventId, index: int) -> str:
    """
    Return the ``uuid`` of an effect: derived, so that a retry or a rebuilt ledger names the same send.

    128 bits of SHA-256 in base32, 26 characters; the platform takes up to 50.
    """
    digest = hashlib.sha256(f"{app_id}\0{event_id}\0{index}".encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def read(reply: ApiReply) -> Success | PlatformError:
    """Tell what became of a call. Success is HTTP 2xx and code 0; the message text decides nothing."""
    content = _content(reply)
    code = _code(content)
    if code == 0 and 200 <= reply.status < 300:  # noqa: PLR2004  2xx
        data = content.get("data")
        return Success(data=data if isinstance(data, dict) else {}, log_id=_log_id(reply))
    return _error(code or None, reply)


TokenName = Literal["tenant_access_token", "app_access_token"]


def read_token(reply: ApiReply, name: TokenName = "tenant_access_token") -> Token | PlatformError:
    """
    Tell what a token request got: this reply has its fields at the top level.

    Nothing but a passing trouble or a rate limit can be mended by asking again: every other refusal is a matter
    of configuration.
    """
    content = _content(reply)
    value, life = content.get(name), content.get("expire")
    if _code(content) == 0 and isinstance(value, str) and value and isinstance(life, int):
        if not (value.isascii() and value.isprintable()):
            # It could not stand in a header.
            return PlatformError(code=None, http_status=reply.status, verdict="retry", log_id=_log_id(reply))
        return Token(value=value, expires_in_s=life)
    error = _error(_code(content) or None, reply)
    if error.verdict in {"retry", "rate_limit"}:
        return error
    return PlatformError(code=error.code, http_status=error.http_status, verdict="configuration", log_id=error.log_id)


def sent(data: Mapping[str, Any]) -> SentMessage:
    """Return the message that a send created, or that `get_message` found."""
    items = data.get("items")
    message = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else data
    message_id, chat_id, created = (message.get(name) for name in ("message_id", "chat_id", "create_time"))
    return SentMessage(
        message_id=MessageId(message_id) if isinstance(message_id, str) and message_id else None,
        chat_id=ChatId(chat_id) if isinstance(chat_id, str) and chat_id else None,
        created_at=platform_time(created) if isinstance(created, str) else None,
    )


def _send(to: str, msg_type: str, content: JsonText, uuid: str) -> ApiRequest:
    kind, receive_id = receiver(to)
    return ApiRequest(
        api="im.v1.message.create",
        method="POST",
        path="/open-apis/im/v1/messages",
        query=(("receive_id_type", kind),),
        body=json_body({"receive_id": receive_id, "msg_type": msg_type, "content": content, "uuid": uuid}),
    )


def _reply(message_id: MessageId, msg_type: str, content: JsonText, *, in_thread: bool, uuid: str) -> ApiRequest:
    thread = {"reply_in_thread": True} if in_thread else {}
    return ApiRequest(
        api="im.v1.message.reply",
        method="POST",
        path=f"/open-apis/im/v1/messages/{segment(message_id)}/reply",
        body=json_body({"content": content, "msg_type": msg_type, "uuid": uuid, **thread}),
    )


def json_body(body: Mapping[str, Any]) -> bytes:
    """Return a call's body."""
    return json_text(dict(body)).encode()


def segment(identifier: str) -> str:
    """Return an id as a part of a path."""
    # Ids come from callbacks: one that holds a slash or dots must not become another address.
    return quote(identifier, safe="", errors="replace").replace(".", "%2E")


def _content(reply: ApiReply) -> dict[str, Any]:
    try:
        content = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _code(content: Mapping[str, Any]) -> int | None:
    code = content.get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _error(code: int | None, reply: ApiReply) -> PlatformError:
    judged = verdict(code, reply.status)
    return PlatformError(
        code=code,
        http_status=reply.status,
        verdict=judged,
        retry_after_ms=_wait(reply.headers.get(_RESET)) if judged == "rate_limit" else None,
        log_id=_log_id(reply),
        too_long=reply.too_long,
        inner=_inner(reply),
    )


def _inner(reply: ApiReply) -> int | None:
    told = _content(reply).get("msg")
    found = _INNER.search(told) if isinstance(told, str) else None
    return None if found is None else int(found[1])


def _log_id(reply: ApiReply) -> str | None:
    # Bytes of a header that are not UTF-8 arrive as lone surrogates, which no record and no database can hold.
    found = reply.headers.get(_LOG_ID)
    return None if found is None else found.encode("utf-8", "replace").decode()


def _wait(seconds: str | None) -> int | None:
    # Only what a header's value may be surrounded by: Python takes more for space than its numbers do.
    told = "" if seconds is None else seconds.strip(" \t")
    if not _SECONDS.fullmatch(told):
        return None
    return min(round(float(told) * 1000), LONGEST_RATE_WAIT_MS)
