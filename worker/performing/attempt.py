"""One call, and what is told of it however it ends. Never raises for what the platform does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from shared.clock import Clock
from shared.core.effects import UpdateChat
from shared.core.events import CARD, EVERYBODY, NAME
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import NewRecord
from worker.ledger.port import FaceRow
from worker.performing.job import Job
from worker.performing.perform import find_chat, find_entity, perform
from worker.performing.returning import brought
from worker.platform.client import Platform
from worker.platform.performed import Done, Failure, Found, FoundEntity, Unsure
from worker.policy import FindChat, FindEntity, Go


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


async def attempt(job: Job, platform: Platform, clock: Clock, *, started_at: EpochMs, pace_ms: int) -> Attempt:
    """
    Make a job's call.

    Args:
        clock: Says how long it takes.
        started_at: The ledger's time now (ms).
        pace_ms: How far apart the starts of calls to this target are.
    """
    began = clock.monotonic()
    performed: Done | Found | FoundEntity | Failure
    match job.ruling:
        case Go():
            performed = await perform(platform, job.effect, job.head, job.means)
        case FindEntity(message_id=message_id):
            performed = await find_entity(platform, job.head.app_id, job.head.tenant_key, message_id)
        case FindChat(message_id=message_id):
            performed = await find_chat(platform, job.head.app_id, job.head.tenant_key, message_id)
        case _ as unreachable:
            assert_never(unreachable)
    took_ms = round((clock.monotonic() - began) * 1000)
    return Attempt(
        job=job,
        performed=performed,
        started_at=started_at,
        now=started_at + took_ms,
        pace_ms=max(0, pace_ms - took_ms),
    )


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
