"""
Targets: what effects act on, as text that says of which kind it is and which one.

Nobody else puts them together or takes them apart.
"""

from typing import Final

from shared.core.ids import ChatId, EventId, MessageId, Target

_CARD: Final = "message:"
_CHAT: Final = "chat:"
_CHAT_OF: Final = "chat-of:"
_PERSON: Final = "user:"
_PREVIEW: Final = "preview:"
_TIMER: Final = "timer:"


def message_target(message_id: MessageId) -> Target:
    """Return the target of calls that change one card."""
    return Target(f"{_CARD}{message_id}")


def chat_target(chat_id: ChatId) -> Target:
    """Return the target of calls that change or write to one chat."""
    return Target(f"{_CHAT}{chat_id}")


def chat_of_message_target(message_id: MessageId) -> Target:
    """Return the target of a call to a chat not known yet: the pump asks the platform, then moves the effect."""
    return Target(f"{_CHAT_OF}{message_id}")


def user_target(user: str) -> Target:
    """Return the target of messages to one person (open id, union id, user id or e-mail)."""
    return Target(f"{_PERSON}{user}")


def preview_target(known_by: str) -> Target:
    """Return the target of refreshes of one link's preview; ``known_by`` tells nobody its token."""
    return Target(f"{_PREVIEW}{known_by}")


def call_target(event_id: EventId, index: int) -> Target:
    """Return the target of a call that brings something back: one of its own, which waits for no other."""
    return Target(f"call:{event_id}/{index}")


def timer_target(of: MessageId | EventId, key: str) -> Target:
    """Return the target of a card's reminders of one key, or of those of an interaction that is about no card."""
    return Target(f"{_TIMER}{of}/{key}")


def acts_on(target: Target, message_id: MessageId) -> bool:
    """Say whether a target is this card, or the reminders of one of its keys."""
    return card_in(target) == message_id or target.startswith(f"{_TIMER}{message_id}/")


def card_in(target: Target) -> MessageId | None:
    """Return the card that a target is, if it is one."""
    return MessageId(target.removeprefix(_CARD)) if target.startswith(_CARD) else None


def chat_in(target: Target) -> ChatId | None:
    """Return the chat that a target is, if it is a known one."""
    return ChatId(target.removeprefix(_CHAT)) if target.startswith(_CHAT) else None


def card_of_unknown_chat(target: Target) -> MessageId | None:
    """Return the card whose chat a target is, if that chat is not known yet."""
    return MessageId(target.removeprefix(_CHAT_OF)) if target.startswith(_CHAT_OF) else None


def is_person(target: Target) -> bool:
    """Say whether a target is one person."""
    return target.startswith(_PERSON)


def shown_target(target: Target) -> str:
    """Return a target as it may stand in a line for people: a person may be addressed by e-mail."""
    return _PERSON.removesuffix(":") if is_person(target) and "@" in target else target
