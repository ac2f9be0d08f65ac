"""What a person's client saw, told to whoever clicked for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.ids import EventId
from simulator.answers import Answered, Heard, NotAnswered, Reaction
from simulator.sending import AllHeard


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    What the person's client saw.

    Attributes:
        event_id: What the receiver knows the event by; ``None`` if nothing was sent.
        status: Of the HTTP answer, and `body` its text.
        client_error: The code that the client shows, ``"expired"`` for a card too old to be clicked, or ``None``.
        client_text: The toast, a link's title, or what else the client says.
        deliveries: What came back from each copy: a status, or the client's code.
    """

    event_id: EventId | None
    status: int | None = None
    body: str | None = None
    client_error: int | str | None = None
    client_text: str | None = None
    answered_in_ms: int = 0
    deliveries: tuple[Mapping[str, int | None], ...] = ()


def seen_by_client(event_id: EventId | None, heard: AllHeard, reaction: Reaction) -> Seen:
    """Return what the person's client saw of an answer and of its copies."""
    first = heard.first
    return Seen(
        event_id=event_id,
        status=status_of(first),
        body=first.body.decode(errors="replace") if isinstance(first, Answered) else None,
        client_error=reaction.client_error,
        client_text=_text(reaction.toast) or _title(reaction.line),
        answered_in_ms=heard.in_ms,
        deliveries=tuple(
            {"status": status_of(each), "client_error": each.code if isinstance(each, NotAnswered) else None}
            for each in heard.all
        ),
    )


def status_of(heard: Heard) -> int | None:
    """Return the HTTP status of an answer; ``None`` without one."""
    return heard.status if isinstance(heard, Answered) else None


def _text(toast: Mapping[str, Any] | None) -> str | None:
    """Return the toast's text as a client set to Chinese shows it."""
    if toast is None:
        return None
    text = (toast.get("i18n") or {}).get("zh_cn") or toast.get("content")
    return text if isinstance(text, str) else None


def _title(line: Mapping[str, Any] | None) -> str | None:
    """Return what a client set to Chinese shows a link as."""
    if line is None:
        return None
    title = (line.get("i18n_title") or {}).get("zh_cn") or line.get("title")
    return title if isinstance(title, str) else None
