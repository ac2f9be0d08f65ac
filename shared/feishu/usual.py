"""
The usual click, read at one go.

Nearly every callback is a ``card.action.trigger`` in which every member is of the type that the platform's documents
give it. Such a body is taken apart in one step. Of any other nothing is judged here: `shared.feishu.callback` reads it
member by member, and would read the usual one alike (tests/property/feishu/test_usual.py), in three times the time.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.core.events import Action, Operator
from shared.core.ids import OpenId
from shared.core.json_text import JsonText
from shared.feishu.members import exact

_NULL: Final = Raw(b"null")


class _Part(msgspec.Struct, frozen=True):
    def __repr__(self) -> str:
        return type(self).__name__  # tokens are among what it holds, and what people typed


class Header(_Part, frozen=True):
    """Who sent it, and what it is."""

    event_type: Literal["card.action.trigger"]
    create_time: str
    event_id: str | None = None
    token: str | None = None
    tenant_key: str | None = None
    app_id: str | None = None
    app_ticket: UnsetType = UNSET


class Person(_Part, frozen=True):
    """Who clicked."""

    tenant_key: str | None = None
    open_id: str | None = None
    user_id: str | None = None
    union_id: str | None = None

    def operator(self) -> Operator:
        """Return the one that is recorded."""
        return Operator(
            open_id=OpenId(self.open_id) if self.open_id else None,
            user_id=self.user_id or None,
            union_id=self.union_id or None,
        )


class Control(_Part, frozen=True):
    """What was clicked."""

    tag: str | None = None
    name: str | None = None
    value: Raw = _NULL
    form_value: Raw = _NULL
    input_value: str | None = None
    option: str | None = None
    options: tuple[str, ...] | None = None
    checked: bool | None = None
    timezone: str | None = None

    def action(self) -> Action:
        """Return what is recorded."""
        return Action(
            tag=self.tag,
            name=self.name,
            value=_any_json(self.value),
            form_value=_any_json(self.form_value),
            input_value=self.input_value,
            option=self.option,
            options=self.options,
            checked=self.checked,
            timezone=self.timezone or None,
        )


class Context(_Part, frozen=True):
    """Where it was clicked."""

    open_message_id: str | None = None
    open_chat_id: str | None = None
    url: str | None = None
    preview_token: str | None = None
    app_ticket: UnsetType = UNSET


class Event(_Part, frozen=True):
    """The click itself."""

    operator: Person
    action: Control
    context: Context
    token: str | None = None
    host: str | None = None
    delivery_type: str | None = None
    app_ticket: UnsetType = UNSET


class Click(_Part, frozen=True):
    """A whole body. The members that would make it something else are not there."""

    header: Header
    event: Event
    encrypt: UnsetType = UNSET
    type: UnsetType = UNSET
    app_ticket: UnsetType = UNSET


_DECODER: Final = msgspec.json.Decoder(Click)


def text_of(click: Click, body: bytes) -> JsonText | None:
    """
    Return the body of a click without its tokens, every other byte as it came; ``None`` where that takes more care.

    Without a backslash every quote is one of JSON's own, so what looks like a member is one. A member that was taken
    for a token and was none leaves the token behind, and then nothing is returned.

    Args:
        click: What `usual_click` returned for ``body``.

    Raises:
        UnicodeDecodeError: The body is not strict UTF-8.
    """
    if b"\\" in body:
        return None
    context = click.event.context
    for name, value in (
        ("token", click.header.token),
        ("token", click.event.token),
        ("preview_token", context.preview_token),
    ):
        if value is not None:
            member = f'"{name}":"{value}"'.encode()
            less = body.replace(member + b",", b"", 1)
            body = less if less is not body else body.replace(b"," + member, b"", 1)
    return None if b'token"' in body else JsonText(body.decode())


def usual_click(body: bytes) -> Click | None:
    """
    Return a click that is as documents have it; ``None`` says nothing about the body.

    Of what is in its `Raw` members nobody knows whether it is UTF-8.
    """
    if b'"header"' not in body:
        return None
    try:
        click = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return click if click.header.create_time else None


def _any_json(text: Raw) -> JsonText | None:
    return None if (value := exact(text)) == "null" else value
