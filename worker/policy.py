"""
What is not even tried (pure).

A call that is known to fail costs budget, log lines and somebody's patience, so it is refused here with a reason.
What is not known is tried once, and the platform believed.
"""

from dataclasses import dataclass
from typing import Final, Literal, assert_never

from shared.core.effects import (
    CallApi,
    DeleteEphemeral,
    FetchChat,
    FetchMessage,
    OnCard,
    PlatformEffect,
    RefreshPreview,
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
from shared.core.events import EVERYBODY
from shared.core.ids import ChatId, MessageId
from shared.core.json_text import EpochMs, JsonText
from shared.core.targets import card_of_unknown_chat
from shared.feishu.cards import everybodys, is_written_in_1_0, only_for
from shared.feishu.elements import too_many
from shared.feishu.limits import TEXT_BYTES, UUID_VALID_MS
from shared.feishu.openapi import text_content
from shared.feishu.validity import clicked_too_late, fits, update_too_late
from worker.ledger.leased import FaceRow, Head

Reason = Literal["expired", "too_large", "too_many_elements", "no_chat", "no_entity", "not_2_0"]
"""
Why a call is refused: the card is past its time, the content is past its size, a card of JSON 2.0 has more than 200
elements, nobody can say which chat, or which entity, only cards of JSON 2.0 have parts.
"""

UUID_MARGIN_MS: Final = 60_000
"""
How long before a send's ``uuid`` lapses we stop repeating it. The call has yet to reach the platform (reservation,
token and call: up to 12 s), and the platform's hour is not ours to the second.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Perform it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """It belongs to this chat's target, and is performed from there."""

    chat_id: ChatId


@dataclass(frozen=True, slots=True, kw_only=True)
class FindChat:
    """Ask the platform in which chat this message lies; then it belongs to that chat's target."""

    message_id: MessageId


@dataclass(frozen=True, slots=True, kw_only=True)
class FindEntity:
    """Ask the platform which entity this card is; then its parts can be changed."""

    message_id: MessageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """No call: it is known to fail. The outcome is ``refused``."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """No call: an earlier one may have been performed, and the platform no longer tells a repetition from a second."""


Ruling = Go | Move | FindChat | FindEntity | Refuse | Unknown


def before(effect: PlatformEffect, *, head: Head, face: FaceRow | None, now: EpochMs) -> Ruling:
    """
    Return what to do with an effect whose turn it is.

    Args:
        face: Of the card that the effect changes or descends from.
        now: The ledger's time, right before the call (ms).
    """
    if card_of_unknown_chat(head.target) is not None:
        return _chat_of(effect, head, face)
    match effect:
        case UpdateCard() | UpdateElement() | StreamText() | SetStreaming():
            return _on_card(effect, head, face, now)
        case SendCard() | SendText() | Reply() if _lapsed(head, now):
            return Unknown()
        case SendCard() | SendText() | Reply() | SendEphemeral():
            return _fitting(effect)
        case (
            RenameChat()
            | UpdateChat()
            | DeleteEphemeral()
            | RefreshPreview()
            | FetchChat()
            | FetchMessage()
            | CallApi()
        ):
            return Go()
        case _ as unreachable:
            assert_never(unreachable)


def refuse_click(face: FaceRow | None, occurred_at: EpochMs) -> Literal["expired"] | None:
    """
    Return why a click is not decided, or ``None``.

    Only if our own send is known and the click came more than an hour after the platform's limit, both by the
    platform's times: a click at the border is decided.
    """
    if face and clicked_too_late(face.sent_at, face.card_format or "1.0", occurred_at):
        return "expired"
    return None


def _chat_of(effect: PlatformEffect, head: Head, face: FaceRow | None) -> Ruling:
    if face is not None and face.chat_id is not None:
        return Move(chat_id=face.chat_id)
    message_id = effect.message_id if isinstance(effect, Reply) else head.message_id
    return Refuse(reason="no_chat") if message_id is None else FindChat(message_id=message_id)


def _on_card(effect: OnCard, head: Head, face: FaceRow | None, now: EpochMs) -> Ruling:
    if face is not None and (face.expired or update_too_late(face.sent_at, face.card_format or "1.0", now)):
        return Refuse(reason="expired")
    if isinstance(effect, UpdateCard):
        return _fitting(effect) if head.audience == EVERYBODY else _if_small(only_for(effect.card, (head.audience,)))
    if _is_still_1_0(face):
        return Refuse(reason="not_2_0")
    if isinstance(effect, UpdateElement) and not fits(effect.element):
        return Refuse(reason="too_large")
    if head.message_id is not None and (face is None or face.card_id is None):
        return FindEntity(message_id=head.message_id)
    return Go()


def _is_still_1_0(face: FaceRow | None) -> bool:
    """
    Return whether the card is one of JSON 1.0 for certain.

    That is our own, as we sent it. What it was replaced by since may have been a template, which does not say.
    """
    return face is not None and face.shown is None and face.sent is not None and is_written_in_1_0(face.sent)


def _if_small(card: JsonText) -> Ruling:
    return Go() if fits(card) else Refuse(reason="too_large")


def _fitting(effect: UpdateCard | SendCard | SendText | Reply | SendEphemeral) -> Ruling:
    card = None if isinstance(effect, SendText) else effect.card
    text = effect.text if isinstance(effect, SendText | Reply) else None
    if (card is not None and not fits(everybodys(card))) or (text is not None and not _is_short(text)):
        return Refuse(reason="too_large")
    return Refuse(reason="too_many_elements") if card is not None and too_many(card) else Go()


def _is_short(text: str) -> bool:
    return len(text_content(text).encode()) <= TEXT_BYTES


def _lapsed(head: Head, now: EpochMs) -> bool:
    return head.begun_at is not None and now >= head.begun_at + UUID_VALID_MS - UUID_MARGIN_MS
