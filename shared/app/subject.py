"""What handlers decide: a click, a link, an event; what a call brought back; a reminder that came."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

from shared.app.interaction import Interaction
from shared.core.events import CallReturned, Heard, InteractionReceived, TimerFired
from shared.core.ids import AppId, ChatId, EventId, MessageId, TenantKey
from shared.core.json_text import json_value
from shared.core.people import Operator


@dataclass(frozen=True, slots=True)
class CallResult:
    """
    What a call brought back, or why it was given up: read-only, and the same however often it is decided.

    Attributes:
        returned: The fact as it lies in the log.
    """

    returned: CallReturned

    @property
    def event_id(self) -> EventId:
        """What makes this result unique."""
        return self.returned.event_id

    @property
    def kind(self) -> str:
        """``result``: as opposed to the kinds of an `Interaction`."""
        return "result"

    @property
    def name(self) -> str:
        """What was called: the name of a function, or the one that a question to the platform was given."""
        return self.returned.name

    @property
    def value(self) -> Any:
        """What it returned, any JSON: each access returns fresh objects, yours to change. ``None`` if it failed."""
        return None if self.returned.value is None else json_value(self.returned.value)

    @property
    def error(self) -> str | None:
        """Why it was given up, in words; ``None`` if it succeeded."""
        return self.returned.error

    @property
    def origin(self) -> EventId:
        """The id of the interaction with which it began."""
        return self.returned.origin

    @property
    def operator(self) -> Operator:
        """Who clicked, where it began with a click."""
        return self.returned.operator

    @property
    def app_id(self) -> AppId:
        """The app (``cli_…``)."""
        return self.returned.app_id

    @property
    def tenant_key(self) -> TenantKey:
        """The organisation."""
        return self.returned.tenant_key

    @property
    def message_id(self) -> MessageId | None:
        """The card that it is about (``om_…``), if any."""
        return self.returned.message_id

    @property
    def chat_id(self) -> ChatId | None:
        """The chat of that card, where it is known."""
        return self.returned.chat_id

    @property
    def now(self) -> datetime:
        """The time that a handler may go by: when it returned, in UTC."""
        return datetime.fromtimestamp(self.returned.received_at / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Reminder:
    """
    A reminder that came: read-only, and the same however often it is decided.

    Attributes:
        fired: The fact as it lies in the log.
    """

    fired: TimerFired

    @property
    def event_id(self) -> EventId:
        """What makes this reminder unique."""
        return self.fired.event_id

    @property
    def kind(self) -> str:
        """``reminder``: as opposed to the kinds of an `Interaction`."""
        return "reminder"

    @property
    def key(self) -> str:
        """Which reminder of the card."""
        return self.fired.key

    @property
    def due(self) -> datetime:
        """When it was to come, in UTC: it never comes earlier, and later if nobody was there."""
        return datetime.fromtimestamp(self.fired.due / 1000, UTC)

    @property
    def origin(self) -> EventId:
        """The id of the interaction with which it began."""
        return self.fired.origin

    @property
    def operator(self) -> Operator:
        """Who clicked, where it began with a click."""
        return self.fired.operator

    @property
    def app_id(self) -> AppId:
        """The app (``cli_…``)."""
        return self.fired.app_id

    @property
    def tenant_key(self) -> TenantKey:
        """The organisation."""
        return self.fired.tenant_key

    @property
    def message_id(self) -> MessageId | None:
        """The card that it is about (``om_…``), if any."""
        return self.fired.message_id

    @property
    def chat_id(self) -> ChatId | None:
        """The chat of that card, where it is known."""
        return self.fired.chat_id

    @property
    def now(self) -> datetime:
        """The time that a handler may go by: when it came, in UTC."""
        return datetime.fromtimestamp(self.fired.received_at / 1000, UTC)


Subject = Interaction | CallResult | Reminder
"""What a handler is given."""


def subject_of(heard: Heard) -> Subject:
    """Return a fact as its handler sees it."""
    match heard:
        case InteractionReceived():
            return Interaction(heard)
        case CallReturned():
            return CallResult(heard)
        case TimerFired():
            return Reminder(heard)
        case _ as unreachable:
            assert_never(unreachable)


def fact_of(subject: Subject) -> Heard:
    """Return the fact that a handler was given."""
    match subject:
        case Interaction(received=received):
            return received
        case CallResult(returned=returned):
            return returned
        case Reminder(fired=fired):
            return fired
        case _ as unreachable:
            assert_never(unreachable)
