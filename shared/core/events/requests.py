"""What programs ask for, and what decisions ask of other cards."""

from typing import Final

import msgspec

from shared.core.effects import Requestable
from shared.core.ids import AppId, EventId, MessageId, TenantKey
from shared.core.json_text import EpochMs

OURSELVES: Final = "worker"
"""The caller of requests that decisions make: updates of other cards than the one that was clicked."""

_EXPIRED: Final = "expired/"


def successor_request_id(message_id: MessageId) -> str:
    """Return the id of the request that sends a card in place of one past its time: one for each card, so once."""
    return f"{_EXPIRED}{message_id}"


def sends_a_successor(event_id: EventId) -> bool:
    """Say whether an effect of this event sends a card in place of one past its time."""
    return event_id.startswith(f"req/{OURSELVES}/{_EXPIRED}")


COMMAND_LINE: Final = "cli"
"""The caller of requests that `cardwire send` makes."""


def request_event_id(caller: str, request_id: str) -> EventId:
    """Return the identity of a request: the caller's own id, which no other caller can use up."""
    return EventId(f"req/{caller}/{request_id}")


class RequestReceived(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A program asked for effects: about one card or about none, decided in the card's turn, without a handler.

    Attributes:
        event_id: ``req/<caller>/<request_id>``: who sends the same id again means the same request.
        tenant_key: Of the interaction that it descends from; empty where the app has one organisation.
        message_id: The card that it is about, the only one that it may update.
        caller: Who asked: a name of the settings, ``cli``, or ``worker`` where a decision updates another card.
        request_id: The caller's own id.
        effects: What is to be done, in this order where it is about the same card or chat.
        occurred_at: When it was asked for (ms); of one that a decision made, its interaction's time.
        received_at: When the gateway had the whole request (ms).
    """

    event_id: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    caller: str
    request_id: str
    effects: tuple[Requestable, ...]
    occurred_at: EpochMs
    received_at: EpochMs

    def __repr__(self) -> str:
        """Name the request and nothing of what is to be shown."""
        return f"RequestReceived({self.event_id!r}, message_id={self.message_id!r}, effects={len(self.effects)})"
