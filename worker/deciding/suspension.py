"""
When a handler that misses its deadline again and again is left alone for a while (pure).

A miss costs the other cards two seconds, and a thread that may never come back; more than eight of those end the
process. Three misses in a row say that the handler hangs. But where only some clicks hang, healthy ones come between,
and there never are three in a row: so five within a minute count alike, whatever came between. That is ten seconds of
a minute lost, and fewer threads than end a process. A share of the calls would say less: one click in a hundred that
hangs stops a busy worker for good, and one in two does no harm to an idle one. What counts is the time that is lost.
"""

from dataclasses import replace
from typing import Final

from shared.core.json_text import EpochMs
from worker.ledger.decided import Suspension

MISSES: Final = 3
"""In a row."""

RECENT: Final = 5
"""Within `WINDOW_MS`, whatever came between."""

WINDOW_MS: Final = 60_000
FIRST_PAUSE_MS: Final = 60_000
LONGEST_PAUSE_MS: Final = 600_000


def is_suspended(standing: Suspension | None, now: EpochMs) -> bool:
    """Say whether the handler may not be called now."""
    return standing is not None and now < standing.until


def after_miss(standing: Suspension, now: EpochMs) -> Suspension:
    """
    Return the standing after a missed deadline.

    The third miss in a row, or the fifth within a minute, suspends for 60 s. The first call afterwards is a trial: if
    it misses too, the next suspension is twice as long, up to 10 min.
    """
    is_recent = standing.since <= now < standing.since + WINDOW_MS
    missed = replace(
        standing,
        misses=standing.misses + 1,
        recent=standing.recent + 1 if is_recent else 1,
        since=standing.since if is_recent else now,
    )
    if missed.misses < MISSES and missed.recent < RECENT and not standing.pause_ms:
        return missed
    pause = min(standing.pause_ms * 2 or FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
    return replace(missed, until=now + pause, pause_ms=pause, recent=0, since=0)


def after_success(standing: Suspension) -> Suspension:
    """Return the standing after a call that came back in time: no row of misses; after a trial, none at all."""
    return Suspension(
        app_id=standing.app_id,
        handler=standing.handler,
        recent=0 if standing.pause_ms else standing.recent,
        since=0 if standing.pause_ms else standing.since,
    )
