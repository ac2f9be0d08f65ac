"""
Whether deciding waits for the log or the ledger: told once when the wait begins, and once when it is over.

A log that is away does not always say so: a consumer of Kafka goes on asking its brokers, and what it gives meanwhile
looks like a day on which nobody clicks. So a log that has been silent for a while is asked whether it is there.
"""

from typing import Final, Literal

import structlog

from shared.clock import Clock
from shared.core.errors import LogUnavailable
from shared.eventlog.port import EventLog, Polled

AWAY_S: Final = 0.5
"""How long to wait before asking an absent ledger or log again."""

SILENT_S: Final = 5.0
"""How long a log may give nothing before it is asked whether it is there."""

SILENT: Final = "it gives no records and takes none: its brokers, or the room on its disk, are away"

log = structlog.get_logger("cardwire.worker")


class Pausing:
    """
    What deciding waits for.

    Attributes:
        waiting_for: The log, the ledger, or neither.
        progress: When it last went on (monotonic, s).
    """

    def __init__(self, event_log: EventLog, clock: Clock) -> None:
        self._log, self._clock = event_log, clock
        self._asked = self.progress = clock.monotonic()
        self.waiting_for: Literal["log", "ledger"] | None = None

    async def wait(self, what: Literal["log", "ledger"], error: Exception) -> None:
        """Wait a moment for what is away."""
        self._begin(what, error)
        await self._clock.sleep(AWAY_S)

    def went_on(self) -> None:
        """Note that what was asked has answered."""
        self.progress = self._clock.monotonic()
        if self.waiting_for is not None:
            log.info("consuming_resumed", waited_for=self.waiting_for)
        self.waiting_for = None

    async def heard(self, polled: Polled) -> None:
        """Note what the log gave; where that is nothing for a while, or it was away, ask whether it is there."""
        now = self._clock.monotonic()
        if any(polled.records.values()) or polled.assigned:
            self._asked = now
        elif self.waiting_for or now - self._asked >= SILENT_S:
            self._asked = now
            if not await self._log.ready():
                self._begin("log", LogUnavailable(SILENT))
                return
        self.went_on()

    def _begin(self, what: Literal["log", "ledger"], error: Exception) -> None:
        if self.waiting_for is None:
            log.warning("consuming_paused", waiting_for=what, error=type(error).__name__, reason=str(error))
        self.waiting_for = what
