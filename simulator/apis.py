"""
What each API does. A function takes the call's facts, changes the platform, and returns the body of the answer.

All raise `Refused`. Sources: docs/reference/platform.md, "Messages", "Chats", "Tokens" and "Delayed updates".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.core.ids import AppId, ChatId, MessageId, OpenId
from shared.core.json_text import EpochMs, json_text
from shared.feishu.limits import CARD_BYTES, TEXT_BYTES, UUID_CHARS, UUID_VALID_MS
from simulator.cards import CardRead, is_updatable, read_card, read_card_value, texts_of
from simulator.chats import Chat
from simulator.judge import Rule
from simulator.messages import Message
from simulator.platform import Platform
from simulator.refusals import CARD_TOKEN_EXPIRED, NOT_FOUND, TARGET_FREQUENCY_LIMIT, TOO_LONG, Refused
from simulator.wire_json import any_json

RECEIVER_PREFIXES: Final = {"chat_id": "oc_", "open_id": "ou_", "union_id": "on_", "user_id": "", "email": ""}


@dataclass(slots=True, kw_only=True)
class Calling:
    """
    The facts of one call, completed as it is understood.

    Attributes:
        now: The platform's time (ms).
        api: Its name.
        target: The message, chat or receiver it is about.
        is_counted: False for a call that the network doubled.
    """

    platform: Platform
    query: Mapping[str, str]
    now: EpochMs
    api: str
    target: str | None = None
    app_id: AppId | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    is_counted: bool = True

    def count(self, rule: Rule, quota: float, key: str) -> None:
        """Count this call towards a limit of one target."""
        wall = self.platform.clock.wall()
        if self.is_counted and self.platform.by_second.count((rule, key), quota, now=wall) is not None:
            self.note(rule)
            raise Refused(TARGET_FREQUENCY_LIMIT)

    def note(self, rule: Rule) -> None:
        """Let the judge note that this call broke a rule."""
        if self.is_counted:
            self.platform.judge.note(rule, api=self.api, target=self.target, now=self.now)


def no_such_api(_calling: Calling) -> Mapping[str, Any]:
    """Refuse a path that is none of ours."""
    raise Refused(NOT_FOUND)


def tenant_access_token(calling: Calling) -> Mapping[str, Any]:
    """Issue a tenant access token. Token endpoints answer at top level."""
    body, tokens = calling.body, calling.platform.access_tokens
    token = tokens.issue(body.get("app_id"), body.get("app_secret"), now=calling.now)
    calling.app_id = calling.platform.app.app_id
    left_s = (token.expires_at - calling.now) // 1000
    return {"code": 0, "msg": "ok", "tenant_access_token": token.value, "expire": left_s}


def app_access_token(calling: Calling) -> Mapping[str, Any]:
    """Issue an app access token, which for an app of one's own is the tenant's."""
    issued = tenant_access_token(calling)
    return {**issued, "app_access_token": issued["tenant_access_token"]}


def create_message(calling: Calling) -> Mapping[str, Any]:
    """Send a text or a card; with the ``uuid`` of the last hour, answer with the message sent then."""
    body, platform = calling.body, calling.platform
    kind = calling.query.get("receive_id_type")
    to, msg_type, uuid = body.get("receive_id"), body.get("msg_type"), body.get("uuid")
    if kind not in RECEIVER_PREFIXES or not isinstance(to, str) or not to:
        raise Refused(99992402, "receive_id_type and receive_id are required")
    if uuid is not None and (not isinstance(uuid, str) or len(uuid) > UUID_CHARS):
        raise Refused(99992402, f"uuid has at most {UUID_CHARS} characters")
    calling.target = to
    chat = _receiver(platform, kind, to)
    if chat.mode == "p2p":
        calling.count("user_per_second", platform.limits.per_user, to)
    else:
        calling.count("chat_per_second", platform.limits.per_chat, to)
    content, card = _content(msg_type, body.get("content"))
    sent = _sent_before(calling, uuid)
    if sent is None:
        sent = platform.put(chat, msg_type=str(msg_type), content=content, card=card, uuid=uuid)
        if uuid:
            platform.sent_uuids[uuid] = sent.message_id
    return _success(_message(platform, sent, content=sent.content))


def patch_message(calling: Calling) -> Mapping[str, Any]:
    """Replace a shared card for everybody."""
    platform = calling.platform
    message = _known_message(calling)
    if message.card is not None and not is_updatable(message.sent_at, message.card.format, calling.now):
        calling.note("update_expired")
    message.check_patch(now=calling.now)
    calling.count("message_per_second", platform.limits.per_message, message.message_id)
    try:
        new = read_card(calling.body.get("content"))
    except Refused as refused:
        if refused.code == TOO_LONG:
            calling.note("card_too_large")
        raise
    if message.patch(new, now=calling.now):
        calling.note("update_before_answer")
    return _success({})


def get_message(calling: Calling) -> Mapping[str, Any]:
    """Tell a message; its card simplified, unless ``card_msg_content_type=user_card_content`` asks for it whole."""
    message = _known_message(calling)
    content = message.content
    if message.card is not None:
        is_whole = calling.query.get("card_msg_content_type") == "user_card_content"
        content = message.card.text if is_whole else _simplified(message.card)
    data = _message(calling.platform, message, content="" if message.is_recalled else content)
    return _success({"items": [data]})


def rename_chat(calling: Calling) -> Mapping[str, Any]:
    """Change a chat; only its name is kept here, other members are accepted and forgotten."""
    chat = _known_chat(calling)
    if "name" in calling.body or not calling.body:
        chat.rename(calling.body.get("name"), now=calling.now)
    return _success({})


def get_chat(calling: Calling) -> Mapping[str, Any]:
    """Tell a chat."""
    chat = _known_chat(calling)
    data = {
        "avatar": "", "description": "", "edit_permission": chat.edit_permission, "chat_mode": chat.mode,
        "chat_type": "private", "chat_tag": "inner", "external": False,
        "tenant_key": calling.platform.app.tenant_key, "user_count": "2", "bot_count": "1",
        "chat_status": "dissolved" if chat.is_dissolved else "normal",
    }  # fmt: skip
    if chat.name is not None:
        data["name"] = chat.name
    return _success(data)


def update_card_by_token(calling: Calling) -> Mapping[str, Any]:
    """Replace a card with the right that one click gave: for everybody, or for those an exclusive card names."""
    platform, given = calling.platform, calling.body.get("token")
    if not isinstance(given, str) or not given.startswith("c-") or given not in platform.card_tokens:
        raise Refused(300020)
    token = platform.card_tokens[given]
    message = platform.messages[token.message_id]
    calling.target = message.message_id
    new = _card_object(calling)
    if message.is_recalled:
        raise Refused(200000)
    if not new.shared and not new.open_ids:
        raise Refused(300090)
    try:
        token.use(now=calling.now)
    except Refused as refused:
        calling.note("card_token_expired" if refused.code == CARD_TOKEN_EXPIRED else "card_token_used_up")
        raise
    people = () if new.shared else tuple(OpenId(person) for person in new.open_ids)
    message.update_by_token(new, people, now=calling.now, is_early=not token.is_answered)
    if not token.is_answered:
        calling.note("update_before_answer")
    return {"code": 0, "msg": "ok"}


def _success(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"code": 0, "msg": "success", "data": data}


def _receiver(platform: Platform, kind: str, to: str) -> Chat:
    if not to.startswith(RECEIVER_PREFIXES[kind]) or (kind == "email" and "@" not in to):
        raise Refused(230034)
    if kind != "chat_id":
        return platform.chat_with(to)
    chat = platform.chats.get(ChatId(to))
    if chat is None:
        raise Refused(230002)
    if chat.is_dissolved:
        raise Refused(232009)
    return chat


def _content(msg_type: object, content: object) -> tuple[str, CardRead | None]:
    if not isinstance(content, str):
        raise Refused(230001, "content is not a string of JSON")
    if msg_type == "interactive":
        return content, read_card(content)
    if msg_type != "text":
        raise Refused(230001, "invalid msg_type.")
    if len(content.encode(errors="surrogatepass")) > TEXT_BYTES:
        raise Refused(230025)
    try:
        text = any_json(content)
    except ValueError as error:
        raise Refused(230001, "content is not a string of JSON") from error
    if not isinstance(text, dict) or not isinstance(text.get("text"), str):
        raise Refused(230001, "content has no text")
    return content, None


def _sent_before(calling: Calling, uuid: str | None) -> Message | None:
    message_id = calling.platform.sent_uuids.get(uuid) if uuid else None
    message = calling.platform.messages[message_id] if message_id else None
    return message if message is not None and calling.now - message.sent_at < UUID_VALID_MS else None


def _known_message(calling: Calling) -> Message:
    message = calling.platform.messages.get(MessageId(calling.target or ""))
    if message is None:
        raise Refused(230001, "invalid message_id")
    return message


def _known_chat(calling: Calling) -> Chat:
    chat = calling.platform.chats.get(ChatId(calling.target or ""))
    if chat is None:
        raise Refused(232006)
    return chat


def _card_object(calling: Calling) -> CardRead:
    card = calling.body.get("card")
    if not isinstance(card, dict):
        raise Refused(10002)
    if len(json_text(card).encode()) > CARD_BYTES:
        calling.note("card_too_large")
        raise Refused(11310)
    try:
        return read_card_value(card)
    except Refused as refused:
        raise Refused(10002, refused.detail) from refused


def _message(platform: Platform, message: Message, *, content: str) -> dict[str, Any]:
    sender = {
        "id": platform.app.app_id, "id_type": "app_id", "sender_type": "app", "tenant_key": platform.app.tenant_key,
    }  # fmt: skip
    return {
        "message_id": message.message_id, "msg_type": message.msg_type, "create_time": str(message.sent_at),
        "update_time": str(message.updated_at), "deleted": message.is_recalled,
        "updated": message.updated_at != message.sent_at, "chat_id": message.chat_id, "sender": sender,
        "body": {"content": content},
    }  # fmt: skip


def _simplified(card: CardRead) -> str:
    texts = list(texts_of(any_json(card.text)))
    title, *rest = texts or [""]
    return json_text({"title": title, "elements": [[{"tag": "text", "text": text}] for text in rest]})
