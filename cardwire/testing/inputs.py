"""What tests give to handlers: clicks, events, links, results and reminders, and the card as it is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from shared.app.interaction import Interaction
from shared.app.subject import CallResult, Reminder
from shared.core.decision import Card
from shared.core.events import Action, CallReturned, InteractionReceived, Operator, TimerFired
from shared.core.ids import AppId, ChatId, EventId, MessageId, OpenId, TenantKey
from shared.core.json_text import JsonText, json_text
from shared.core.races import Standing

NEW_YEAR: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""When things happen where a test does not say when."""


def click(
    action: str | None = None,
    *,
    value: Any = None,
    open_id: str = "ou_ada",
    message_id: str = "om_card",
    chat_id: str | None = "oc_group",
    tag: str = "button",
    name: str | None = None,
    form_value: Any = None,
    input_value: str | None = None,
    option: str | None = None,
    options: Sequence[str] | None = None,
    checked: bool | None = None,
    at: datetime = NEW_YEAR,
    event_id: str = "click-1",
) -> Interaction:
    """
    Return a click on a card.

    Args:
        action: The action's name, under the key ``action`` of the value (with another ``action_key``: give `value`).
        value: The component's value: any JSON; with `action` an object that is given the action besides.
        open_id: Who clicks.
        form_value: The submitted form, by component name.
        at: When; the handler's ``click.now``.
    """
    whole = value if action is None else {"action": action, **(value or {})}
    return Interaction(
        InteractionReceived(
            event_id=EventId(event_id),
            kind="card_action",
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            operator=Operator(open_id=OpenId(open_id)),
            message_id=MessageId(message_id),
            chat_id=None if chat_id is None else ChatId(chat_id),
            action=Action(
                tag=tag, name=name, value=_text(whole), form_value=_text(form_value), input_value=input_value,
                option=option, options=None if options is None else tuple(options), checked=checked,
            ),
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )  # fmt: skip


def event(event_type: str, body: Any = None, *, at: datetime = NEW_YEAR, event_id: str = "event-1") -> Interaction:
    """Return a subscribed event whose callback holds ``body`` under ``event``."""
    return Interaction(
        InteractionReceived(
            event_id=EventId(event_id),
            kind="event",
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            event_type=event_type,
            callback=json_text({"event": body}),
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )


def link(
    url: str,
    *,
    open_id: str = "ou_ada",
    message_id: str | None = "om_card",
    chat_id: str | None = "oc_group",
    at: datetime = NEW_YEAR,
    event_id: str = "link-1",
) -> Interaction:
    """Return a link that somebody's client wants to show; ``message_id=None``: it is still being typed."""
    return Interaction(
        InteractionReceived(
            event_id=EventId(event_id),
            kind="link_preview",
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            operator=Operator(open_id=OpenId(open_id)),
            message_id=None if message_id is None else MessageId(message_id),
            chat_id=None if chat_id is None else ChatId(chat_id),
            url=url,
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )


def result(
    name: str,
    value: Any = None,
    *,
    error: str | None = None,
    open_id: str = "ou_ada",
    message_id: str | None = "om_card",
    chat_id: str | None = "oc_group",
    at: datetime = NEW_YEAR,
    event_id: str = "click-1/1/returned",
) -> CallResult:
    """Return what a call of this name brought back: a value, or with ``error`` why it was given up."""
    return CallResult(
        CallReturned(
            event_id=EventId(event_id),
            origin=EventId(event_id.partition("/")[0]),
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            message_id=None if message_id is None else MessageId(message_id),
            chat_id=None if chat_id is None else ChatId(chat_id),
            operator=Operator(open_id=OpenId(open_id)),
            name=name,
            value=None if error is not None else json_text(value),
            error=error,
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )


def reminder(
    key: str = "reminder",
    *,
    due: datetime | None = None,
    open_id: str = "ou_ada",
    message_id: str | None = "om_card",
    chat_id: str | None = "oc_group",
    at: datetime = NEW_YEAR,
    event_id: str = "click-1/1/fired",
) -> Reminder:
    """Return a reminder of this key that came; ``due``: when it was to come, if that was earlier."""
    return Reminder(
        TimerFired(
            event_id=EventId(event_id),
            origin=EventId(event_id.partition("/")[0]),
            app_id=AppId("cli_test"),
            tenant_key=TenantKey("tenant"),
            message_id=None if message_id is None else MessageId(message_id),
            chat_id=None if chat_id is None else ChatId(chat_id),
            operator=Operator(open_id=OpenId(open_id)),
            key=key,
            due=_ms(due or at),
            occurred_at=_ms(at),
            received_at=_ms(at),
        )
    )


def card(
    *,
    state: Any = None,
    content: Any = None,
    version: int = 1,
    winners: Mapping[str, Sequence[str]] | None = None,
    voters: Mapping[str, Sequence[str]] | None = None,
) -> Card:
    """
    Return a card as earlier decisions left it: their state, and the card JSON that we intend to show.

    Args:
        winners: By handler's name, the open ids whose clicks its race rule let through.
        voters: By handler's name, the open ids that were counted towards its quorum.
    """
    rules = {
        name: Standing(winners=_people(winners, name), voters=_people(voters, name))
        for name in {**(winners or {}), **(voters or {})}
    }
    return Card(version=version, state_text=_text(state), content_text=_text(content), rules=rules)


def _text(value: Any) -> JsonText | None:
    return None if value is None else json_text(value)


def _people(by_handler: Mapping[str, Sequence[str]] | None, name: str) -> tuple[OpenId, ...]:
    return tuple(OpenId(who) for who in (by_handler or {}).get(name, ()))


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
