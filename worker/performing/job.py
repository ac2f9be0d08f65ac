"""What a target's turn needs: a call of the platform, or of a function of the user's (pure)."""

from dataclasses import dataclass, replace

from shared.core.effects import Call, PlatformEffect, Reply, SendCard, SendText
from shared.core.folded import RightKey
from worker.ledger.leased import Beginning, Begun, GivenRight, Head
from worker.performing.turn import Result, Turn
from worker.performing.way import NOTHING, Means
from worker.policy import FindChat, FindEntity, Go


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    A call to make.

    Attributes:
        ruling: `Go`, or first `FindChat` or `FindEntity`.
        api: What the platform counts the call as.
        means: What the call needs besides; its right as it was before this call.
        begun: What the call was given when it was recorded as begun.
        wait_s: How long to wait for the rate limit.
    """

    turn: Turn
    head: Head
    effect: PlatformEffect
    ruling: Go | FindChat | FindEntity
    api: str
    means: Means = NOTHING
    begun: Begun | None = None
    wait_s: float = 0.0

    @property
    def sends(self) -> bool:
        """Whether the call makes a message: one that must not be made twice."""
        return isinstance(self.ruling, Go) and isinstance(self.effect, SendCard | SendText | Reply)

    @property
    def beginning(self) -> Beginning | None:
        """What is recorded before the call, if anything: a send, a use of a right, the sequence of an operation."""
        head = self.head
        if self.counted is not None:
            return Beginning(key=head.key, token=self.counted)
        if self.means.card_id is not None and head.message_id is not None:
            return Beginning(key=head.key, entity=(head.app_id, head.message_id))
        return Beginning(key=head.key) if self.sends else None

    @property
    def counted(self) -> RightKey | None:
        """The right of which a use is counted."""
        way = self.means.way
        return way.right.key if way is not None and way.right is not None else None

    @property
    def right(self) -> GivenRight | None:
        """The right that the call needs, as it was before this call."""
        way = self.means.way
        return self.means.right if way is None else way.right

    def given(self, begun: Begun | None) -> "Job":
        """Return the job with what its call was given when it was begun."""
        sequence = begun.sequence if begun is not None else None
        return replace(self, begun=begun, means=replace(self.means, sequence=sequence or 0))

    def not_made(self, result: Result) -> Result:
        """
        Return the result of a call that was not made after all.

        A use that was counted for it was none. What it was begun by is taken back, or a send that never left would be
        given up an hour later as one that may have been made; an earlier call's beginning stays.
        """
        unbegun = self.head.key if self.beginning is not None and self.head.begun_at is None else None
        return replace(result, settlement=replace(result.settlement, refund=self.counted, unbegun=unbegun))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A function of the user's to call: not the platform's business."""

    turn: Turn
    head: Head
    effect: Call
