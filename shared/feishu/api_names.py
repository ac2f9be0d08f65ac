"""
What limits count a call as: an API that we call ourselves by its name, any other by one of a few shares of the rest.

Nothing of a path that somebody else wrote down is in a name: names are rows of the ledger, and labels of metrics.
"""

import hashlib
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

_KNOWN: Final = frozenset(NAMES.values())


OTHER: Final = "other"
"""What every other API is shown as."""

SHARES: Final = 64
"""So many budgets all other APIs have together."""

_COLLECTION: Final = 5
"""Parts of a path that say which things are meant: an empty one, ``open-apis``, the service, its version, what kind."""


def api_of(method: Method, path: str) -> str:
    """
    Return what limits count a call as.

    Other APIs on the same kind of things share a budget, also where the platform has one for each: whatever ids
    look like, one API never has two.
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
    meant = [":id" if _IS_ID.fullmatch(part) else part for part in parts[:_COLLECTION]]
    digest = hashlib.sha256(f"{method} {'/'.join(meant)}".encode()).digest()
    return f"{OTHER}/{int.from_bytes(digest[:4]) % SHARES}"


def shown_api(api: str) -> str:
    """Return an API's name as a metric or a line may have it: of a closed list."""
    return api if api in _KNOWN else OTHER


def _is(wanted: str, part: str) -> bool:
    return wanted in {part, ":id"}
