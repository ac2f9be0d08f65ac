"""The platform's own time: it can be moved ahead of the machine's, so that cards and tokens age at once."""

from shared.clock import Clock, ManualClock
from shared.core.json_text import EpochMs


class PlatformClock:
    """
    The time that stamps messages and callbacks and ages cards and tokens.

    It is the machine's time plus what it was moved by. Signed timestamps stay on the machine's time, because a
    receiver compares them with its own clock. Where a whole system shares one `ManualClock`, moving the platform
    moves that one, so that everybody sees the same time.
    """

    def __init__(self, base: Clock) -> None:
        self.base = base
        self._ahead_ms = 0

    def now(self) -> EpochMs:
        """Return the platform's time (ms since the epoch)."""
        return self.base.now() + self._ahead_ms

    def wall(self) -> EpochMs:
        """Return the machine's time (ms since the epoch)."""
        return self.base.now()

    def advance(self, seconds: float) -> None:
        """Move the platform's time on."""
        if isinstance(self.base, ManualClock):
            self.base.advance(seconds)
        else:
            self._ahead_ms += round(seconds * 1000)
