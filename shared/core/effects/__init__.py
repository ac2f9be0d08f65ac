"""
Effects: what a handler wants to happen, as values.

An effect is an intention, not a call. The worker stores it as a row in the same transaction as the decision,
and performs it later, as often as it takes.
"""

from typing import Any, Final, get_args

from shared.core.effects.cards import ANSWERED_CARD, AnsweredCard, CardLike, UpdateCard
from shared.core.effects.chats import RenameChat, UpdateChat
from shared.core.effects.parts import PartOfCard, SetStreaming, StreamText, UpdateElement
from shared.core.effects.previews import RefreshPreview
from shared.core.effects.reminders import CancelReminder, Remind, Timing
from shared.core.effects.returning import Asking, Call, CallApi, FetchChat, FetchMessage, Origin, Returning
from shared.core.effects.sends import DeleteEphemeral, Reply, SendCard, SendEphemeral, SendText

__all__ = [
    "ANSWERED_CARD",
    "REQUESTABLE",
    "AnsweredCard",
    "Asking",
    "Call",
    "CallApi",
    "CancelReminder",
    "CardLike",
    "DeleteEphemeral",
    "Effect",
    "FetchChat",
    "FetchMessage",
    "OnCard",
    "Origin",
    "PartOfCard",
    "PlatformEffect",
    "RefreshPreview",
    "Remind",
    "RenameChat",
    "Reply",
    "Requestable",
    "Returning",
    "SendCard",
    "SendEphemeral",
    "SendText",
    "SetStreaming",
    "StoredEffect",
    "StreamText",
    "Timing",
    "UpdateCard",
    "UpdateChat",
    "UpdateElement",
    "kinds",
]

OnCard = UpdateCard | PartOfCard
"""What changes a card, and takes its turn among the clicks on it."""

Requestable = OnCard | RenameChat | UpdateChat | SendCard | SendText | Reply | SendEphemeral | DeleteEphemeral
"""What a program may ask for by a request: a closed list, without what is for handlers only."""

PlatformEffect = Requestable | RefreshPreview | Asking
"""What takes a call of the platform."""

Effect = PlatformEffect | Call | Timing
"""What a handler may want."""

REQUESTABLE: Final[tuple[str, ...]] = tuple(kind.__name__ for kind in get_args(Requestable))
"""Their names."""

StoredEffect = Effect | AnsweredCard
"""What the ledger and the log hold."""


def kinds(effects: Any) -> frozenset[str]:
    """Return the names that rows and outcomes have for effects of a type, or of any type of a union."""
    return frozenset(kind.__name__ for kind in get_args(effects) or (effects,))
