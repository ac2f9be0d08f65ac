"""
Callback bodies to values. Source: docs/reference/platform.md, "Callbacks".

The only place that knows the names of the callbacks' JSON members. What the platform may send is an open set:
unknown members are ignored, optional ones may be absent, ``null`` or of a type that no document mentions, and a
click is still a click. Only a body whose kind cannot be told is unreadable.
"""

from collections.abc import Callable
from typing import ClassVar, Final, TypeVar

import msgspec

from shared.core.events import Action, InteractionKind, Operator
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import JsonText
from shared.core.value import Value
from shared.feishu.members import Members, TooDeep, boolean, exact, members, string, strings, utf8
from shared.feishu.tokens import less_tokens
from shared.feishu.usual import text_of, usual_click


class UnreadableCallback(ValueError):
    """The body is not JSON, or not one of the platform's shapes. The text quotes nothing from the body."""


class Encrypted(Value, frozen=True, kw_only=True):
    """A body whose content must be decrypted first: parse the plaintext again."""

    encrypt: str


class Challenge(Value, frozen=True, kw_only=True):
    """URL verification: the console wants `challenge` back. `token` is the Verification Token."""

    challenge: str
    token: str | None = None


class _Facts(Value, frozen=True, kw_only=True):
    """
    What a callback tells, each where its kind has it.

    Attributes:
        token: The Verification Token that the body carries.
        created: The platform's time as it was written: see `shared.feishu.normalize`.
        operator: Who clicked.
        card_token: The card's update token (``c-…``).
        app_ticket: What a store app gets its access tokens with; pushed every hour.
        text: The body less every token.
    """

    event_id: EventId | None = None
    token: str | None = None
    app_id: AppId | None = None
    tenant_key: TenantKey | None = None
    created: str | None = None
    operator: Operator = Operator()
    message_id: MessageId | None = None
    chat_id: ChatId | None = None
    host: str | None = None
    delivery_type: str | None = None
    url: str | None = None
    action: Action = Action()
    event_type: str | None = None
    card_token: str | None = None
    preview_token: str | None = None
    app_ticket: str | None = None
    text: JsonText


class CardAction(_Facts, frozen=True, kw_only=True):
    """Somebody used a card: ``card.action.trigger``."""

    kind: ClassVar[InteractionKind] = "card_action"


class LegacyCardAction(_Facts, frozen=True, kw_only=True):
    """Somebody used a card: the flat ``card.action.trigger_v1``, which has neither an id nor the app's id."""

    kind: ClassVar[InteractionKind] = "card_action_v1"


class LinkPreview(_Facts, frozen=True, kw_only=True):
    """A client wants to show a link: ``url.preview.get``. Without a message while the link is being typed."""

    kind: ClassVar[InteractionKind] = "link_preview"


class SubscribedEvent(_Facts, frozen=True, kw_only=True):
    """Something that the app subscribed to happened, in either envelope; `event_type` says what."""

    kind: ClassVar[InteractionKind] = "event"
    event_type: str


APP_TICKET: Final = "app_ticket"
"""The event that brings a store app its ticket."""

Interactive = CardAction | LegacyCardAction | LinkPreview | SubscribedEvent
"""Callbacks that are facts worth recording."""

Callback = Encrypted | Challenge | Interactive

_ENCRYPTED: Final = msgspec.json.Decoder(Encrypted)
_BEGINS_ENCRYPTED: Final = b'{"encrypt":'

_Id = TypeVar("_Id", bound=str)
_AtCard = TypeVar("_AtCard", CardAction, LinkPreview)


def parse(body: bytes) -> Callback:
    """
    Return what a body says.

    Args:
        body: The raw body, or the plaintext of an encrypted one.

    Raises:
        UnreadableCallback: Not UTF-8, not JSON, nested too deeply, or of no shape that the platform sends.
    """
    try:
        if (usual := _usual_encrypted(body) or _usual(body)) is not None:
            return usual
        if (root := members(utf8(body))) is not None:
            return _read(root)
    except UnreadableCallback:
        raise
    except TooDeep as error:
        raise UnreadableCallback("the body is nested too deeply") from error
    except ValueError as error:
        raise UnreadableCallback("the body is not JSON") from error
    raise UnreadableCallback("the body is not a JSON object")


