"""What an effect brought back, as the record that is decided (pure)."""

from typing import Any, Final

from shared.core.codec import encode
from shared.core.effects import Asking, Call, Effect, Origin
from shared.core.effects.returning import ANSWER_BYTES
from shared.core.events import CallReturned, returned_event_id
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import NewRecord, Topics
from worker.ledger.leased import Head

TOO_LARGE: Final = "too_large"


def brought(
    head: Head,
    effect: Effect,
    *,
    now: EpochMs,
    topics: Topics,
    value: JsonText | None = None,
    error: str | None = None,
) -> list[NewRecord]:
    """
    Return the record of what came back, if somebody is to hear of it.

    Args:
        value: What came back, or ``error``: why nothing did.
    """
    if not isinstance(effect, Call | Asking) or effect.name is None:
        return []
    fact = CallReturned(
        event_id=returned_event_id(head.event_id, head.index),
        **descent(head, effect.origin, now),
        name=effect.name,
        value=value,
        error=error,
    )
    return [NewRecord.of(topics.interactions, encode(fact, traceparent=head.traceparent))]


def descent(head: Head, origin: Origin | None, now: EpochMs) -> dict[str, Any]:
    """
    Return what is told alike of all that comes back: where it began, whose it was, and when it came.

    All times are the ledger's, the click's as well: whoever decides what came back waits for the click's answer, and
    takes the ledger's time from it. A gateway's clock may be seconds away from that.
    """
    origin = origin or Origin(event_id=head.event_id)
    is_clicks_own = origin.clicked_at is not None and origin.event_id == head.event_id
    return {
        "origin": origin.event_id,
        "app_id": head.app_id,
        "tenant_key": head.tenant_key,
        "message_id": head.message_id,
        "chat_id": origin.chat_id,
        "operator": origin.operator,
        "clicked_at": head.decided_at if is_clicks_own else origin.clicked_at,
        "occurred_at": now,
        "received_at": now,
    }


def too_large(value: JsonText | None) -> str | None:
    """Return why this may not come back, if it may not."""
    size = 0 if value is None else len(value.encode())
    return f"what came back has {size} bytes: at most {ANSWER_BYTES}" if size > ANSWER_BYTES else None
