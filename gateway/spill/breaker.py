"""
When the log is left alone, and when it is asked again. Pure: the time is passed in.

Closed, records go to the log. One failure opens it: a log that was away for one group is away for the next, and each
would wait as long to find out. Open, it says how long to wait before the next attempt; only who has drained the spill
closes it again.
"""

from dataclasses import dataclass
from typing import Final

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 1.0
"""A broker that is back is noticed within this and the second that an attempt may take."""


@dataclass(slots=True, kw_only=True)
class Breaker:
    """
    The state of one gateway's way to its log.

    Attributes:
        opened_at: Since when it is open, by a monotonic clock (s); ``None`` while closed.
        failures: Attempts in a row that failed since it opened.
    """

    opened_at: float | None = None
    failures: int = 0

    @property
    def is_open(self) -> bool:
        """Whether records are kept from the log."""
        return self.opened_at is not None

    @property
    def pause_s(self) -> float:
        """How long to wait before the next attempt (s): twice as long after each failure."""
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failures, 10))

    def trip(self, now: float) -> None:
        """Take note that the log did not take a group. Open already, it stays as it is."""
        if self.opened_at is None:
            self.opened_at = now
            self.failures = 0

    def failed(self) -> None:
        """Take note of an attempt that failed."""
        self.failures += 1

    def got_through(self) -> None:
        """Take note that the log took something: the next attempt may follow at once."""
        self.failures = 0

    def close(self, now: float) -> float:
        """Let records go to the log again; return for how long they did not (s)."""
        opened_at, self.opened_at, self.failures = self.opened_at, None, 0
        return 0.0 if opened_at is None else now - opened_at
