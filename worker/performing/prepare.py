"""A leased target's turn, before any call: what is superseded, refused, moved or put off needs none (pure)."""

from typing import Final, Literal, assert_never

import msgspec

from shared.core.effects import (
    AnsweredCard,
    Call,
    CancelReminder,
    PlatformEffect,
    RefreshPreview,
    Remind,
    SetStreaming,
    StoredEffect,
    StreamText,
    UpdateCard,
    UpdateElement,
)
from shared.core.json_text import EpochMs
from shared.core.targets import chat_target
from shared.feishu.card_calls import find_entity
from shared.feishu.openapi import get_message
from worker.ledger.leased import GivenRight, Head
from worker.performing.answered import answered, left_behind
from worker.performing.horizon import is_over, out_of_time
from worker.performing.job import Errand, Job
from worker.performing.lease import allows_a_call
from worker.performing.reminding import reminded
from worker.performing.request import request_of
from worker.performing.succession import succession
from worker.performing.turn import Result, Turn
from worker.performing.way import NOTHING, Means, NoRight, NoWay, way_of
from worker.platform.breaker import Breaker, may_call, put_off_ms
from worker.policy import FindChat, FindEntity, Go, Move, Refuse, Unknown, before

_EFFECT: Final = msgspec.json.Decoder(StoredEffect)


def prepare(
    turn: Turn,
    payload: bytes | None,
    breaker: Breaker,
    now: EpochMs,
    *,
    settle_ms: int,
    right: GivenRight | None = None,
) -> Job | Errand | Result:
    """
    Return the call that a turn needs, or its result where it needs none.

    Args:
        payload: The stored effect of the choice's call, if there is one.
        breaker: Whether the app's calls are held back.
        now: The ledger's time (ms).
        settle_ms: How long a client may still be painting an answer.
        right: The right that the call needs, if it needs one and it is known.
    """
    head = turn.choice.call
    if head is None or payload is None:
        return turn.settled(now, resend=left_behind(turn, settle_ms=settle_ms), pace_ms=turn.choice.hold_ms)
    effect: StoredEffect = _EFFECT.decode(payload)
    if isinstance(effect, Remind | CancelReminder):
        return reminded(turn, head, effect, now)
    if isinstance(effect, Call):
        over = is_over(turn, head, effect, now)
        return out_of_time(turn, head, effect, now) if over else Errand(turn=turn, head=head, effect=effect)
    if isinstance(effect, AnsweredCard):
        if (came_to := answered(turn, head, effect.card, now, settle_ms=settle_ms)) is not None:
            return came_to
        effect = UpdateCard(effect.card)
    if not is_over(turn, head, effect, now) and not may_call(breaker, now=now):
        return turn.put_off(now, pace_ms=put_off_ms(breaker, now=now))
    return ruled(turn, head, effect, now, right)


def ruled(
    turn: Turn, head: Head, effect: PlatformEffect, now: EpochMs, right: GivenRight | None = None
) -> Job | Result:
    """Return the call that an effect needs by the rules of policy, or its result: asked again right before the call."""
    match before(effect, head=head, face=turn.leased.face, now=now):
        case Refuse() | Unknown() as ruling:
            return _against(turn, head, effect, ruling, now)
        case _ if is_over(turn, head, effect, now):
            return out_of_time(turn, head, effect, now)
        case Go() as go:
            means = _means(turn, effect, head, right, now)
            if isinstance(means, NoWay):
                return no_way(turn, head, means.reason, now, right)
            api = request_of(effect, head, means).api
            return Job(turn=turn, head=head, effect=effect, ruling=go, api=api, means=means)
        case (FindEntity(message_id=message_id) | FindChat(message_id=message_id)) as find:
            ask = find_entity if isinstance(find, FindEntity) else get_message
            return Job(turn=turn, head=head, effect=effect, ruling=find, api=ask(message_id).api)
        case Move(chat_id=chat_id):
            return turn.put_off(now, moved=chat_target(chat_id))
        case _ as unreachable:
            assert_never(unreachable)


def needless(job: Job, now: EpochMs) -> Result | None:
    """
    Return what a job comes to without its call, if things have changed while it waited for the rate limit.

    Args:
        now: The ledger's time, right before the call (ms).
    """
    if not allows_a_call(job.turn.leased.leased_at, now):
        return job.turn.put_off(now)  # Frozen meanwhile: the lease may end before a call would.
    ruling = ruled(job.turn, job.head, job.effect, now, job.right)
    return None if isinstance(ruling, Job) else ruling  # The card may be too old now.


def _against(turn: Turn, head: Head, effect: PlatformEffect, ruling: Refuse | Unknown, now: EpochMs) -> Result:
    if turn.choice.again:
        return turn.not_again(now)
    is_refused = isinstance(ruling, Refuse)
    reason = ruling.reason if isinstance(ruling, Refuse) else "too_late_to_repeat"
    status: Literal["refused", "unknown"] = "refused" if is_refused else "unknown"
    told = turn.tell(head, status, now=now, reason=reason, folded=turn.folded(head))
    face, topics = turn.leased.face, turn.topics
    instead = succession(effect, head, face=face, now=now, topics=topics) if reason == "expired" else ()
    return turn.settled(now, (head, told), records=instead)


def no_way(turn: Turn, head: Head, reason: NoRight, now: EpochMs, right: GivenRight | None) -> Result:
    """Return the result of an effect that there is no right for, or no longer: it may have been performed before."""
    if turn.choice.again:
        return turn.not_again(now)
    status: Literal["refused", "unknown"] = "refused" if head.begun_at is None else "unknown"
    uses_left = None if right is None else right.uses_left
    told = turn.tell(head, status, now=now, reason=reason, folded=turn.folded(head), uses_left=uses_left)
    return turn.settled(now, (head, told))


def _means(turn: Turn, effect: PlatformEffect, head: Head, right: GivenRight | None, now: EpochMs) -> Means | NoWay:
    face, again = turn.leased.face, turn.choice.again
    match effect:
        case UpdateCard():
            way = way_of(effect, head, face=face, right=right, now=now)
            return way if isinstance(way, NoWay) else Means(way=way, card_id=way.card_id, again=again)
        case UpdateElement() | StreamText() | SetStreaming():
            return Means(card_id=face.card_id if face is not None else None)
        case RefreshPreview():
            return NoWay(reason="no_token") if right is None else Means(right=right)
        case _:
            return NOTHING
