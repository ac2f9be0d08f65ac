"""What comes from people: a click, a link, an event; and that it was answered."""

from typing import Literal

import msgspec

from shared.core.answers import CustomAnswer, Inline
from shared.core.cards import Toast
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId, MessageId, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.core.people import Operator

InteractionKind = Literal["card_action", "card_action_v1", "link_preview", "event"]
"""How it arrived: new card callback, legacy card callback, link preview, subscribed event."""

CARD_ACTIONS = frozenset[InteractionKind]({"card_action", "card_action_v1"})
"""The kinds that a person waits for an answer to: they are followed by an answered mark."""


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What was clicked, and with which data.

    Attributes:
        tag: The component's tag (``button``, ``select_static`` …): an open set.
        name: The component's name, inside a form.
        value: JSON text of the component's own value, exactly as received: any JSON.
        form_value: JSON text of the submitted form, exactly as received.
        input_value: Text of an input outside a form.
        option: The choice of a single-choice component outside a form.
        options: The choices of a multi-choice component outside a form.
        checked: State of a checker outside a form.
        timezone: The clicker's time zone, where the platform sends it.
    """

    tag: str | None = None
    name: str | None = None
    value: JsonText | None = None
    form_value: JsonText | None = None
    input_value: str | None = None
    option: str | None = None
    options: tuple[str, ...] | None = None
    checked: bool | None = None
    timezone: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What the caller was answered within its 3 seconds, chosen before the interaction was appended.

    Attributes:
        rule: Whose answer it is: a handler's name, or ``default``.
        toast: The toast, if any.
        card: JSON text of the card, if the answer replaced it; of a link preview, the card below the link.
        inline: What a previewed link was shown as.
        custom: A status and body of the author's own; then there is nothing else.
    """

    rule: str = "default"
    toast: Toast | None = None
    card: JsonText | None = None
    inline: Inline | None = None
    custom: CustomAnswer | None = None


class InteractionReceived(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    Somebody clicked, or something happened: a verified callback, normalized.

    Attributes:
        occurred_at: The platform's time of the click (ms); `received_at` where it cannot be read.
        received_at: When the gateway had the whole request (ms).
        card_token: The card's update token: useless without the app's secret, secret all the same.
        request_id: ``X-Request-Id``; not signed, so never an identity by itself.
        delivery_key: Same key, same bytes delivered again.
        app_ticket: What a store app gets its access tokens with, if this is the event that brings it: a secret.
        callback: JSON text of the decoded body less every token, so that fields can be derived later.
    """

    event_id: EventId
    kind: InteractionKind
    app_id: AppId
    tenant_key: TenantKey
    operator: Operator = Operator()
    message_id: MessageId | None = None
    chat_id: ChatId | None = None
    host: str | None = None
    delivery_type: str | None = None
    url: str | None = None
    action: Action = Action()
    event_type: str | None = None
    card_token: str | None = None
    preview_token: str | None = None
    answer: Answer = Answer()
    occurred_at: EpochMs
    received_at: EpochMs
    request_id: str | None = None
    delivery_key: DeliveryKey | None = None
    app_ticket: str | None = None
    callback: JsonText | None = None

    def __repr__(self) -> str:
        """Name the event and nothing that a person typed or a token."""
        return f"InteractionReceived({self.event_id!r}, kind={self.kind!r}, message_id={self.message_id!r})"


class InteractionAnswered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    The answered mark: the last byte of the answer was written, so updates may follow.

    Attributes:
        delivered: False when the client had gone before the answer was written.
        answered_at: The gateway's time (ms).
    """

    event_id: EventId
    app_id: AppId
    tenant_key: TenantKey
    message_id: MessageId | None = None
    delivered: bool = True
    answered_at: EpochMs
