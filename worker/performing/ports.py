"""What all parts of performing work with."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.clock import Clock
from worker.alarm import Alarm
from worker.ledger.port import PerformingLedger
from worker.meter import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Performing:
    """
    The ledger and its time, who works on it, and who is told.

    Attributes:
        owner: By which name targets are leased.
        clock: This process's; `alarm` knows what the ledger's shows, and when to look next.
        chance: Draws evenly from [0, 1).
    """

    ledger: PerformingLedger
    owner: str
    clock: Clock
    alarm: Alarm
    meter: Meter
    chance: Callable[[], float]
