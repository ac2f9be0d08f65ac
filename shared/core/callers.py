"""Who may ask for what: the callers of requests, told from each other by tokens (pure)."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.core.effects import Requestable
from shared.core.ids import AppId


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """
    A program that may send requests.

    Attributes:
        apps: In whose name it may ask.
        effects: Names of what it may ask for.
        digests: SHA-256 of each of its tokens; where requests are only decided, none.
    """

    name: str
    apps: frozenset[AppId]
    effects: frozenset[str]
    digests: tuple[bytes, ...] = field(default=(), repr=False)

    def refusal(self, app_id: AppId, effects: Iterable[Requestable]) -> str | None:
        """Return why it may not ask for this, in a few words; ``None`` if it may."""
        if app_id not in self.apps:
            return f"the caller {self.name} may not ask in the name of app {app_id}"
        for name in (type(effect).__name__ for effect in effects):
            if name not in self.effects:
                return f"the caller {self.name} may not ask for {name}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """All callers."""

    by_name: Mapping[str, Caller] = field(default_factory=dict)

    def who(self, token: str) -> Caller | None:
        """Return whose token this is."""
        given = digest(token)
        # All are compared, each in constant time, so that the time taken tells nothing.
        found = [
            caller for caller in self.by_name.values() for known in caller.digests if hmac.compare_digest(known, given)
        ]
        return found[0] if found else None


NOBODY: Final = Callers()
"""Where no caller is known."""


def digest(token: str) -> bytes:
    """Return what a token is known by."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
