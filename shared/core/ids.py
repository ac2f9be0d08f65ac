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
