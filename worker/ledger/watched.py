"""How the ledger is doing: the value of `WatchedLedger.pulse`."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.json_text import EpochMs
from worker.ledger.decided import HandlerKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """
    How the ledger is doing.

    Attributes:
        next_due: When the next target is due that is free, or will be when its lease ends; long past: nobody takes it.
        tried_since: Since when the longest waiting effect is wanted that was tried in vain, and is tried again soon
            (ms): when it was decided, or its answered mark seen. Each failure puts off what is due, but not this.
        suspended: Handlers that are not called at the moment.
    """

    now: EpochMs
    next_due: EpochMs | None = None
    tried_since: EpochMs | None = None
    suspended: Sequence[HandlerKey] = ()
