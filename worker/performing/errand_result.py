"""What a call of a user's function came to, as it is stored: told, tried again, or given up (pure)."""

from collections.abc import Callable
from typing import Final

from shared.core.json_text import EpochMs
from worker.calling.came import Broke, Came
from worker.performing.job import Errand
from worker.performing.outcome import tell
from worker.performing.retry import HORIZON_MS, back_off_ms
from worker.performing.returning import brought
from worker.performing.turn import Result

UNKNOWN: Final = "unknown_call"
"""No handlers that this worker has register such a function: those of another version may."""


def errand_result(
    errand: Errand, came: Came | Broke | None, *, allowed: int, now: EpochMs, chance: Callable[[], float]
) -> Result:
    """
    Return what is stored of a call.

    Args:
        came: What it came to; ``None``: no function is registered under its name, and none was called.
        allowed: How often the function's author wants it to be tried.
        now: The ledger's time (ms).
        chance: Draws evenly from [0, 1).
    """
    match came:
        case Came(value=value):
            head, topics = errand.head, errand.turn.topics
            told = tell(head, "succeeded", now=now, topics=topics, attempts=_tried(errand))
            records = brought(head, errand.effect, now=now, topics=topics, value=value)
            return errand.turn.settled(now, (head, told), records=records)
        case Broke(reason=reason, text=text, is_final=is_final):
            attempts = _tried(errand)
            is_last = is_final or attempts >= allowed
            return _failed(errand, reason, text, attempts=attempts, is_last=is_last, now=now, chance=chance)
        case None:
            # A worker that is not upgraded yet uses up no attempt.
            text, attempts = f"no function is registered as {errand.effect.name}", errand.head.attempts
            return _failed(errand, UNKNOWN, text, attempts=attempts, is_last=False, now=now, chance=chance)


def _failed(
    errand: Errand,
    reason: str,
    text: str,
    *,
    attempts: int,
    is_last: bool,
    now: EpochMs,
    chance: Callable[[], float],
) -> Result:
    """Return that it is tried again by the usual formula, or that whoever asked is told why nothing comes."""
    head, topics = errand.head, errand.turn.topics
    retry_in_ms = back_off_ms(head.k + 1, chance)
    is_over = is_last or now + retry_in_ms > head.wanted_at + HORIZON_MS
    told = tell(
        head,
        "failed",
        now=now,
        topics=topics,
        retry_in_ms=None if is_over else retry_in_ms,
        attempts=attempts,
        reason=reason,
    )
    records = brought(head, errand.effect, now=now, topics=topics, error=text) if is_over else []
    return errand.turn.settled(now, (head, told), records=records)


def _tried(errand: Errand) -> int:
    return errand.head.attempts + 1
