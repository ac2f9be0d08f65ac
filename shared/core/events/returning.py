"""What comes back to be decided: a call's result, a reminder, an input that failed."""

import re
from typing import Final

import msgspec

from shared.core.ids import AppId, ChatId, EventId, MessageId, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.core.people import Operator

_CAME_BACK: Final = re.compile(r"(?:/\d+/(?:returned|fired))+\Z")


def returned_event_id(event_id: EventId, index: int) -> EventId:
    """Return the identity of what an effect brought back: once, however often it is done."""
    return EventId(f"{event_id}/{index}/returned")


class CallReturned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A call came back, or was given up: the user's own function, or a question to the platform.

    Attributes:
        event_id: ``<event>/<index>/returned``: of the decision that asked, and which of its effects.
        origin: The interaction, or the request, with which it began.
        message_id: The card of that interaction; `chat_id` its chat, `operator` whose it was.
        clicked_at: When that interaction was decided (ms, ledger's clock), if it was a click: its answer may have been
            under way.
        name: What was called.
        value: JSON text of what came back; ``null`` where that is nothing.
        error: Why nothing came back, in words; absent if something did.
        occurred_at: When it was known (ms, ledger's clock); `received_at` the same.
    """

    event_id: EventId
    origin: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    chat_id: ChatId | None = None
    operator: Operator = Operator()
    clicked_at: EpochMs | None = None
    name: str
    value: JsonText | None = None
    error: str | None = None
    occurred_at: EpochMs
    received_at: EpochMs

    def __repr__(self) -> str:
        """Name the call and nothing of what it brought."""
        return f"CallReturned({self.event_id!r}, name={self.name!r}, failed={self.error is not None})"


def origin_of(event_id: EventId) -> EventId:
    """Return the id of the interaction, or the request, from which something came back or came due; or itself."""
    return EventId(_CAME_BACK.sub("", event_id))


def fired_event_id(event_id: EventId, index: int) -> EventId:
    """Return the identity of a reminder that came."""
    return EventId(f"{event_id}/{index}/fired")


class TimerFired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A reminder came.

    Attributes:
        event_id: ``<event>/<index>/fired``: of the decision that asked for it, and which of its effects.
        origin: The interaction, or the request, with which it began.
        message_id: The card of that interaction; `chat_id` its chat, `operator` whose it was.
        clicked_at: When that interaction was decided (ms, ledger's clock), if it was a click: its answer may have been
            under way.
        key: Which reminder of the card.
        due: When it was to come (ms).
        occurred_at: When it came (ms, ledger's clock); `received_at` the same.
    """

    event_id: EventId
    origin: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    chat_id: ChatId | None = None
    operator: Operator = Operator()
    clicked_at: EpochMs | None = None
    key: str
    due: EpochMs
    occurred_at: EpochMs
    received_at: EpochMs


class RedriveRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    An operator wants a failed input to be decided once more: done only if it still is one that failed.

    Attributes:
        event_id: The input's; this record's own id is ``<event>/redrive/<n>``.
        n: Counts the redrives of the input from 1: each is done once.
        message_id: The input's card.
        requested_at: When it was asked for (ms).
    """

    event_id: EventId
    n: int
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    requested_at: EpochMs
