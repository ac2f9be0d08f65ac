"""
When what a caller was newly allowed counts at a gateway: once every worker has had the time to read of it (pure).

Gateway and worker read the file of callers each on its own clock. A request that a worker does not know of is decided
for good, and its id is used up; so a gateway that learned of a right first keeps it back for a while. What is taken
away counts at once, and so does the file that a process starts with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from shared.core.callers import Caller, Callers
from shared.core.effects import Requestable
from shared.core.ids import AppId

Right = tuple[str, Literal["app", "effect"], str]
"""A caller's name, and an app in whose name it may ask, or an effect that it may ask for."""

LONG_KNOWN: Final = float("-inf")
"""Since when the rights are known that were there at start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """
    Callers, and since when each of their rights is known.

    Attributes:
        since: For each right, when it was read first (seconds of a clock that never goes back).
    """

    callers: Callers
    since: Mapping[Right, float] = field(default_factory=dict)

    @classmethod
    def from_start(cls, callers: Callers) -> "Settling":
        """Return callers whose rights all count."""
        return cls(callers=callers, since=dict.fromkeys(_rights(callers), LONG_KNOWN))

    def then(self, callers: Callers, *, at: float) -> "Settling":
        """Return what is known once these callers were read at this time; a right that was away is new again."""
        return Settling(callers=callers, since={right: self.since.get(right, at) for right in _rights(callers)})

    def newest(self, caller: Caller, app_id: AppId, effects: Iterable[Requestable]) -> float:
        """Return since when the newest of the rights is known that a request needs."""
        needed: list[Right] = [(caller.name, "app", app_id)]
        needed += [(caller.name, "effect", type(effect).__name__) for effect in effects]
        return max(self.since.get(right, LONG_KNOWN) for right in needed)


def _rights(callers: Callers) -> Iterable[Right]:
    for name, caller in callers.by_name.items():
        yield from ((name, "app", app) for app in caller.apps)
        yield from ((name, "effect", effect) for effect in caller.effects)
