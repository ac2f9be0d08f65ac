"""
The flat object that some documents print instead of the envelope. Source: docs/reference/platform.md, "Card callbacks".

Header and event are one object in it, so that its ``token`` is the card's: nothing in it could prove where it comes
from. It may stand only where the sender is known already, which is on the long connection and in tests.
"""

from typing import Final

import msgspec

from shared.feishu.members import Members, joined, members, utf8

_HEADER: Final = ("event_id", "create_time", "event_type", "tenant_key", "app_id")


def enveloped(body: bytes) -> bytes:
    """Return a flat body with its members where the envelope has them; any other body as it is."""
    try:
        root = members(utf8(body))
    except ValueError:
        return body
    if root is None or "schema" not in root or "event_type" not in root or {"header", "event"} & root.keys():
        return body
    header = {name: text for name, text in root.items() if name in _HEADER}
    event = {name: text for name, text in root.items() if name not in {*_HEADER, "schema"}}
    return joined({"schema": root["schema"], "header": _raw(header), "event": _raw(event)}).encode()


def _raw(found: Members) -> msgspec.Raw:
    return msgspec.Raw(joined(found).encode())
