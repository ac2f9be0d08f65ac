"""
Frequency limits, counted as the platform counts them: by calendar windows.

A call counts when it arrives, also one that is refused for its number. Source: docs/reference/platform.md,
"Rate limits".
"""

from dataclasses import dataclass
from typing import Final

from shared.core.json_text import EpochMs

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceeded:
    """
    A window is full.

    Attributes:
        quota: How many calls the window allows.
        wait_s: Seconds until the next window begins, at least 1.
    """

    quota: int
    wait_s: int


class Windows:
    """Counters of one limit, one for each key, over calendar windows of one length."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._counts: dict[object, list[int]] = {}

    def count(self, key: object, quota: float, *, now: EpochMs) -> Exceeded | None:
        """Count one call; return what it exceeds, if anything. An infinite quota is no limit."""
        window = now // self._length_ms
        counter = self._counts.get(key)
        if counter is None or counter[0] != window:
            self._counts[key] = counter = [window, 0]
        counter[1] += 1
        if counter[1] <= quota:
            return None
        left_ms = (window + 1) * self._length_ms - now
        return Exceeded(quota=int(quota), wait_s=max(1, -(-left_ms // 1000)))
