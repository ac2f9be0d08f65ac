"""Identifiers, each of its own type, so that a swap is a type error and not a lost click."""

from typing import NewType

AppId = NewType("AppId", str)
"""A Feishu/Lark application, ``cli_…``."""

TenantKey = NewType("TenantKey", str)
"""The organisation that a callback came from or a call is made in."""

EventId = NewType("EventId", str)
"""What makes an input unique: ``header.event_id``, a p1 ``uuid``, or a digest of the verified signature."""

DeliveryKey = NewType("DeliveryKey", str)
"""SHA-256 of ``X-Request-Id`` and the raw body: the same bytes delivered twice, whatever event id they got."""

MessageId = NewType("MessageId", str)
"""A message in a chat (``om_…``); callbacks call it ``open_message_id``. A card is known by it."""

ChatId = NewType("ChatId", str)
"""A chat (``oc_…``); callbacks call it ``open_chat_id``."""

OpenId = NewType("OpenId", str)
"""A person as one app sees them (``ou_…``)."""

OrderingKey = NewType("OrderingKey", str)
"""What the log partitions by: records with the same key keep their order."""

Target = NewType("Target", str)
"""What an effect acts on, and what is paced and leased as one: ``message:om_…``, ``chat:oc_…``, ``user:ou_…``."""


def ordering_key(app_id: AppId, message_id: MessageId | None, event_id: EventId) -> OrderingKey:
    """
    Return the log key of a record: its card's, else its event's.

    Marks, results and redrives pass the message (or event) of the interaction they descend from,
    so that a card's whole story lies in one partition, in order.
    """
    return OrderingKey(f"{app_id}:{message_id or event_id}")


def message_target(message_id: MessageId) -> Target:
    """Return the target of calls that change one card."""
    return Target(f"message:{message_id}")


def chat_target(chat_id: ChatId) -> Target:
    """Return the target of calls that change or write to one chat."""
    return Target(f"chat:{chat_id}")


def chat_of_message_target(message_id: MessageId) -> Target:
    """Return the target of a call to a chat not known yet: the pump asks the platform, then moves the effect."""
    return Target(f"chat-of:{message_id}")


def shown_target(target: Target) -> str:
    """Return a target as it may stand in a line for people: a person may be addressed by e-mail."""
    kind, _, whom = target.partition(":")
    return kind if kind == "user" and "@" in whom else target


def user_target(user: str) -> Target:
    """Return the target of messages to one person (open id, union id, user id or e-mail)."""
    return Target(f"user:{user}")


def call_target(event_id: EventId, index: int) -> Target:
    """Return the target of a call that brings something back: one of its own, which waits for no other."""
    return Target(f"call:{event_id}/{index}")


def timer_target(of: MessageId | EventId, key: str) -> Target:
    """Return the target of a card's reminders of one key, or of those of an interaction that is about no card."""
    return Target(f"timer:{of}/{key}")
