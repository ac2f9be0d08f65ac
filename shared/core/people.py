"""Who did something, as one app sees them."""

import msgspec

from shared.core.ids import OpenId


class Operator(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who clicked. ``user_id`` only where the app may see it."""

    open_id: OpenId | None = None
    user_id: str | None = None
    union_id: str | None = None
