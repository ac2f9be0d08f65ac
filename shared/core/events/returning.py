"""
What comes back to be decided: a call's result, a reminder, an input that failed.

What comes back may have something done again, and that comes back, too: a reminder that sets itself anew each day does
so for months. Its id tells the whole way from the interaction with which it began, until that way is long; then it
tells a digest of it: `CHAIN_CHARS` bounds what an id is longer than its origin's.
"""

import base64
import hashlib
import re
from typing import Final

import msgspec

from shared.core.ids import AppId, ChatId, EventId, MessageId, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.core.people import Operator

CHAIN_CHARS: Final = 128
"""
Sixteen reminders in a row. Ids are keys of the ledger, where PostgreSQL allows 2,700 bytes, and stand in every record
and every line.
"""

_CAME_BACK: Final = re.compile(r"(?:/~[a-z2-7]{26})?(?:/\d+/(?:returned|fired))+\Z")
"""A digest of the way so far, if that was long, and what came since."""


def returned_event_id(event_id: EventId, index: int) -> EventId:
    """Return the identity of what an effect brought back: once, however often it is done."""
    return _after(event_id, f"/{index}/returned")


class CallReturned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A call came back, or was given up: the user's own function, or a question to the platform.

    Attributes:
        event_id: ``<event>/<index>/returned``: of the decision that asked, and which of its effects; where the event
            came back itself, time and again, a digest stands for the way of it: ``<origin>/~<digest>/…``.
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
    return _after(event_id, f"/{index}/fired")


def _after(event_id: EventId, step: str) -> EventId:
    origin = origin_of(event_id)
    if len(event_id) + len(step) - len(origin) <= CHAIN_CHARS:
        return EventId(f"{event_id}{step}")
    digest = hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).digest()
    return EventId(f"{origin}/~{base64.b32encode(digest[:16]).decode().rstrip('=').lower()}{step}")


class TimerFired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A reminder came.

    Attributes:
        event_id: ``<event>/<index>/fired``: of the decision that asked for it, and which of its effects; with a digest
            as in `CallReturned`.
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
