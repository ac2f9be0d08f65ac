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

SILENT_S: Final = 4.0
"""How long a log may give nothing before it is asked whether it is there: twice, for one answer may just be late."""

STEADY_S: Final = 3.0
"""How long it goes on before an outage is told to be over: what stumbles as it comes back had one outage, not two."""

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
        self._doubted = False
        self._told: Literal["log", "ledger"] | None = None
        self._steady_since: float | None = None
        self.waiting_for: Literal["log", "ledger"] | None = None

    async def wait(self, what: Literal["log", "ledger"], error: Exception) -> None:
        """Wait a moment for what is away."""
        self._begin(what, error)
        await self._clock.sleep(AWAY_S)

    def went_on(self) -> None:
        """Note that what was asked has answered."""
        self.progress = self._clock.monotonic()
        self.waiting_for = None
        self._doubted = False
        if self._told is None:
            return
        if self._steady_since is None:
            self._steady_since = self.progress
        if self.progress - self._steady_since >= STEADY_S:
            log.info("consuming_resumed", waited_for=self._told)
            self._told = None

    async def heard(self, polled: Polled) -> None:
        """Note what the log gave; where that is nothing for a while, or it was away, ask whether it is there."""
        now = self._clock.monotonic()
        if any(polled.records.values()) or polled.assigned:
            self._asked = now
        elif self.waiting_for or self._doubted or now - self._asked >= SILENT_S:
            self._asked = now
            if not await self._log.ready():
                self._doubt()
                return
        self.went_on()

    def _doubt(self) -> None:
        if self.waiting_for or self._doubted:
            self._begin("log", LogUnavailable(SILENT))
        self._doubted = True

    def _begin(self, what: Literal["log", "ledger"], error: Exception) -> None:
        self.waiting_for, self._steady_since = what, None
        if self._told is None:
            log.warning("consuming_paused", waiting_for=what, error=type(error).__name__, reason=str(error))
            self._told = what
