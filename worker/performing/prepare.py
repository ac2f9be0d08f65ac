"""A leased target's turn, before any call: what is superseded, refused, moved or put off needs none (pure)."""

from dataclasses import dataclass
from typing import Final, assert_never

import msgspec

from shared.core.effects import (
    AnsweredCard,
    Call,
    CancelReminder,
    PlatformEffect,
    Remind,
    SendCard,
    SendText,
    StoredEffect,
    UpdateCard,
)
from shared.core.ids import TenantKey, chat_target
from shared.core.json_text import EpochMs
from shared.feishu.openapi import get_message
from worker.ledger.port import BudgetKey, Head
from worker.performing.answered import answered, left_behind
from worker.performing.outcome import tell
from worker.performing.perform import request_of
from worker.performing.reminding import reminded
from worker.performing.turn import Result, Turn
from worker.platform.breaker import Breaker, may_call, put_off_ms
from worker.policy import FindChat, Go, Move, Refuse, Unknown, before

_ONE_TENANT: Final = TenantKey("")
"""A custom app has one organisation, counted as one: clicks name it, requests of programs do not."""

_EFFECT: Final = msgspec.json.Decoder(StoredEffect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    A call to make.

    Attributes:
        ruling: `Go`, or `FindChat` first.
        api: What the platform counts the call as.
        wait_s: How long to wait for the rate limit.
    """

    turn: Turn
    head: Head
    effect: PlatformEffect
    ruling: Go | FindChat
    api: str
    wait_s: float = 0.0

    @property
    def sends(self) -> bool:
        """Whether the call makes a message: one that must not be made twice."""
        return isinstance(self.ruling, Go) and isinstance(self.effect, SendCard | SendText)

    @property
    def budget(self) -> BudgetKey:
        """Which budget the call is taken from."""
        return BudgetKey(self.head.app_id, _ONE_TENANT, self.api)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A function of the user's to call: not the platform's business."""

    turn: Turn
    head: Head
    effect: Call


def prepare(
    turn: Turn, payload: bytes | None, breaker: Breaker, now: EpochMs, *, settle_ms: int
) -> Job | Errand | Result:
    """
    Return the call that a turn needs, or its result where it needs none.

    Args:
        payload: The stored effect of the choice's call, if there is one.
        breaker: Whether the app's calls are held back.
        now: The ledger's time (ms).
        settle_ms: How long a client may still be painting an answer.
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
    return ruled(turn, head, effect, now)


def ruled(turn: Turn, head: Head, effect: PlatformEffect, now: EpochMs) -> Job | Result:
    """Return the call that an effect needs by the rules of policy, or its result: asked again right before the call."""
    match before(effect, head=head, face=turn.leased.face, now=now):
        case Go() as go:
            return Job(turn=turn, head=head, effect=effect, ruling=go, api=request_of(effect, head).api)
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
