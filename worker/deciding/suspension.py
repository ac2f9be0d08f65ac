"""When a handler that misses its deadline again and again is left alone for a while (pure)."""

from dataclasses import replace
from typing import Final

from shared.core.json_text import EpochMs
from worker.ledger.port import Suspension

MISSES: Final = 3
FIRST_PAUSE_MS: Final = 60_000
LONGEST_PAUSE_MS: Final = 600_000


def is_suspended(standing: Suspension | None, now: EpochMs) -> bool:
    """Say whether the handler may not be called now."""
    return standing is not None and now < standing.until


def after_miss(standing: Suspension, now: EpochMs) -> Suspension:
    """
    Return the standing after a missed deadline.

    The third miss in a row suspends for 60 s. The first call afterwards is a trial: if it misses too, the next
    suspension is twice as long, up to 10 min.
    """
    misses = standing.misses + 1
    if misses < MISSES:
        return replace(standing, misses=misses)
    pause = min(standing.pause_ms * 2 or FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
    return replace(standing, misses=misses, until=now + pause, pause_ms=pause)


def after_success(standing: Suspension) -> Suspension:
    """Return the standing after a call that came back in time: a clean slate."""
    return Suspension(handler=standing.handler)
