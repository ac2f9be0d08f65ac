"""What limits count a call as: an API that we call ourselves by its name, any other by its method and path."""

import re
from collections.abc import Mapping
from typing import Final

from shared.core.effects.returning import Method
from shared.feishu.limits import PREVIEW_REFRESHES

_IS_ID: Final = re.compile(r"(?:om|oc|ou|on|cli)_.+|(?!v[0-9]+$).*[0-9].*")
"""A part of a path that stands for one thing and not for a kind of things: all but versions have no digits."""

_CARDS: Final = "/open-apis/cardkit/v1/cards"

NAMES: Final[Mapping[tuple[Method, str], str]] = {
    ("POST", "/open-apis/im/v1/messages"): "im.v1.message.create",
    ("POST", "/open-apis/im/v1/messages/:id/reply"): "im.v1.message.reply",
    ("PATCH", "/open-apis/im/v1/messages/:id"): "im.v1.message.patch",
    ("GET", "/open-apis/im/v1/messages/:id"): "im.v1.message.get",
    ("PUT", "/open-apis/im/v1/chats/:id"): "im.v1.chat.update",
    ("GET", "/open-apis/im/v1/chats/:id"): "im.v1.chat.get",
    ("POST", "/open-apis/interactive/v1/card/update"): "interactive.v1.card.update",
    ("POST", "/open-apis/ephemeral/v1/send"): "ephemeral.v1.send",
    ("POST", "/open-apis/ephemeral/v1/delete"): "ephemeral.v1.delete",
    ("POST", "/open-apis/im/v2/url_previews/batch_update"): PREVIEW_REFRESHES,
    ("POST", _CARDS): "cardkit.v1.card.create",
    ("POST", f"{_CARDS}/id_convert"): "cardkit.v1.card.id_convert",
    ("PUT", f"{_CARDS}/:id"): "cardkit.v1.card.update",
    ("PATCH", f"{_CARDS}/:id/settings"): "cardkit.v1.card.settings",
    ("POST", f"{_CARDS}/:id/batch_update"): "cardkit.v1.card.batch_update",
    ("POST", f"{_CARDS}/:id/elements"): "cardkit.v1.card_element.create",
    ("PUT", f"{_CARDS}/:id/elements/:id"): "cardkit.v1.card_element.update",
    ("PATCH", f"{_CARDS}/:id/elements/:id"): "cardkit.v1.card_element.patch",
    ("DELETE", f"{_CARDS}/:id/elements/:id"): "cardkit.v1.card_element.delete",
    ("PUT", f"{_CARDS}/:id/elements/:id/content"): "cardkit.v1.card_element.content",
}
"""The APIs that have a name of their own here, by their documented paths (docs/reference/platform.md)."""


def api_of(method: Method, path: str) -> str:
    """
    Return what limits count a call as.

    An id with no digit and none of the platform's prefixes is taken for a part of the path: then its calls are counted
    by themselves, and the platform may say that there were too many, which is obeyed.
    """
    exact = NAMES.get((method, path))
    if exact is not None:
        return exact
    parts = path.split("/")
    for (known, pattern), name in NAMES.items():
        wanted = pattern.split("/")
        if (
            known == method
            and len(wanted) == len(parts)
            and all(_is(*each) for each in zip(wanted, parts, strict=True))
        ):
            return name
    return f"{method} {'/'.join(':id' if _IS_ID.fullmatch(part) else part for part in parts)}"


def _is(wanted: str, part: str) -> bool:
    return wanted in {part, ":id"}
