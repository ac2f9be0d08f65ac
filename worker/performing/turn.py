"""What a target's turn came to, as what the ledger stores (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from shared.core.events import EffectOutcome, OutcomeStatus
from shared.core.folded import RightKey
from shared.core.ids import Target
from shared.core.json_text import EpochMs
from shared.eventlog.port import NewRecord, Topics
from worker.ledger.leased import Applied, EffectKey, FaceRow, Head, Leased, Settlement
from worker.performing.choose import Choice
from worker.performing.outcome import Told, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    What a target's turn came to.

    Attributes:
        outcomes: The outcomes in the settlement, each with its effect; for metrics and log lines.
        followed: Something follows from it in the log: a handler is told, or a card is sent in the place of another.
        block_ms: For how long nobody may call the API, because the platform said so.
    """

    settlement: Settlement
    outcomes: Sequence[tuple[Head, EffectOutcome]] = ()
    followed: bool = False
    block_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A leased target's turn, and how to write down what it comes to."""

    leased: Leased
    choice: Choice
    topics: Topics

    def settled(
        self,
        now: EpochMs,
        *told: tuple[Head, Told],
        called: bool = False,
        moved: Mapping[EffectKey, Target] | None = None,
        pace_ms: int = 0,
        resend: Literal["keep", "clear"] | int = "keep",
        applied: Applied | None = None,
        face: FaceRow | None = None,
        linked: FaceRow | None = None,
        refund: RightKey | None = None,
        block_ms: int | None = None,
        records: Sequence[NewRecord] = (),
    ) -> Result:
        """Return the turn's result: what was superseded by it, what else is told, and what follows in the log."""
        everything = [*self._superseded(now), *told]
        return Result(
            settlement=Settlement(
                key=self.leased.key,
                leased_at=self.leased.leased_at,
                called=called,
                changes=[one.change for _, one in everything],
                moved=moved or {},
                pace_ms=pace_ms,
                resend=resend,
                applied=applied,
                face=face,
                linked=linked,
                refund=refund,
                # What follows before the outcome that it follows from, as the relay tells them.
                outbox=[*records, *(one.record for _, one in everything)],
            ),
            outcomes=[(head, one.fact) for head, one in everything],
            followed=bool(records),
            block_ms=block_ms,
        )

    def put_off(
        self,
        now: EpochMs,
        *,
        pace_ms: int = 0,
        moved: Target | None = None,
        face: FaceRow | None = None,
    ) -> Result:
        """
        Return the result of a turn whose call is still to be made.

        What it takes the place of waits with it, or the outcome of the call could not say how much that was.

        Args:
            moved: The target to which all of it belongs.
        """
        head = self.choice.call
        whole = [] if head is None else [head, *(one.head for one in self.choice.superseded)]
        waiting = replace(self, choice=replace(self.choice, superseded=()))
        to = {} if moved is None else {each.key: moved for each in whole}
        return waiting.settled(now, pace_ms=pace_ms, moved=to, face=face)

    def not_again(self, now: EpochMs) -> Result:
        """
        Return the result of a turn that was to send once more what was performed before, and must not any more.

        Nothing is told: it was performed, and stays so. The wish ends, or it would come up again at once, for ever.
        """
        return self.settled(now, resend="clear")

    def given_back(self, now: EpochMs) -> Result:
        """Return the result of a turn without its call, as the ledger went away: what it may have noted began not."""
        head, result = self.choice.call, self.put_off(now)
        unbegun = head.key if head is not None and head.begun_at is None else None
        return replace(result, settlement=replace(result.settlement, unbegun=unbegun))

    def tell(self, head: Head, status: OutcomeStatus, *, now: EpochMs, **facts: Any) -> Told:
        """
        Return the next outcome of an effect: see `worker.performing.outcome.tell`.

        What is known of an entity is told each time, so that it can be restored from any outcome.
        """
        face = self.leased.face
        if face is not None and face.card_id is not None and head.message_id == face.message_id:
            facts = {"card_id": face.card_id, "sequence": face.sequence, **facts}
        return tell(head, status, now=now, topics=self.topics, **facts)

    def folded(self, head: Head) -> int:
        """Return how many effects this one took the place of in this turn."""
        return sum(one.by == f"{head.event_id}/{head.index}" for one in self.choice.superseded)

    def _superseded(self, now: EpochMs) -> list[tuple[Head, Told]]:
        return [
            (one.head, self.tell(one.head, "superseded", now=now, reason=f"by {one.by}"))
            for one in self.choice.superseded
        ]
