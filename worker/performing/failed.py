"""A call that failed, and what is stored of it (pure)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, assert_never

from shared.core.effects import OnCard
from shared.eventlog.port import NewRecord
from shared.feishu.codes import Sense
from shared.feishu.openapi import PlatformError
from worker.ledger.leased import FaceRow
from worker.performing.attempted import Attempt, handed_back, is_state, may_have_happened, told_means, uses_left
from worker.performing.job import Job
from worker.performing.retry import GiveUp, RetryIn, after, api_pause_ms, came_too_long, counts, last_attempt_at
from worker.performing.succession import succession
from worker.performing.turn import Result
from worker.platform.deadlines import CALL_MS
from worker.platform.performed import Failure, NoToken, Rejected, Unreached, Unsure
from worker.policy import Go

_REASONS: Final[Mapping[Sense | None, str]] = {"streaming_off": "streaming_off", "too_old": "expired"}
"""Why an effect failed, where the refusal says more than that the platform refused."""


def failed(attempt: Attempt, failure: Failure, chance: Callable[[], float]) -> Result:
    """
    Return what is stored of an effect whose call failed: another attempt, or that there is none.

    Args:
        chance: Draws evenly from [0, 1).
    """
    job, head = attempt.job, attempt.job.head
    attempts = head.attempts + counts(failure)
    outran = _outran(attempt, failure)
    following = _given_up(attempt, failure, outran) or after(
        failure,
        failures=head.k + 1,
        attempts=attempts,
        now=attempt.now,
        last_at=last_attempt_at(job.effect, head=head, face=job.turn.leased.face),
        chance=chance,
    )
    retry_in_ms = following.delay_ms if isinstance(following, RetryIn) else None
    error, reason = _error(failure)
    unused = job.counted is not None and _was_no_use(failure)
    told = job.turn.tell(
        head,
        "failed",
        now=attempt.now,
        retry_in_ms=retry_in_ms,
        attempts=attempts,
        folded=job.turn.folded(head),
        begun=head.begun_at is not None or may_have_happened(attempt),
        started_at=attempt.started_at,
        code=error.code if error else None,
        http_status=error.http_status if error else None,
        log_id=error.log_id if error else None,
        reason=reason if isinstance(following, RetryIn) else _final_reason(following, error),
        **told_means(job, outran or None),
        uses_left=uses_left(job, refunded=unused),
    )
    return job.turn.settled(
        attempt.now,
        (head, told),
        called=may_have_happened(attempt),
        pace_ms=attempt.pace_ms,
        resend=_resend(attempt),
        face=outran or _too_old(job, error),
        refund=job.counted if unused else None,
        block_ms=api_pause_ms(failure),
        records=[] if isinstance(following, RetryIn) else _told_on(attempt, following.reason, error),
    )


def _given_up(attempt: Attempt, failure: Failure, outran: FaceRow | Literal[False] | None) -> GiveUp | None:
    """Return that nothing more is tried, for what this very call was about; else the failure itself says what."""
    if outran is False:
        return GiveUp(reason="platform_refused")
    unreadable = isinstance(attempt.job.ruling, Go) and came_too_long(attempt.job.effect, failure)
    return GiveUp(reason="too_large") if unreadable else None


def _told_on(attempt: Attempt, reason: str, error: PlatformError | None) -> Sequence[NewRecord]:
    """Return what goes into the log when nothing more is tried: to whom it should come back, or a card instead."""
    job = attempt.job
    if error is not None and error.sense == "too_old":
        face = job.turn.leased.face
        return succession(job.effect, job.head, face=face, now=attempt.now, topics=job.turn.topics)
    return handed_back(attempt, error=_in_words(reason, error))


def _too_old(job: Job, error: PlatformError | None) -> FaceRow | None:
    """Return that a card is past its time, if the platform said so: its age may be unknown to us."""
    if error is None or error.sense != "too_old":
        return None
    if not isinstance(job.effect, OnCard) or job.head.message_id is None:
        return None
    return FaceRow(app_id=job.head.app_id, message_id=job.head.message_id, expired=True)


def _in_words(reason: str, error: PlatformError | None) -> str:
    """Return why nothing comes back, for the handler that waits for it."""
    answer = "" if error is None else f" (code {error.code}, HTTP {error.http_status}, log id {error.log_id})"
    return f"{reason}{answer}"


def _outran(attempt: Attempt, failure: Failure) -> FaceRow | Literal[False] | None:
    """
    Return from where to count on after somebody else used a higher sequence, ``False`` if that did not help before.

    Other programs count from 1, or use the clock's seconds: the seconds are beyond both, and leave room until 2038. If
    they were counted on from already since this effect was wanted, and somebody is higher still, nothing helps.
    """
    job, head = attempt.job, attempt.job.head
    sequence = job.begun.sequence if job.begun is not None else None
    is_that = isinstance(failure, Rejected) and failure.error.sense == "sequence"
    if not is_that or sequence is None or head.message_id is None:
        return None
    seconds = attempt.now // 1000
    if sequence > head.wanted_at // 1000:
        return False
    return FaceRow(app_id=head.app_id, message_id=head.message_id, sequence=seconds)


def _final_reason(given_up: GiveUp, error: PlatformError | None) -> str:
    if error is None:
        return given_up.reason
    inner = "" if error.inner is None else f" (ErrCode {error.inner})"
    return _REASONS.get(error.sense, f"{given_up.reason}{inner}")


def _was_no_use(failure: Failure) -> bool:
    """Say whether a right was certainly not used: no connection, no access token, or turned away by a rate limit."""
    match failure:
        case Unreached() | NoToken():
            return True
        case Rejected(error=error):
            return error.verdict == "rate_limit"
        case Unsure():
            return False
        case _ as unreachable:
            assert_never(unreachable)


def repetition_failed(attempt: Attempt, failure: Failure) -> Result:
    """The effect was performed long ago; only sending it once more failed. A refusal ends the wish."""
    refused = counts(failure)
    return attempt.job.turn.settled(
        attempt.now,
        called=may_have_happened(attempt),
        pace_ms=attempt.pace_ms if refused else CALL_MS,
        resend="clear" if refused else _resend(attempt),
        block_ms=api_pause_ms(failure),
    )


def _resend(attempt: Attempt) -> Literal["keep"] | int:
    """Return when to send the newest state once more: when an ambiguous call can arrive behind a newer one no more."""
    return CALL_MS if is_state(attempt.job) and may_have_happened(attempt) else "keep"


def _error(failure: Failure) -> tuple[PlatformError | None, str | None]:
    match failure:
        case Rejected(error=error):
            return error, error.verdict
        case NoToken(error=error, reason=reason):
            return error, reason or error.verdict
        case Unsure(error=error, reason=reason):
            return error, reason or "no_usable_answer"
        case Unreached():
            return None, "unreachable"
        case _ as unreachable:
            assert_never(unreachable)
