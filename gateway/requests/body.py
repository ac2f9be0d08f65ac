"""
The body of a request, read and checked (pure): a request that can be decided, or one line that says what is wrong.

A request is about one card at most, the one that its `UpdateCard` names: it takes its turn among that card's clicks,
and there is no turn in two queues at once.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, assert_never

import msgspec

from shared.app.valid import object_text
from shared.core.effects import (
    REQUESTABLE,
    DeleteEphemeral,
    OnCard,
    RenameChat,
    Reply,
    Requestable,
    SendCard,
    SendEphemeral,
    SendText,
    SetStreaming,
    StreamText,
    UpdateCard,
    UpdateChat,
    UpdateElement,
)
from shared.core.effects.cards import OnExpired
from shared.core.effects.chats import ChatLanguage
from shared.core.effects.lacks import lacks
from shared.core.effects.parts import ELEMENT_ID, ELEMENT_ID_WORDS
from shared.core.events import RequestReceived, request_event_id
from shared.core.ids import AppId, ChatId, MessageId, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.feishu.limits import STREAMED_CHARS

MAX_EFFECTS: Final = 20
"""Effects of one request: more are several requests, each with an id of its own."""

_EXAMPLES: Final[Mapping[str, str]] = {
    "request_id": '"request_id": "invoice-1042"',
    "app_id": '"app_id": "cli_a1b2c3d4e5f6"',
    "tenant_key": '"tenant_key": "2df73991750a1b2c"',
    "effects": '"effects": [{"kind": "SendText", "text": "…", "to": "oc_…"}]',
    "kind": '"kind": "SendCard"',
    "card": '"card": {"schema": "2.0", "body": …}',
    "message_id": '"message_id": "om_…"',
    "to": '"to": "oc_…"',
    "text": '"text": "…"',
    "name": '"name": "跟进中"',
    "chat_id": '"chat_id": "oc_…"',
    "description": '"description": "…"',
    "avatar": '"avatar": "default-avatar_…"',
    "i18n_names": '"i18n_names": {"en_us": "Following up"}',
    "in_thread": '"in_thread": true',
    "element_id": '"element_id": "answer"',
    "element": '"element": {"tag": "markdown", "content": "…"}',
    "on": '"on": true',
    "on_expired": '"on_expired": "reply"',
}
_BODY: Final = (
    '{"request_id": "invoice-1042", "app_id": "cli_a1b2c3d4e5f6", "effects": '
    '[{"kind": "SendText", "text": "…", "to": "oc_…"}]}'
)

_RequestId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}\Z")]
_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,128}\Z")]
_ElementId = Annotated[str, msgspec.Meta(pattern=rf"^{ELEMENT_ID}\Z")]
_To = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,256}\Z")]
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_WHAT: Final = {
    "request_id": "1 to 128 letters, digits, dots, colons, dashes and underscores",
    "app_id": "an app's id",
    "tenant_key": "the key of an organisation",
    "effects": f"1 to {MAX_EFFECTS} effects",
    "kind": f"one of {', '.join(REQUESTABLE)}",
    "card": "a card's JSON object",
    "message_id": "a message's id",
    "to": "a chat, a person or an address",
    "text": "some text",
    "name": "some text",
    "chat_id": "a chat's id",
    "description": "some text",
    "avatar": "an image's key",
    "i18n_names": "names by zh_cn, en_us or ja_jp",
    "in_thread": "true or false",
    "element_id": ELEMENT_ID_WORDS,
    "element": "an element's JSON object",
    "on": "true or false",
    "on_expired": "skip, reply or successor",
}


class BadRequest(Exception):
    """A body that is no request. The text is one line for its sender, and repeats no value."""


class _Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What the effects of a body have in common."""


class _UpdateCard(_Effect, frozen=True, tag="UpdateCard"):
    message_id: _Id
    card: msgspec.Raw
    on_expired: OnExpired = "skip"


