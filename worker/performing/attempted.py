"""A call that was made, and what is told of it however it ended (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.core.effects import UpdateChat
from shared.core.events import CARD, EVERYBODY, NAME
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import NewRecord
from worker.ledger.leased import FaceRow
from worker.performing.job import Job
from worker.performing.returning import brought
from worker.platform.performed import Done, Failure, Found, FoundEntity, Unsure
from worker.policy import Go


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    A call that was made: what it came to, and when (ms, ledger's clock).

    Attributes:
        pace_ms: How long its target is left alone from now on.
    """

    job: Job
    performed: Done | Found | FoundEntity | Failure
    started_at: EpochMs
    now: EpochMs
    pace_ms: int


def told_means(job: Job, outran: FaceRow | None = None) -> dict[str, Any]:
    """Return what is told of how it was done: the way of a card, the sequence of an operation."""
    way = job.means.way
    told: dict[str, Any] = {} if way is None else {"way": way.by, "because": way.because}
    if job.begun is not None and job.begun.sequence is not None:
        told["sequence"] = outran.sequence if outran is not None else job.begun.sequence
    return told


def uses_left(job: Job, *, refunded: bool = False) -> int | None:
    """Return what is left of the right that the call used."""
    left = job.begun.uses_left if job.begun is not None else None
    return None if left is None else left + refunded


def may_have_happened(attempt: Attempt) -> bool:
    """Say whether nobody knows if the platform did it."""
    return isinstance(attempt.performed, Unsure) and isinstance(attempt.job.ruling, Go)


def is_state(job: Job) -> bool:
    """Say whether an effect is what its target shows to all from then on: a card, or a chat's name, among others."""
    if isinstance(job.effect, UpdateChat):
        return job.effect.name is not None
    return job.head.audience == EVERYBODY and job.head.coalesce in {CARD, NAME}


def handed_back(attempt: Attempt, *, value: JsonText | None = None, error: str | None = None) -> Sequence[NewRecord]:
    """Return the record by which an effect comes back to its handler, if it is one that does."""
    job = attempt.job
    return brought(job.head, job.effect, now=attempt.now, topics=job.turn.topics, value=value, error=error)
