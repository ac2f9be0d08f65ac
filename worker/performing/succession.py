"""
What follows when a card is past its time and its author wants the new one sent instead (pure).

It goes through the log as a request of our own, under the old card's key and with an id that is derived from the old
card: the claim lets it be decided once, however many updates come too late.
"""

from shared.core.codec import encode
from shared.core.effects import PlatformEffect, Reply, SendCard, UpdateCard
from shared.core.events import EVERYBODY, OURSELVES, RequestReceived, request_event_id, successor_request_id
from shared.core.json_text import EpochMs
from shared.eventlog.port import NewRecord, Topics
from worker.ledger.port import Head


def succession(effect: PlatformEffect, head: Head, *, now: EpochMs, topics: Topics) -> list[NewRecord]:
    """Return the request that sends an expired update's card, if that is wanted; what one person saw stays theirs."""
    if not isinstance(effect, UpdateCard) or head.message_id is None or head.audience != EVERYBODY:
        return []
    if effect.on_expired == "skip":
        return []
    replies = effect.on_expired == "reply"
    instead = Reply(card=effect.card, message_id=head.message_id) if replies else SendCard(effect.card)
    request_id = successor_request_id(head.message_id)
    request = RequestReceived(
        event_id=request_event_id(OURSELVES, request_id),
        app_id=head.app_id,
        tenant_key=head.tenant_key,
        message_id=head.message_id,
        caller=OURSELVES,
        request_id=request_id,
        effects=(instead,),
        occurred_at=now,
        received_at=now,
    )
    return [NewRecord.of(topics.interactions, encode(request))]