def _usual_encrypted(body: bytes) -> Encrypted | None:
    """Return what `_read` would return, for a body in which nothing else comes first; ``None`` says nothing."""
    if not body.startswith(_BEGINS_ENCRYPTED):
        return None
    try:
        return _ENCRYPTED.decode(_strict(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _usual(body: bytes) -> CardAction | None:
    """Return what `_read` would return, for a click in which everything is as documents have it."""
    click = usual_click(body)
    if click is None:
        return None
    try:
        text = text_of(click, body) or less_tokens(members(_strict(body)) or {})
    except UnicodeDecodeError:
        return None
    header, event = click.header, click.event
    person, context = event.operator, event.context
    tenant_key = header.tenant_key or person.tenant_key
    return CardAction(
        event_id=EventId(header.event_id) if header.event_id else None,
        token=header.token or None,
        app_id=AppId(header.app_id) if header.app_id else None,
        tenant_key=TenantKey(tenant_key) if tenant_key else None,
        created=header.create_time,
        operator=person.operator(),
        message_id=MessageId(context.open_message_id) if context.open_message_id else None,
        chat_id=ChatId(context.open_chat_id) if context.open_chat_id else None,
        host=event.host,
        delivery_type=event.delivery_type,
        url=context.url,
        action=event.action.action(),
        card_token=event.token or None,
        preview_token=context.preview_token or None,
        text=text,
    )


def _strict(body: bytes) -> bytes:
    body.decode()
    return body


def _read(root: Members) -> Callback:
    if (encrypt := string(root.get("encrypt"))) is not None:
        return Encrypted(encrypt=encrypt)
    kind = string(root.get("type"))
    if kind == "url_verification":
        return _challenge(root)
    if "schema" in root or "header" in root:
        return _enveloped(root)
    if kind == "event_callback":
        return _first_version_event(root)
    if "action" in root:
        return _legacy(root)
    raise UnreadableCallback("the body has no shape of the platform's")


def _challenge(root: Members) -> Challenge:
    challenge = string(root.get("challenge"))
    if challenge is None:
        raise UnreadableCallback("url_verification without a challenge")
    return Challenge(challenge=challenge, token=_id(root, "token", str))


def _enveloped(root: Members) -> CardAction | LinkPreview | SubscribedEvent:
    header, event = _object(root, "header"), _object(root, "event")
    event_type = _id(header, "event_type", str)
    if event_type is None:
        # Also the flat object of some documents: an SDK's view of the envelope, never sent over the wire.
        raise UnreadableCallback("the envelope has no header with an event_type")
    text = less_tokens(root)
    match event_type:
        case "card.action.trigger":
            return _at_a_card(CardAction, header, event, text)
        case "url.preview.get":
            return _at_a_card(LinkPreview, header, event, text)
        case _:
            return SubscribedEvent(
                event_id=_id(header, "event_id", EventId),
                token=_id(header, "token", str),
                app_id=_id(header, "app_id", AppId),
                tenant_key=_id(header, "tenant_key", TenantKey),
                created=_time(header, "create_time"),
                event_type=event_type,
                app_ticket=_app_ticket(event, event_type),
                text=text,
            )


def _at_a_card(of: type[_AtCard], header: Members, event: Members, text: JsonText) -> _AtCard:
    context, operator = _object(event, "context"), _object(event, "operator")
    return of(
        event_id=_id(header, "event_id", EventId),
        token=_id(header, "token", str),
        app_id=_id(header, "app_id", AppId),
        tenant_key=_id(header, "tenant_key", TenantKey) or _id(operator, "tenant_key", TenantKey),
        created=_time(header, "create_time"),
        operator=_operator(operator),
        message_id=_id(context, "open_message_id", MessageId),
        chat_id=_id(context, "open_chat_id", ChatId),
        host=string(event.get("host")),
        delivery_type=string(event.get("delivery_type")),
        url=string(context.get("url")),
        action=_action(_object(event, "action")),
        card_token=_id(event, "token", str),
        preview_token=_id(context, "preview_token", str),
        text=text,
    )


def _first_version_event(root: Members) -> SubscribedEvent:
    event = _object(root, "event")
    event_type = _id(event, "type", str)
    if event_type is None:
        raise UnreadableCallback("event_callback without an event type")
    return SubscribedEvent(
        event_id=_id(root, "uuid", EventId),
        token=_id(root, "token", str),
        app_id=_id(event, "app_id", AppId),
        tenant_key=_id(event, "tenant_key", TenantKey),
        created=_time(root, "ts"),
        event_type=event_type,
        app_ticket=_app_ticket(event, event_type),
        text=less_tokens(root),
    )


def _legacy(root: Members) -> LegacyCardAction:
    return LegacyCardAction(
        tenant_key=_id(root, "tenant_key", TenantKey),
        operator=_operator(root),
        message_id=_id(root, "open_message_id", MessageId),
        chat_id=_id(root, "open_chat_id", ChatId),
        action=_action(_object(root, "action"), timezone=string(root.get("timezone"))),
        card_token=_id(root, "token", str),
        text=less_tokens(root),
    )


def _app_ticket(event: Members, event_type: str) -> str | None:
    return _id(event, "app_ticket", str) if event_type == APP_TICKET else None


def _operator(person: Members) -> Operator:
    return Operator(
        open_id=_id(person, "open_id", OpenId),
        user_id=_id(person, "user_id", str),
        union_id=_id(person, "union_id", str),
    )


def _action(action: Members, *, timezone: str | None = None) -> Action:
    return Action(
        tag=string(action.get("tag")),
        name=string(action.get("name")),
        value=_any_json(action, "value"),
        form_value=_any_json(action, "form_value"),
        input_value=string(action.get("input_value")),
        option=string(action.get("option")),
        options=strings(action.get("options")),
        checked=boolean(action.get("checked")),
        timezone=string(action.get("timezone")) or timezone,
    )


def _any_json(found: Members, name: str) -> JsonText | None:
    # The platform writes null for what is absent, so the two are one.
    text = found.get(name)
    return None if text is None or (value := exact(text)) == "null" else value


def _time(found: Members, name: str) -> str | None:
    # Documented as strings; a number would mean the same.
    text = found.get(name)
    return None if text is None else string(text) or exact(text)


def _object(found: Members, name: str) -> Members:
    text = found.get(name)
    return {} if text is None else members(text) or {}


def _id(found: Members, name: str, of: Callable[[str], _Id]) -> _Id | None:
    # An empty id is how some callbacks write an absent one (a link that is still being typed has no message).
    text = string(found.get(name))
    return of(text) if text else None
