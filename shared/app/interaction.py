"""What a handler sees of a click or an event."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.core.events import Action, InteractionKind, InteractionReceived, Operator
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import JsonText, json_value
from shared.core.races import NOBODY_YET, Standing


@dataclass(frozen=True, slots=True)
class Interaction:
    """
    A click on a card, a link to preview, or an event: read-only, and the same however often it is decided.

    JSON that other people wrote (`value`, `form_value`, `callback`) is read by the standard library's parser when
    it is asked for; every access returns fresh objects, yours to change.

    Attributes:
        received: The fact as it lies in the log, with everything that has no property here.
        standing: How its handler's race stands on its card, this click included.
    """

    received: InteractionReceived
    standing: Standing = NOBODY_YET

    @property
    def event_id(self) -> EventId:
        """What makes this interaction unique: two clicks never share one, two deliveries of one click do."""
        return self.received.event_id

    @property
    def kind(self) -> InteractionKind:
        """How it arrived: ``card_action``, ``card_action_v1`` (the legacy callback), ``link_preview`` or ``event``."""
        return self.received.kind

    @property
    def app_id(self) -> AppId:
        """The app that was called (``cli_…``)."""
        return self.received.app_id

    @property
    def tenant_key(self) -> TenantKey:
        """The organisation that it came from."""
        return self.received.tenant_key

    @property
    def operator(self) -> Operator:
        """Who clicked: ``open_id``, and where the app may see them ``user_id`` and ``union_id``."""
        return self.received.operator

    @property
    def message_id(self) -> MessageId | None:
        """The card's message (``om_…``); ``None`` for events that are about no card."""
        return self.received.message_id

    @property
    def chat_id(self) -> ChatId | None:
        """The chat (``oc_…``) that the card was clicked in, where the platform says so."""
        return self.received.chat_id

    @property
    def action(self) -> Action:
        """What was clicked: ``tag``, ``name``, ``option``, ``options``, ``checked``, ``input_value``, ``timezone``."""
        return self.received.action

    @property
    def value(self) -> Any:
        """The component's own ``value``: any JSON, ``None`` if it has none."""
        return _parsed(self.received.action.value)

    @property
    def form_value(self) -> Any:
        """The submitted form, by component name; ``None`` outside a form."""
        return _parsed(self.received.action.form_value)

    @property
    def event_type(self) -> str | None:
        """The type of a subscribed event, as given to `App.on_event`; ``None`` for clicks."""
        return self.received.event_type

    @property
    def event(self) -> Any:
        """
        What the event tells, as its document names it; ``None`` if nothing.

        Of clicks and links it is there only where callbacks are kept (``CARDWIRE_KEEP_CALLBACK``).
        """
        callback = self.callback
        return callback.get("event") if isinstance(callback, dict) else None

    @property
    def url(self) -> str | None:
        """The link: of a preview the one to show, of a click the one whose preview was clicked."""
        return self.received.url

    @property
    def callback(self) -> Any:
        """The whole callback as decoded, less its tokens; ``None`` where keeping those of clicks is switched off."""
        return _parsed(self.received.callback)

    @property
    def voters(self) -> tuple[OpenId, ...]:
        """Who has been counted towards the handler's ``quorum``, in the order of their clicks, this one included."""
        return self.standing.voters

    @property
    def winners(self) -> tuple[OpenId, ...]:
        """Whose clicks the handler's race rule let through, in their order, this one included if it is one of them."""
        return self.standing.winners

    @property
    def now(self) -> datetime:
        """
        The time that a handler may go by: when the gateway received this, in UTC.

        Handlers have no clock, so that deciding the same click again gives the same decision.
        """
        return datetime.fromtimestamp(self.received.received_at / 1000, UTC)


def _parsed(text: JsonText | None) -> Any:
    return None if text is None else json_value(text)
