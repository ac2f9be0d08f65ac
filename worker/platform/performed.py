"""What became of a call: a closed set of values, for whoever decides what follows."""

from dataclasses import dataclass, field

from shared.core.cards import CardFormat
from shared.core.ids import ChatId, MessageId
from shared.core.json_text import EpochMs, JsonText
from shared.feishu.openapi import PlatformError


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """
    The platform did it.

    Attributes:
        sent_message_id: The message that a send created, and `sent_at` its creation time (platform's, ms).
        chat_id: The chat that was sent to, or renamed.
        shown: SHA-256 (hex) of the card's text as it was sent in an update.
        card_format: The JSON version of the card that was sent or shown.
        data: What the platform answered, where that was asked for.
    """

    http_status: int
    log_id: str | None = None
    sent_message_id: MessageId | None = None
    sent_at: EpochMs | None = None
    chat_id: ChatId | None = None
    shown: str | None = None
    card_format: CardFormat | None = None
    data: JsonText | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The platform refused it, and nothing happened. The error's verdict says what follows."""

    error: PlatformError


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """
    It may have happened: no answer, an internal error, an answer that says nothing, or "still at it".

    Attributes:
        error: What was answered, its verdict is ``retry``; ``None`` if nothing was.
        reason: Where nothing was answered: a few words for a log line.
    """

    error: PlatformError | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """No connection could be made, so nothing happened."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoToken:
    """
    We have no access token that the platform takes, so nothing happened. It is about the app, not the target.

    Attributes:
        of_app: No call of the app would have one; else it is about one organisation, or will pass by itself, or this
            very call is one for which our kind of token is none.
        refused: The call was made, twice, and refused for its token: a fresh one did not help.
        reason: A word of ours where the error's verdict says too little.
    """

    error: PlatformError
    of_app: bool = True
    refused: bool = False
    reason: str | None = None


Failure = Rejected | Unsure | Unreached | NoToken
Performed = Done | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The chat that a message lies in; ``None``: the platform does not say."""

    chat_id: ChatId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEntity:
    """The entity that a card is; ``None``: the platform does not say."""

    card_id: str | None
