"""Which API a call asks for, by its method and path."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.feishu.limits import PREVIEW_REFRESHES
from simulator.apis import cardkit, chats, delayed, ephemeral, messages, previews, tokens
from simulator.apis.calling import Calling
from simulator.refusals import NOT_FOUND, Refused

Perform = Callable[[Calling], Mapping[str, Any]]
"""Does what a call asks for and returns the body of the answer; raises `Refused`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """
    One API.

    Attributes:
        name: By which it is counted (``im.v1.message.patch``).
        is_public: It is called without a token.
    """

    name: str
    perform: Perform
    is_public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An API, and what the path holds."""

    api: Api
    inside: Mapping[str, str] = field(default_factory=dict)


def route(method: str, path: str) -> Route:
    """Return whose path this is; one that is none of ours belongs to an API that refuses."""
    exact = _EXACT.get((method, path))
    if exact is not None:
        return Route(api=exact)
    parts = path.split("/")
    for api, pattern in _OPEN.get((method, len(parts)), ()):
        if all(wanted == part or wanted.startswith(":") for wanted, part in zip(pattern, parts, strict=True)):
            inside = {wanted[1:]: part for wanted, part in zip(pattern, parts, strict=True) if wanted.startswith(":")}
            return Route(api=api, inside=inside)
    return Route(api=_UNKNOWN)


def _no_such_api(_: Calling) -> Mapping[str, Any]:
    raise Refused(NOT_FOUND)


_UNKNOWN: Final = Api(name="unknown", perform=_no_such_api, is_public=True)

_APIS: Final[tuple[tuple[str, str, str, Perform], ...]] = (
    ("POST", "im/v1/messages", "im.v1.message.create", messages.create_message),
    ("POST", "im/v1/messages/:message_id/reply", "im.v1.message.reply", messages.reply_message),
    ("PATCH", "im/v1/messages/:message_id", "im.v1.message.patch", messages.patch_message),
    ("GET", "im/v1/messages/:message_id", "im.v1.message.get", messages.get_message),
    ("PUT", "im/v1/chats/:chat_id", "im.v1.chat.update", chats.update_chat),
    ("GET", "im/v1/chats/:chat_id", "im.v1.chat.get", chats.get_chat),
    ("POST", "interactive/v1/card/update", "interactive.v1.card.update", delayed.update_card_by_token),
    ("POST", "ephemeral/v1/send", "ephemeral.v1.send", ephemeral.send_ephemeral),
    ("POST", "ephemeral/v1/delete", "ephemeral.v1.delete", ephemeral.delete_ephemeral),
    ("POST", "im/v2/url_previews/batch_update", PREVIEW_REFRESHES, previews.refresh_previews),
    ("POST", "cardkit/v1/cards", "cardkit.v1.card.create", cardkit.create_card),
    ("POST", "cardkit/v1/cards/id_convert", "cardkit.v1.card.id_convert", cardkit.convert_id),
    ("PUT", "cardkit/v1/cards/:card_id", "cardkit.v1.card.update", cardkit.update_card),
    ("PATCH", "cardkit/v1/cards/:card_id/settings", "cardkit.v1.card.settings", cardkit.update_settings),
    ("POST", "cardkit/v1/cards/:card_id/batch_update", "cardkit.v1.card.batch_update", cardkit.batch_update),
    ("POST", "cardkit/v1/cards/:card_id/elements", "cardkit.v1.card_element.create", cardkit.create_elements),
    ("PUT", "cardkit/v1/cards/:card_id/elements/:element_id", "cardkit.v1.card_element.update", cardkit.update_element),
    ("PATCH", "cardkit/v1/cards/:card_id/elements/:element_id", "cardkit.v1.card_element.patch", cardkit.patch_element),
    (
        "DELETE",
        "cardkit/v1/cards/:card_id/elements/:element_id",
        "cardkit.v1.card_element.delete",
        cardkit.delete_element,
    ),
    (
        "PUT",
        "cardkit/v1/cards/:card_id/elements/:element_id/content",
        "cardkit.v1.card_element.content",
        cardkit.stream_text,
    ),
)

_PUBLIC: Final[tuple[tuple[str, str, Perform], ...]] = (
    ("tenant_access_token/internal", "auth.v3.tenant_access_token.internal", tokens.tenant_access_token_internal),
    ("app_access_token/internal", "auth.v3.app_access_token.internal", tokens.app_access_token_internal),
    ("app_access_token", "auth.v3.app_access_token", tokens.app_access_token),
    ("tenant_access_token", "auth.v3.tenant_access_token", tokens.tenant_access_token),
    ("app_ticket/resend", "auth.v3.app_ticket.resend", tokens.resend_app_ticket),
)


def _exact() -> dict[tuple[str, str], Api]:
    found = {
        (method, f"/open-apis/{path}"): Api(name=name, perform=perform)
        for method, path, name, perform in _APIS
        if ":" not in path
    }
    for path, name, perform in _PUBLIC:
        found["POST", f"/open-apis/auth/v3/{path}"] = Api(name=name, perform=perform, is_public=True)
    return found


def _open() -> dict[tuple[str, int], list[tuple[Api, list[str]]]]:
    found: dict[tuple[str, int], list[tuple[Api, list[str]]]] = {}
    for method, path, name, perform in _APIS:
        pattern = f"/open-apis/{path}".split("/")
        if ":" in path:
            found.setdefault((method, len(pattern)), []).append((Api(name=name, perform=perform), pattern))
    return found


_EXACT: Final = _exact()
_OPEN: Final = _open()