class _SendCard(_Effect, frozen=True, tag="SendCard"):
    card: msgspec.Raw
    to: _To | None = None


class _SendText(_Effect, frozen=True, tag="SendText"):
    text: _Text
    to: _To | None = None


class _RenameChat(_Effect, frozen=True, tag="RenameChat"):
    name: _Text
    chat_id: _Id | None = None


class _UpdateChat(_Effect, frozen=True, tag="UpdateChat"):
    name: _Text | None = None
    description: str | None = None
    avatar: _Text | None = None
    i18n_names: dict[ChatLanguage, _Text] | None = None
    chat_id: _Id | None = None


class _Reply(_Effect, frozen=True, tag="Reply"):
    message_id: _Id
    text: _Text | None = None
    card: msgspec.Raw = msgspec.Raw()
    in_thread: bool = False


class _SendEphemeral(_Effect, frozen=True, tag="SendEphemeral"):
    card: msgspec.Raw
    to: _To
    chat_id: _Id | None = None


class _DeleteEphemeral(_Effect, frozen=True, tag="DeleteEphemeral"):
    message_id: _Id


class _UpdateElement(_Effect, frozen=True, tag="UpdateElement"):
    message_id: _Id
    element_id: _ElementId
    element: msgspec.Raw


class _StreamText(_Effect, frozen=True, tag="StreamText"):
    message_id: _Id
    element_id: _ElementId
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=STREAMED_CHARS)]


class _SetStreaming(_Effect, frozen=True, tag="SetStreaming"):
    message_id: _Id
    on: bool


_OnCard = _UpdateCard | _UpdateElement | _StreamText | _SetStreaming

_Given = _OnCard | _SendCard | _SendText | _RenameChat | _UpdateChat | _Reply | _SendEphemeral | _DeleteEphemeral


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    request_id: _RequestId
    app_id: _Id
    effects: Annotated[
        tuple[_Given, ...],
        msgspec.Meta(min_length=1, max_length=MAX_EFFECTS),
    ]
    tenant_key: _Id | None = None


