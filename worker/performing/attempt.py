"""One call, and what is stored of it. Never raises for what the platform does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from shared.clock import Clock
from shared.core.effects import OnCard, Reply, SendCard
from shared.core.events import CARD, EVERYBODY, NAME, TOO_OLD, sends_a_successor
from shared.core.ids import chat_target
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import NewRecord
from shared.feishu.openapi import PlatformError
from worker.ledger.port import Applied, FaceRow, Head
from worker.performing.perform import SEQUENCE, find_chat, find_entity, perform
from worker.performing.performed import Done, Failure, Found, FoundEntity, NoToken, Rejected, Unreached, Unsure
from worker.performing.prepare import Job
from worker.performing.retry import GiveUp, RetryIn, after, api_pause_ms, counts, last_attempt_at
from worker.performing.returning import TOO_LARGE, brought, too_large
from worker.performing.succession import succession
from worker.performing.turn import Result
from worker.platform.client import DEADLINE_S, Platform
from worker.policy import FindChat, FindEntity, Go

AGAIN_MS: Final = round(DEADLINE_S * 1000) + 1_000
"""When an ambiguous call can no longer arrive behind a newer one, the newest state is sent once more."""


_REASONS: Final = {300309: "streaming_off", 200510: "streaming_off", 200850: "streaming_off", TOO_OLD: "expired"}
"""What a refusal means, where that says more than that the platform refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
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


async def call(job: Job, platform: Platform, clock: Clock, *, ahead_ms: int, pace_ms: int) -> Called:
    """
    Make a job's call.

    Args:
        ahead_ms: How far the ledger's clock is ahead of ours.
        pace_ms: How far apart the starts of calls to this target are.
    """
    began = clock.monotonic()
    started_at = clock.now() + ahead_ms
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
    return Called(
        job=job,
        performed=performed,
        started_at=started_at,
        now=clock.now() + ahead_ms,
        pace_ms=max(0, pace_ms - took_ms),
    )


def result(called: Called, chance: Callable[[], float]) -> Result:
    """Return what is stored of a call (pure, chance aside)."""
    match called.performed:
        case Done() as done:
            return _done(called, done)
        case Found() as found:
            return _found(called, found)
        case FoundEntity() as found:
            return _found_entity(called, found)
        case Rejected() | Unsure() | Unreached() | NoToken() as failure:
            return (
                _repetition_failed(called, failure)
                if called.job.turn.choice.again
                else _failed(called, failure, chance)
            )
        case _ as unreachable:
            assert_never(unreachable)


def _done(called: Called, done: Done) -> Result:
    job, head = called.job, called.job.head
    unfit = too_large(done.data)
    told = job.turn.tell(
        head,
        "succeeded" if unfit is None else "failed",
        now=called.now,
        attempts=head.attempts + 1,
        folded=job.turn.folded(head),
        started_at=called.started_at,
        http_status=done.http_status,
        code=0,
        log_id=done.log_id,
        sent_message_id=done.sent_message_id,
        sent_at=done.sent_at,
        chat_id=done.chat_id,
        shown=done.shown,
        shown_order=head.order if done.shown else None,
        card_format=done.card_format,
        reason=None if unfit is None else TOO_LARGE,
        **_means(job),
        uses_left=_uses_left(job),
    )
    return job.turn.settled(
        called.now,
        (head, told),
        called=True,
        pace_ms=called.pace_ms,
        # A wish that was due before this call is granted by it; one that is not yet due stays.
        resend="keep" if job.turn.leased.resend is None else "clear",
        applied=_applied(job),
        face=_face(job, done),
        linked=_succeeded_card(job, done),
        records=_brought(called, value=None if unfit else done.data, error=unfit),
    )


def _succeeded_card(job: Job, done: Done) -> FaceRow | None:
    """Return the old card, with its link, if what was sent stands in its place."""
    head = job.head
    if done.sent_message_id is None or head.message_id is None or not sends_a_successor(head.event_id):
        return None
    return FaceRow(app_id=head.app_id, message_id=head.message_id, successor=done.sent_message_id)


def _found(called: Called, found: Found) -> Result:
    job, head = called.job, called.job.head
    if found.chat_id is None or head.message_id is None:
        told = job.turn.tell(head, "refused", now=called.now, reason="no_chat")
        return job.turn.settled(called.now, (head, told))
    return job.turn.settled(
        called.now,
        moved={head.key: chat_target(found.chat_id)},
        face=FaceRow(app_id=head.app_id, message_id=head.message_id, chat_id=found.chat_id),
    )


def _found_entity(called: Called, found: FoundEntity) -> Result:
    job, head = called.job, called.job.head
    if found.card_id is None or head.message_id is None:
        told = job.turn.tell(head, "refused", now=called.now, reason="no_entity")
        return job.turn.settled(called.now, (head, told))
    face = FaceRow(app_id=head.app_id, message_id=head.message_id, card_id=found.card_id)
    return job.turn.settled(called.now, face=face)


