"""A leased target's turn, before any call: what is superseded, refused, moved or put off needs none (pure)."""

from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

import msgspec

from shared.core.effects import (
    AnsweredCard,
    Call,
    CancelReminder,
    PlatformEffect,
    RefreshPreview,
    Remind,
    Reply,
    SendCard,
    SendText,
    StoredEffect,
    UpdateCard,
)
from shared.core.ids import chat_target
from shared.core.json_text import EpochMs
from shared.feishu.openapi import get_message
from worker.ledger.port import Beginning, Begun, Head, Token
from worker.performing.answered import answered, left_behind
from worker.performing.outcome import tell
from worker.performing.reminding import reminded
from worker.performing.request import request_of
from worker.performing.turn import Result, Turn
from worker.performing.way import NoWay, TokenReason, Way, way_of
from worker.platform.breaker import Breaker, may_call, put_off_ms
from worker.policy import FindChat, Go, Move, Refuse, Unknown, before

_EFFECT: Final = msgspec.json.Decoder(StoredEffect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    A call to make.

    Attributes:
        ruling: `Go`, or `FindChat` first.
        api: What the platform counts the call as.
        way: How a card is shown, and with which right; ``None`` for everything else.
        token: The right that the call needs, as it was before this call.
        begun: What the call was given when it was recorded as begun.
        wait_s: How long to wait for the rate limit.
    """

    turn: Turn
    head: Head
    effect: PlatformEffect
    ruling: Go | FindChat
    api: str
    way: Way | None = None
    token: Token | None = None
    begun: Begun | None = None
    wait_s: float = 0.0

    @property
    def sends(self) -> bool:
        """Whether the call makes a message: one that must not be made twice."""
        return isinstance(self.ruling, Go) and isinstance(self.effect, SendCard | SendText | Reply)

    @property
    def beginning(self) -> Beginning | None:
        """What is recorded before the call, if anything: a send, a use of a right."""
        if self.way is not None and self.way.token is not None:
            return Beginning(key=self.head.key, token=self.way.token.key)
        return Beginning(key=self.head.key) if self.sends else None

    def uncounted(self, result: Result) -> Result:
        """Return the result of a call that was not made after all: a use that was counted for it was none."""
        if self.way is None or self.way.token is None:
            return result
        return replace(result, settlement=replace(result.settlement, refund=self.way.token.key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A function of the user's to call: not the platform's business."""

    turn: Turn
    head: Head
    effect: Call


def prepare(
    turn: Turn,
    payload: bytes | None,
    breaker: Breaker,
    now: EpochMs,
    *,
    settle_ms: int,
    token: Token | None = None,
) -> Job | Errand | Result:
    """
    Return the call that a turn needs, or its result where it needs none.

    Args:
        payload: The stored effect of the choice's call, if there is one.
        breaker: Whether the app's calls are held back.
        now: The ledger's time (ms).
        settle_ms: How long a client may still be painting an answer.
        token: The right that the call needs, if it needs one and it is known.
    """
    head = turn.choice.call
    if head is None or payload is None:
        return turn.settled(now, resend=left_behind(turn, settle_ms=settle_ms), pace_ms=turn.choice.hold_ms)
    effect: StoredEffect = _EFFECT.decode(payload)
    if isinstance(effect, Remind | CancelReminder):
        return reminded(turn, head, effect, now)
    if isinstance(effect, Call):
        return Errand(turn=turn, head=head, effect=effect)
    if isinstance(effect, AnsweredCard):
        if (came_to := answered(turn, head, effect.card, now, settle_ms=settle_ms)) is not None:
            return came_to
        effect = UpdateCard(effect.card)
    if not may_call(breaker, now=now):
        return turn.settled(now, pace_ms=put_off_ms(breaker, now=now))
    return ruled(turn, head, effect, now, token)


def ruled(turn: Turn, head: Head, effect: PlatformEffect, now: EpochMs, token: Token | None = None) -> Job | Result:
    """Return the call that an effect needs by the rules of policy, or its result: asked again right before the call."""
    match before(effect, head=head, face=turn.leased.face, now=now):
        case Go() as go:
            way = _way(effect, head, token, now)
            if isinstance(way, NoWay):
                return no_way(turn, head, way.reason, now, token)
            api = request_of(effect, head, way=way, token=token).api
            return Job(turn=turn, head=head, effect=effect, ruling=go, api=api, way=way, token=token)
        case FindChat(message_id=message_id) as find:
            return Job(turn=turn, head=head, effect=effect, ruling=find, api=get_message(message_id).api)
        case Move(chat_id=chat_id):
            return turn.settled(now, moved={head.key: chat_target(chat_id)})
        case Refuse(reason=reason):
            return turn.settled(now, (head, tell(head, "refused", now=now, topics=turn.topics, reason=reason)))
        case Unknown():
            told = tell(head, "unknown", now=now, topics=turn.topics, reason="too_late_to_repeat")
            return turn.settled(now, (head, told))
        case _ as unreachable:
            assert_never(unreachable)


def no_way(turn: Turn, head: Head, reason: TokenReason, now: EpochMs, token: Token | None) -> Result:
    """Return the result of an effect that there is no right for, or no longer: it may have been performed before."""
    status: Literal["refused", "unknown"] = "refused" if head.begun_at is None else "unknown"
    uses_left = None if token is None else token.uses_left
    told = tell(head, status, now=now, topics=turn.topics, reason=reason, uses_left=uses_left)
    return turn.settled(now, (head, told))


def _way(effect: PlatformEffect, head: Head, token: Token | None, now: EpochMs) -> Way | NoWay | None:
    match effect:
        case UpdateCard():
            return way_of(head, token, now)
        case RefreshPreview() if token is None:
            return NoWay(reason="no_token")
        case _:
            return None
