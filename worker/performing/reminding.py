"""Reminders that are due, or cancelled: neither takes a call (pure)."""

from datetime import timedelta
from typing import Final

from shared.core.codec import encode
from shared.core.effects import CancelReminder, Remind
from shared.core.events import TimerFired, fired_event_id
from shared.core.json_text import EpochMs
from shared.eventlog.port import NewRecord
from worker.ledger.leased import Head
from worker.performing.outcome import tell
from worker.performing.returning import descent
from worker.performing.turn import Result, Turn

_MS: Final = timedelta(milliseconds=1)


def reminded(turn: Turn, head: Head, effect: Remind | CancelReminder, now: EpochMs) -> Result:
    """Return what a reminder comes to whose time has come, or the wish that none comes: the older ones are gone."""
    if isinstance(effect, CancelReminder):
        told = tell(head, "succeeded", now=now, topics=turn.topics, reason="cancelled")
        return turn.settled(now, (head, told))
    fact = TimerFired(
        event_id=fired_event_id(head.event_id, head.index),
        **descent(head, effect.origin, now),
        key=effect.key,
        due=head.received_at + effect.after // _MS,
    )
    told = tell(head, "succeeded", now=now, topics=turn.topics, reason="reminded")
    return turn.settled(
        now, (head, told), records=[NewRecord.of(turn.topics.interactions, encode(fact, traceparent=head.traceparent))]
    )
