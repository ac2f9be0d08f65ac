"""
Taking the tokens out of a body.

The rest of a callback is kept so that fields can be derived later; whoever may read the log must not find the
Verification Token, a card's update token, a preview token or an app ticket there.
"""

from typing import Final

import msgspec

from shared.core.json_text import JsonText
from shared.feishu.members import Members, members, written

TOKENS: Final = frozenset({"token", "preview_token", "app_ticket"})
"""Members that hold a credential wherever the platform puts them: top level, header, event, context."""


def less_tokens(root: Members) -> JsonText:
    """Return a body without its tokens; every other member exactly as it came, of doubled ones the last."""
    return JsonText(_less(root, ("header", "event")).decode())


def _less(found: Members, places: tuple[str, ...]) -> bytes:
    kept = found.copy()
    for name in TOKENS:
        kept.pop(name, None)
    for place in places:
        inner = members(kept[place]) if place in kept else None
        if inner is not None:
            kept[place] = msgspec.Raw(_less(inner, ("context",) if place == "event" else ()))
    return written(kept)
