"""
What an effect acts on, and when it may start (pure).

What it takes from its click, whom a card is for or which message is answered, is written out first: the log and the
ledger hold effects that need no click beside them.
"""

import hashlib
from typing import assert_never

from msgspec.structs import replace

from shared.core.effects import (
    Call,
    CallApi,
    CancelReminder,
    DeleteEphemeral,
    Effect,
    FetchChat,
    FetchMessage,
    OnCard,
    Origin,
    RefreshPreview,
    Remind,
    RenameChat,
    Reply,
    SendCard,
    SendEphemeral,
    SendText,
    SetStreaming,
    StreamText,
    UpdateCard,
    UpdateChat,
    UpdateElement,
)
from shared.core.errors import HandlerError
from shared.core.events import (
    CARD,
    CARD_ACTIONS,
    ELEMENT,
    NAME,
    PREVIEW,
    TEXT,
    TIMER,
    Asked,
    CallReturned,
    Eligibility,
    InteractionReceived,
    RequestReceived,
    TimerFired,
)
from shared.core.ids import ChatId, MessageId, Target
from shared.core.targets import (
    call_target,
    chat_of_message_target,
    chat_target,
    message_target,
    preview_target,
    timer_target,
)
from shared.feishu.openapi import target_of


def completed(effect: Effect, asked: Asked, chat_id: ChatId | None) -> Effect:
    """
    Return an effect with everything that is known now: what it takes from its click, what it needs to come back.

    Args:
        chat_id: The chat of the input's card, where it is known.

    Raises:
        HandlerError: The input has nobody, no message, or no chat, to take.
    """
    match effect:
        case Call() | CallApi() | Remind():
            return replace(effect, origin=_origin(asked, chat_id))
        case FetchChat() | FetchMessage():
            return _question(effect, asked, chat_id)
        case SendEphemeral(to=None):
            person = _person(asked)
            if person is None:
                raise HandlerError("SendEphemeral without a person, for an event that names none")
            return replace(effect, to=person)
        case Reply(message_id=None) | DeleteEphemeral(message_id=None):
            if asked.message_id is None:
                raise HandlerError(f"{type(effect).__name__} for an event that has no message")
            return replace(effect, message_id=asked.message_id)
        case _:
            return effect


def _question(effect: FetchChat | FetchMessage, asked: Asked, chat_id: ChatId | None) -> FetchChat | FetchMessage:
    origin = _origin(asked, chat_id)
    if isinstance(effect, FetchChat):
        whose = effect.chat_id or chat_id
        if whose is None:
            raise HandlerError("FetchChat without a chat_id, and nobody knows which chat the card is in")
        return replace(effect, chat_id=whose, origin=origin)
    message_id = effect.message_id or asked.message_id
    if message_id is None:
        raise HandlerError("FetchMessage for an event that has no card")
    return replace(effect, message_id=message_id, origin=origin)


def _origin(asked: Asked, chat_id: ChatId | None) -> Origin:
    match asked:
        case CallReturned() | TimerFired():
            return Origin(event_id=asked.origin, chat_id=chat_id, operator=asked.operator, clicked_at=asked.clicked_at)
        case InteractionReceived():
            clicked_at = asked.received_at if asked.kind in CARD_ACTIONS else None
            return Origin(event_id=asked.event_id, chat_id=chat_id, operator=asked.operator, clicked_at=clicked_at)
        case RequestReceived():
            return Origin(event_id=asked.event_id, chat_id=chat_id)
        case _ as unreachable:
            assert_never(unreachable)


def _person(asked: Asked) -> str | None:
    """Return who clicked, or where nobody did, who clicked when it began."""
    return None if isinstance(asked, RequestReceived) else asked.operator.open_id or asked.operator.user_id


def aim(effect: Effect, asked: Asked, chat_id: ChatId | None, index: int) -> tuple[Target, str | None]:
    """
    Return the target of an effect, and what it is coalesced by.

    Args:
        effect: With everything written out: see `completed`.
        chat_id: The chat of the input's card, where it is known.
        index: Its place in the decision.

    Raises:
        HandlerError: The effect changes a card, and the input is about none, or about another one.
    """
    match effect:
        case UpdateCard() | UpdateElement() | StreamText() | SetStreaming():
            return _own_card(effect, asked), _part(effect)
        case RenameChat() | UpdateChat():
            is_name = isinstance(effect, RenameChat) or effect.names_only
            return _chat(effect.chat_id or chat_id, asked), NAME if is_name else None
        case SendCard() | SendText() | Reply() | SendEphemeral() | DeleteEphemeral():
            return _message(effect, asked, chat_id), None
        case RefreshPreview():
            return _preview(asked), PREVIEW
        case Call() | CallApi() | FetchChat() | FetchMessage():
            return call_target(asked.event_id, index), None
        case Remind() | CancelReminder():
            # Of an input about no card, the reminders of everything that descends from the same interaction.
            return timer_target(asked.message_id or _origin(asked, None).event_id, effect.key), TIMER
        case _ as unreachable:
            assert_never(unreachable)


def _part(effect: OnCard) -> str | None:
    match effect:
        case UpdateCard():
            return CARD
        case UpdateElement(element_id=element_id):
            return f"{ELEMENT}{element_id}"
        case StreamText(element_id=element_id):
            return f"{TEXT}{element_id}"
        case SetStreaming():
            # Text that stands between on and off must find it on.
            return None
        case _ as unreachable:
            assert_never(unreachable)


def _own_card(effect: OnCard, asked: Asked) -> Target:
    name = type(effect).__name__
    if asked.message_id is None:
        raise HandlerError(f"{name} for an event that has no card")
    if effect.message_id not in {None, asked.message_id}:
        raise HandlerError(f"{name} of another card than the one it is decided for")
    return message_target(asked.message_id)


def _message(
    effect: SendCard | SendText | Reply | SendEphemeral | DeleteEphemeral, asked: Asked, chat_id: ChatId | None
) -> Target:
    match effect:
        case SendCard(to=str(to)) | SendText(to=str(to)) if to:
            return target_of(to)
        case SendEphemeral(chat_id=str(given)):
            return chat_target(given)
        case DeleteEphemeral(message_id=str(message_id)):
            return message_target(message_id)
        case Reply(message_id=str(message_id)) if message_id != asked.message_id:
            # It is sent to that message's chat, and shares its limit: the pump knows which one that is, or asks.
            return chat_of_message_target(message_id)
        case _:
            return _chat(chat_id, asked)


def _chat(chat_id: ChatId | None, asked: Asked) -> Target:
    # Without a chat the pump asks the platform where the message lies; without a message it refuses: no_chat.
    return chat_target(chat_id) if chat_id else chat_of_message_target(asked.message_id or MessageId(asked.event_id))


def _preview(asked: Asked) -> Target:
    """Return what refreshes of one link are paced as: several callbacks have one token, which must not be told."""
    token = asked.preview_token if isinstance(asked, InteractionReceived) else None
    known_by = asked.event_id if token is None else hashlib.sha256(f"preview\0{token}".encode()).hexdigest()[:32]
    return preview_target(known_by)


def eligibility(effect: Effect, asked: Asked) -> Eligibility:
    """Return when an effect may start."""
    # The platform shows and then reverts an update that overtakes its callback's answer
    # (docs/reference/platform.md, "Delayed updates").
    awaits_an_answer = isinstance(asked, InteractionReceived) and asked.kind in CARD_ACTIONS
    changes_it = isinstance(effect, OnCard) or (
        isinstance(effect, DeleteEphemeral) and effect.message_id == asked.message_id
    )
    return "after_answer" if awaits_an_answer and changes_it else "at_once"
