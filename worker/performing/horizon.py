"""
What was wanted too long ago to be tried any more (pure).

What failed is given up when its next attempt would come too late (`worker.performing.retry`). What was put off all the
time, because the breaker was open or no worker ran, has never failed, and ends here: nobody expects a text of three
days ago.
"""

from shared.core.effects import Call, PlatformEffect
from shared.core.json_text import EpochMs
from worker.ledger.leased import Head
from worker.performing.retry import HORIZON_MS, Reason, last_attempt_at
from worker.performing.returning import brought
from worker.performing.turn import Result, Turn

OUT_OF_TIME: Reason = "out_of_time"


def is_over(turn: Turn, head: Head, effect: PlatformEffect | Call, now: EpochMs) -> bool:
    """Say whether no attempt may start any more; the newest state, sent once more, was performed in time."""
    if turn.choice.again:
        return False
    if isinstance(effect, Call):
        return now > head.wanted_at + HORIZON_MS
    return now > last_attempt_at(effect, head=head, face=turn.leased.face)


def out_of_time(turn: Turn, head: Head, effect: PlatformEffect | Call, now: EpochMs) -> Result:
    """Return the result of an effect that is given up without a call, for whoever waits for what it brings, too."""
    begun = head.begun_at is not None
    told = turn.tell(head, "failed", now=now, reason=OUT_OF_TIME, begun=begun, folded=turn.folded(head))
    records = brought(head, effect, now=now, topics=turn.topics, error=OUT_OF_TIME)
    return turn.settled(now, (head, told), records=records)
