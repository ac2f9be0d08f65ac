"""What a call came to, as it is stored (pure)."""

from collections.abc import Callable
from typing import Literal, assert_never

from shared.core.effects import Reply, SendCard, UpdateChat
from shared.core.events import sends_a_successor
from shared.core.targets import card_of_unknown_chat, chat_target, message_target
from worker.ledger.leased import Applied, FaceRow
from worker.performing.attempted import Attempt, handed_back, is_state, told_means, uses_left
from worker.performing.failed import failed, repetition_failed
from worker.performing.job import Job
from worker.performing.retry import counts
from worker.performing.returning import TOO_LARGE, too_large
from worker.performing.superseding import applied_newness, name_newness
from worker.performing.turn import Result
from worker.platform.performed import Done, Found, FoundEntity, NoToken, Rejected, Unreached, Unsure
from worker.policy import FindChat


def result(attempt: Attempt, chance: Callable[[], float]) -> Result:
    """
    Return what is stored of a call.

    Args:
        chance: Draws evenly from [0, 1).
    """
    match attempt.performed:
        case Done() as done:
            return _done(attempt, done)
        case Found() as found:
            return _found(attempt, found)
        case FoundEntity() as found:
            return _found_entity(attempt, found)
        case Rejected() as refused if _is_only_chat(attempt) and counts(refused):
            return _by_message(attempt)
        case Rejected() | Unsure() | Unreached() | NoToken() as failure:
            return (
                repetition_failed(attempt, failure)
                if attempt.job.turn.choice.again
                else failed(attempt, failure, chance)
            )
        case _ as unreachable:
            assert_never(unreachable)


def _done(attempt: Attempt, done: Done) -> Result:
    job, head = attempt.job, attempt.job.head
    unfit = too_large(done.data)
    told = job.turn.tell(
        head,
        "succeeded" if unfit is None else "failed",
        now=attempt.now,
        attempts=head.attempts + 1,
        folded=job.turn.folded(head),
        started_at=attempt.started_at,
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
        **told_means(job),
        uses_left=uses_left(job),
    )
    return job.turn.settled(
        attempt.now,
        (head, told),
        called=True,
        pace_ms=attempt.pace_ms,
        resend=_resend(job),
        applied=_applied(job),
        face=_face(job, done),
        linked=_succeeded_card(job, done),
        records=handed_back(attempt, value=None if unfit else done.data, error=unfit),
    )


def _succeeded_card(job: Job, done: Done) -> FaceRow | None:
    """Return the old card, with its link, if what was sent stands in its place."""
    head = job.head
    if done.sent_message_id is None or head.message_id is None or not sends_a_successor(head.event_id):
        return None
    return FaceRow(app_id=head.app_id, message_id=head.message_id, successor=done.sent_message_id)


def _is_only_chat(attempt: Attempt) -> bool:
    """Say whether what could not be learned was needed to keep to a chat's limit alone: a reply names its message."""
    return isinstance(attempt.job.ruling, FindChat) and isinstance(attempt.job.effect, Reply)


def _by_message(attempt: Attempt) -> Result:
    """Return that a reply is made without its chat being known, in turn with whatever is done to its message."""
    asked = card_of_unknown_chat(attempt.job.head.target)
    return attempt.job.turn.put_off(attempt.now, moved=None if asked is None else message_target(asked))


def _found(attempt: Attempt, found: Found) -> Result:
    job, head = attempt.job, attempt.job.head
    asked = card_of_unknown_chat(head.target)
    if found.chat_id is None and _is_only_chat(attempt):
        return _by_message(attempt)
    if found.chat_id is None or asked is None:
        if job.turn.choice.again:
            return job.turn.not_again(attempt.now)
        told = job.turn.tell(head, "refused", now=attempt.now, reason="no_chat")
        return job.turn.settled(attempt.now, (head, told))
    face = FaceRow(app_id=head.app_id, message_id=asked, chat_id=found.chat_id)
    return job.turn.put_off(attempt.now, moved=chat_target(found.chat_id), face=face)


def _found_entity(attempt: Attempt, found: FoundEntity) -> Result:
    job, head = attempt.job, attempt.job.head
    if found.card_id is None or head.message_id is None:
        if job.turn.choice.again:
            return job.turn.not_again(attempt.now)
        told = job.turn.tell(head, "refused", now=attempt.now, reason="no_entity")
        return job.turn.settled(attempt.now, (head, told))
    face = FaceRow(app_id=head.app_id, message_id=head.message_id, card_id=found.card_id)
    return job.turn.put_off(attempt.now, face=face)


def _resend(job: Job) -> Literal["keep", "clear"] | int:
    """Return what becomes of the wish to send the newest state again."""
    if _named_back(job):
        return 0
    # A wish that was due before this call is granted by it; one that is not yet due stays.
    return "keep" if job.turn.leased.resend is None else "clear"


def _named_back(job: Job) -> bool:
    """Say whether a chat was given an older name, among other things that it had to be given."""
    applied = job.turn.leased.applied
    if applied is None or not isinstance(job.effect, UpdateChat) or job.effect.name is None:
        return False
    return name_newness(job.head) < applied_newness(applied)


def _applied(job: Job) -> Applied | None:
    head = job.head
    if not is_state(job) or _named_back(job):
        return None
    return Applied(occurred_at=head.occurred_at, order=head.order, event_id=head.event_id, index=head.index)


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