def _failed(called: Called, failure: Failure, chance: Callable[[], float]) -> Result:
    job, head = called.job, called.job.head
    attempts = head.attempts + counts(failure)
    outran = _outran(called, failure)
    following = (
        GiveUp(reason="platform_refused")
        if outran is False
        else after(
            failure,
            failures=head.k + 1,
            attempts=attempts,
            now=called.now,
            last_at=last_attempt_at(job.effect, head=head, face=job.turn.leased.face),
            chance=chance,
        )
    )
    retry_in_ms = following.delay_ms if isinstance(following, RetryIn) else None
    error, reason = _error(failure)
    unused = job.counted is not None and _was_no_use(failure)
    told = job.turn.tell(
        head,
        "failed",
        now=called.now,
        retry_in_ms=retry_in_ms,
        attempts=attempts,
        folded=job.turn.folded(head),
        begun=head.begun_at is not None or _may_have_happened(called),
        started_at=called.started_at,
        code=error.code if error else None,
        http_status=error.http_status if error else None,
        log_id=error.log_id if error else None,
        reason=reason if isinstance(following, RetryIn) else _final_reason(following, error),
        **_means(job, outran or None),
        uses_left=_uses_left(job, refunded=unused),
    )
    return job.turn.settled(
        called.now,
        (head, told),
        called=_may_have_happened(called),
        pace_ms=called.pace_ms,
        resend=_resend(called),
        face=outran or _too_old(job, error),
        refund=job.counted if unused else None,
        block_ms=api_pause_ms(failure),
        records=[] if isinstance(following, RetryIn) else _following(called, following.reason, error),
    )


def _following(called: Called, reason: str, error: PlatformError | None) -> Sequence[NewRecord]:
    """Return what goes into the log when nothing more is tried: to whom it should come back, or a card instead."""
    job = called.job
    if error is not None and error.code == TOO_OLD:
        return succession(job.effect, job.head, now=called.now, topics=job.turn.topics)
    return _brought(called, error=_in_words(reason, error))


def _too_old(job: Job, error: PlatformError | None) -> FaceRow | None:
    """Return that a card is past its time, if the platform said so: its age may be unknown to us."""
    if error is None or error.code != TOO_OLD or not isinstance(job.effect, OnCard) or job.head.message_id is None:
        return None
    return FaceRow(app_id=job.head.app_id, message_id=job.head.message_id, expired=True)


def _brought(called: Called, *, value: JsonText | None = None, error: str | None = None) -> Sequence[NewRecord]:
    job = called.job
    return brought(job.head, job.effect, now=called.now, topics=job.turn.topics, value=value, error=error)


def _in_words(reason: str, error: PlatformError | None) -> str:
    """Return why nothing comes back, for the handler that waits for it."""
    answer = "" if error is None else f" (code {error.code}, HTTP {error.http_status}, log id {error.log_id})"
    return f"{reason}{answer}"


def _means(job: Job, outran: FaceRow | None = None) -> dict[str, Any]:
    """Return what is told of how it was done: the way of a card, the sequence of an operation."""
    way = job.means.way
    told: dict[str, Any] = {} if way is None else {"way": way.by, "because": way.because}
    if job.begun is not None and job.begun.sequence is not None:
        told["sequence"] = outran.sequence if outran is not None else job.begun.sequence
    return told


def _outran(called: Called, failure: Failure) -> FaceRow | Literal[False] | None:
    """
    Return from where to count on after somebody else used a higher sequence, ``False`` if that did not help before.

    Other programs count from 1, or use the clock's seconds: the seconds are beyond both, and leave room until 2038.
    """
    job, head = called.job, called.job.head
    sequence = job.begun.sequence if job.begun is not None else None
    is_that = isinstance(failure, Rejected) and failure.error.code == SEQUENCE
    if not is_that or sequence is None or head.message_id is None:
        return None
    seconds = called.now // 1000
    return FaceRow(app_id=head.app_id, message_id=head.message_id, sequence=seconds) if sequence < seconds else False


def _final_reason(given_up: GiveUp, error: PlatformError | None) -> str:
    return _REASONS.get(error.code or 0, given_up.reason) if error is not None else given_up.reason


def _uses_left(job: Job, *, refunded: bool = False) -> int | None:
    left = job.begun.uses_left if job.begun is not None else None
    return None if left is None else left + refunded


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


def _repetition_failed(called: Called, failure: Failure) -> Result:
    """The effect was performed long ago; only sending it once more failed. A refusal ends the wish."""
    refused = counts(failure)
    return called.job.turn.settled(
        called.now,
        called=_may_have_happened(called),
        pace_ms=called.pace_ms if refused else AGAIN_MS,
        resend="clear" if refused else _resend(called),
        block_ms=api_pause_ms(failure),
    )


def _may_have_happened(called: Called) -> bool:
    return isinstance(called.performed, Unsure) and isinstance(called.job.ruling, Go)


def _resend(called: Called) -> Literal["keep"] | int:
    return AGAIN_MS if is_state(called.job.head) and _may_have_happened(called) else "keep"


def is_state(head: Head) -> bool:
    """Say whether an effect is what its target shows to all from then on: a card, or a chat's name."""
    return head.audience == EVERYBODY and head.coalesce in {CARD, NAME}


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


def _applied(job: Job) -> Applied | None:
    head = job.head
    if not is_state(head):
        return None
    return Applied(occurred_at=head.occurred_at, received_at=head.received_at, event_id=head.event_id, index=head.index)


def _face(job: Job, done: Done) -> FaceRow | None:
    """Return what is now known of a card: one that we sent, with its age, or one that shows our update."""
    head = job.head
    if isinstance(job.effect, SendCard | Reply) and job.effect.card is not None and done.sent_message_id is not None:
        return FaceRow(
            app_id=head.app_id,
            message_id=done.sent_message_id,
            chat_id=done.chat_id,
            sent_at=done.sent_at,
            sent=job.effect.card,
            card_format=done.card_format,
        )
    if done.shown is not None and head.message_id is not None:
        return FaceRow(
            app_id=head.app_id,
            message_id=head.message_id,
            shown=done.shown,
            shown_order=head.order,
            card_format=done.card_format,
        )
    return None
