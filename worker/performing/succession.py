"""
What follows when a card is past its time and its author wants the new one sent instead (pure).

It goes through the log as a request of our own, under the old card's key and with an id that is derived from the old
card: the claim lets it be decided once, however many updates come too late. When it has been sent, what else is decided
for the old card is shown there: by a request about the new card, which is decided in that card's turn.
"""

from shared.core.codec import encode
from shared.core.effects import PlatformEffect, Reply, SendCard, UpdateCard
from shared.core.events import EVERYBODY, OURSELVES, RequestReceived, request_event_id, successor_request_id
from shared.core.ids import MessageId
from shared.core.json_text import EpochMs
from shared.eventlog.port import NewRecord, Topics
from worker.ledger.leased import FaceRow, Head


def succession(
    effect: PlatformEffect, head: Head, *, face: FaceRow | None, now: EpochMs, topics: Topics
) -> list[NewRecord]:
    """
    Return the request that shows an expired update's card, if that is wanted; what one person saw stays theirs.

    Args:
        face: What is known of the old card: also the new one that was sent in its place, once it was.
    """
    if not isinstance(effect, UpdateCard) or head.message_id is None or head.audience != EVERYBODY:
        return []
    if effect.on_expired == "skip":
        return []
    if face is not None and face.successor is not None:
        request = _on_successor(effect, head, face.successor, now)
    else:
        request = _successor(effect, head, head.message_id, now)
    return [NewRecord.of(topics.interactions, encode(request, traceparent=head.traceparent))]


def _successor(effect: UpdateCard, head: Head, message_id: MessageId, now: EpochMs) -> RequestReceived:
    replies = effect.on_expired == "reply"
    instead = Reply(card=effect.card, message_id=message_id) if replies else SendCard(effect.card)
    return _request(successor_request_id(message_id), instead, head, message_id, now)


def _on_successor(effect: UpdateCard, head: Head, successor: MessageId, now: EpochMs) -> RequestReceived:
    there = UpdateCard(effect.card, message_id=successor, on_expired=effect.on_expired)
    return _request(f"{head.event_id}/{head.index}", there, head, successor, now)


def _request(
    request_id: str, effect: UpdateCard | Reply | SendCard, head: Head, message_id: MessageId, now: EpochMs
) -> RequestReceived:
    return RequestReceived(
        event_id=request_event_id(OURSELVES, request_id),
        app_id=head.app_id,
        tenant_key=head.tenant_key,
        message_id=message_id,
        caller=OURSELVES,
        request_id=request_id,
        effects=(effect,),
        occurred_at=now,
        received_at=now,
    )