_DECODER: Final = msgspec.json.Decoder(_Body)
_PATH: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`")
_FIELD: Final = re.compile(r"field `([^`]*)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """
    What a body asks for.

    Attributes:
        message_id: The card that it is about, if there is one.
    """

    request_id: str
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None
    effects: tuple[Requestable, ...]

    def by(self, caller: str, at: EpochMs) -> RequestReceived:
        """Return the fact that this caller asked for it at that time."""
        return RequestReceived(
            event_id=request_event_id(caller, self.request_id),
            app_id=self.app_id,
            tenant_key=self.tenant_key,
            message_id=self.message_id,
            caller=caller,
            request_id=self.request_id,
            effects=self.effects,
            occurred_at=at,
            received_at=at,
        )


def read_request(body: bytes) -> Requested:
    """
    Return what a body asks for.

    Raises:
        BadRequest: It is no request: a line that names the field, what was expected, and an example.
    """
    try:
        read = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(_told(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(f"the body is no JSON: expected a request in UTF-8, for example {_BODY}") from None
    effects = tuple(_effect(given, f"effects[{at}]") for at, given in enumerate(read.effects))
    message_id = _only_card(read.effects)
    if message_id is None:
        _check_aims(effects)
    return Requested(
        request_id=read.request_id,
        app_id=AppId(read.app_id),
        tenant_key=TenantKey(read.tenant_key or ""),
        message_id=message_id,
        effects=effects,
    )


def _effect(given: _Given, where: str) -> Requestable:
    match given:
        case _UpdateCard() | _UpdateElement() | _StreamText() | _SetStreaming():
            return _to_card(given, where)
        case _SendCard():
            return SendCard(_card(given.card, where), given.to)
        case _SendText():
            return SendText(given.text, given.to)
        case _RenameChat():
            return RenameChat(given.name, ChatId(given.chat_id) if given.chat_id else None)
        case _UpdateChat():
            return _chat_update(given, where)
        case _Reply() | _SendEphemeral() | _DeleteEphemeral():
            return _to_message(given, where)
        case _ as unreachable:
            assert_never(unreachable)


def _to_card(given: _OnCard, where: str) -> OnCard:
    match given:
        case _UpdateCard():
            return UpdateCard(_card(given.card, where), given.message_id, on_expired=given.on_expired)
        case _UpdateElement():
            element = _card(given.element, where, "element")
            return UpdateElement(given.element_id, element, given.message_id)
        case _StreamText():
            return StreamText(given.element_id, given.text, MessageId(given.message_id))
        case _SetStreaming():
            return SetStreaming(given.on, given.message_id)
        case _ as unreachable:
            assert_never(unreachable)


def _chat_update(given: _UpdateChat, where: str) -> UpdateChat:
    try:
        return UpdateChat(given.name, given.description, given.avatar, given.i18n_names, given.chat_id)
    except ValueError:
        raise BadRequest(_line(f"{where}.name", "is missing, as is all else that could change")) from None


def _to_message(given: _Reply | _SendEphemeral | _DeleteEphemeral, where: str) -> Requestable:
    match given:
        case _Reply(card=raw) if bytes(raw) and given.text is None:
            return Reply(None, _card(raw, where), given.message_id, given.in_thread)
        case _Reply(card=raw) if not bytes(raw) and given.text is not None:
            return Reply(given.text, None, given.message_id, given.in_thread)
        case _Reply():
            raise BadRequest(_line(f"{where}.text", "is missing, or there is a card besides"))
        case _SendEphemeral():
            return SendEphemeral(_card(given.card, where), given.to, given.chat_id)
        case _DeleteEphemeral():
            return DeleteEphemeral(MessageId(given.message_id))
        case _ as unreachable:
            assert_never(unreachable)


def _card(raw: msgspec.Raw, where: str, name: str = "card") -> JsonText:
    try:
        return object_text(bytes(raw).decode())
    except (ValueError, RecursionError):
        raise BadRequest(_line(f"{where}.{name}", "is no JSON object")) from None


def _only_card(effects: Sequence[_Given]) -> MessageId | None:
    cards = {effect.message_id for effect in effects if isinstance(effect, _OnCard)}
    if len(cards) > 1:
        raise BadRequest(
            f"effects update {len(cards)} cards: expected one card in a request, because it takes its turn among that "
            'card\'s clicks; send one for each, for example "request_id": "invoice-1042-a"'
        )
    return MessageId(cards.pop()) if cards else None


def _check_aims(effects: Sequence[Requestable]) -> None:
    """Refuse effects without an address in a request that is about no card, so about no chat either."""
    for at, effect in enumerate(effects):
        for field, what in lacks(effect).items():
            if what == "chat":
                raise BadRequest(_line(f"effects[{at}].{field}", "is missing"))


def _told(problem: str) -> str:
    """Return the library's words about a body as ours; they may quote what was sent."""
    found = _PATH.search(problem)
    path = found[1] if found else ""
    field = _FIELD.search(problem)
    if field and "unknown field" in problem:
        where = f"{path}." if path else ""
        known = "request_id, app_id, effects, tenant_key" if not path else "those of its kind"
        return f"{where}{_short(field[1])} is no field: expected {known}, for example {_BODY}"
    if field and "missing required field" in problem:
        return _line(f"{path}.{field[1]}" if path else field[1], "is missing")
    return _line(path, "is malformed") if path else f"the body is no object: expected a request, for example {_BODY}"


def _line(path: str, what: str) -> str:
    name = re.sub(r"\[.*?\]$", "", path).rpartition(".")[2]
    if re.search(r"\[\d*\.*\]$", path):
        name = "effects"
    expected, example = _WHAT.get(name, "a request"), _EXAMPLES.get(name, _BODY)
    return f"{path} {what}: expected {expected}, for example {example}"


def _short(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) else "something"
