"""Facts for tests: clicks and marks with sensible defaults, as values, records and batches."""

from collections.abc import Iterable
from typing import Any

import msgspec

from shared.core.codec import encode
from shared.core.events import (
    Action,
    Event,
    InteractionAnswered,
    InteractionReceived,
    Operator,
    RedriveRequested,
)
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import json_text
from shared.eventlog.port import Record, Topics

APP = AppId("cli_a1b2c3d4e5f60718")
TENANT = TenantKey("t1")
CHAT = ChatId("oc_1")
CARD = MessageId("om_1")
NOW = 1_750_000_000_000
TOPICS = Topics()


def click(
    event_id: str = "e1", *, value: Any = None, message_id: str | None = CARD, **fields: Any
) -> InteractionReceived:
    """Return a click on a button whose value is ``{"action": "follow_up"}`` unless told otherwise."""
    given: dict[str, Any] = {
        "event_id": EventId(event_id),
        "kind": "card_action",
        "app_id": APP,
        "tenant_key": TENANT,
        "operator": Operator(open_id=OpenId("ou_1")),
        "message_id": MessageId(message_id) if message_id else None,
        "chat_id": CHAT,
        "action": Action(tag="button", value=json_text({"action": "follow_up"} if value is None else value)),
        "occurred_at": NOW,
        "received_at": NOW,
    }
    return InteractionReceived(**{**given, **fields})


def mark(of: InteractionReceived, *, delivered: bool = True, answered_at: int = NOW) -> InteractionAnswered:
    """Return the answered mark of a click."""
    return InteractionAnswered(
        event_id=of.event_id,
        app_id=of.app_id,
        tenant_key=of.tenant_key,
        message_id=of.message_id,
        delivered=delivered,
        answered_at=answered_at,
    )


def redrive(event_id: str, n: int, *, message_id: str | None = CARD, app_id: str = APP) -> RedriveRequested:
    """Return the wish that a failed input is decided again."""
    return RedriveRequested(
        event_id=EventId(event_id),
        n=n,
        app_id=AppId(app_id),
        tenant_key=TENANT,
        message_id=MessageId(message_id) if message_id else None,
        requested_at=NOW,
    )


def record(event: Event, *, partition: int = 0, offset: int = 0) -> Record:
    """Return the record of an event."""
    encoded = encode(event)
    return Record(
        topic=TOPICS.interactions,
        partition=partition,
        offset=offset,
        key=encoded.key,
        value=encoded.value,
        headers=encoded.headers,
        timestamp=encoded.timestamp,
    )


def records(events: Iterable[Event], *, partition: int = 0, offset: int = 0) -> list[Record]:
    """Return the records of events that follow each other in one partition."""
    return [record(event, partition=partition, offset=offset + at) for at, event in enumerate(events)]


def changed(of: InteractionReceived, **fields: Any) -> InteractionReceived:
    """Return a click with other fields."""
    return msgspec.structs.replace(of, **fields)
