"""What a verdict makes of its card's row, and of the fact that tells it (pure)."""

from shared.app.next_card import Change, next_card
from shared.core.decision import Card
from shared.core.events import Asked, CardSeen, Decided, InteractionReceived, RequestReceived, shown_by
from shared.core.ids import ChatId, DeliveryKey
from shared.core.json_text import EpochMs
from worker.deciding.batch import Taken
from worker.deciding.verdict import Verdict
from worker.ledger.decided import CardRow


def next_row(row: CardRow | None, asked: Asked, verdict: Verdict) -> CardRow | None:
    """Return the card's row after a decision; ``None`` where nothing about the card is known or changes."""
    change = Change(
        decides=verdict.result == "decided",
        state=verdict.state,
        content=verdict.content,
        handler=verdict.handler.name if verdict.handler else None,
        added=verdict.added,
    )
    after = next_card(_card(row), change)
    if asked.message_id is None or after is None:
        return None
    newest = row.newest_at if row else None
    return CardRow(
        app_id=asked.app_id,
        message_id=asked.message_id,
        version=after.version,
        state=after.state_text,
        content=after.content_text,
        # Nobody's click is late because of one that merely counted.
        newest_at=_newest(newest, asked) if change.decides or change.content is not None else newest,
        rules=after.rules,
    )


def _card(row: CardRow | None) -> Card:
    if row is None:
        return Card()
    return Card(version=row.version, state_text=row.state, content_text=row.content, rules=row.rules)


def fact_of(
    taken: Taken, asked: Asked, verdict: Verdict, row: CardRow | None, *, redrive: int, now: EpochMs
) -> Decided:
    """
    Return the fact that tells a verdict.

    Args:
        row: The card's, after it.
        redrive: Which redrive of the input this is; 0: none.
        now: The ledger's time when the batch was read (ms).
    """
    return Decided(
        event_id=asked.event_id,
        app_id=asked.app_id,
        tenant_key=asked.tenant_key,
        message_id=asked.message_id,
        partition=taken.record.partition,
        offset=taken.record.offset,
        delivery_key=delivery_key_of(asked),
        result=verdict.result,
        redrive=redrive,
        handler=verdict.handler.name if verdict.handler else None,
        digest=verdict.handler.digest if verdict.handler else None,
        reason=verdict.reason,
        version=row.version if row else 0,
        state=row.state if row else None,
        content=row.content if row and row.content != shown_by(verdict.effects) else None,
        newest_at=row.newest_at if row else None,
        late=verdict.late,
        parks=verdict.parks,
        seen=_seen(verdict.seen),
        winners=verdict.added.winners,
        voters=verdict.added.voters,
        request_id=asked.request_id if isinstance(asked, RequestReceived) else None,
        open_id=None if isinstance(asked, RequestReceived) else asked.operator.open_id,
        occurred_at=asked.occurred_at,
        decided_at=now,
        effects=verdict.effects,
        requests=tuple(request.event_id for request in verdict.requests),
    )


def delivery_key_of(asked: Asked) -> DeliveryKey | None:
    """Return what tells a second delivery; a request has its caller's own id for that."""
    return asked.delivery_key if isinstance(asked, InteractionReceived) else None


def _newest(before: EpochMs | None, asked: Asked) -> EpochMs | None:
    """Return the time of the newest click, which nothing else is: no person's click is late because of a program."""
    if not isinstance(asked, InteractionReceived):
        return before
    return asked.occurred_at if before is None else max(before, asked.occurred_at)


def _seen(card: Card | None) -> CardSeen | None:
    if card is None:
        return None
    return CardSeen(version=card.version, chat_id=ChatId(card.chat_id) if card.chat_id else None, sent_at=card.sent_at)
