"""One call. Never raises for what the platform does."""

from typing import assert_never

from shared.clock import Clock
from shared.core.json_text import EpochMs
from worker.performing.attempted import Attempt
from worker.performing.job import Job
from worker.performing.perform import find_chat, find_entity, perform
from worker.platform.client import Platform
from worker.platform.performed import Done, Failure, Found, FoundEntity
from worker.policy import FindChat, FindEntity, Go


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
