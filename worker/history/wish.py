"""Whose recorded story is meant (pure)."""

from dataclasses import dataclass

from shared.core.events import Asked, Decided, Event, InteractionReceived, RequestReceived, origin_of
from shared.core.json_text import EpochMs
from worker.history.chats import comes_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    Whose story is meant; what is ``None`` asks nothing.

    Attributes:
        since: What came in not before this (ms), and `until` before that; with all that became of it later.
        chat_id: What came from this chat, and what Cardwire itself sent or did there, whatever that came of.
        event_id: An event, with everything that came back of it.
        request_id: What a callback's ``X-Request-Id`` was, or what a caller gave as the id of its request.
        person: An open, user or union id.
    """

    since: EpochMs | None = None
    until: EpochMs | None = None
    app_id: str | None = None
    message_id: str | None = None
    chat_id: str | None = None
    event_id: str | None = None
    request_id: str | None = None
    person: str | None = None

    def means(self, asked: Asked, *, in_chat: bool) -> bool:
        """Say whether an input is meant; ``in_chat``: something that became of it is about the chat."""
        return (
            (self.since is None or asked.received_at >= self.since)
            and (self.until is None or asked.received_at < self.until)
            and self._is_of(asked)
            and (self.chat_id is None or in_chat or comes_from(asked, self.chat_id))
            and (self.person is None or self.person in _people(asked))
            and (self.request_id is None or self.request_id == _request_id(asked))
        )

    def means_what_became(self, decided: Decided, *, in_chat: bool) -> bool:
        """Say whether a decision is meant whose input is not in the log any more; ``in_chat`` as for inputs."""
        return (
            (self.since is None or decided.decided_at >= self.since)
            and (self.until is None or decided.decided_at < self.until)
            and self._is_of(decided)
            and (self.chat_id is None or in_chat)
            and (self.person is None or self.person == decided.open_id)
            and (self.request_id is None or self.request_id == decided.request_id)
        )

    def _is_of(self, event: Event) -> bool:
        return (
            (self.app_id is None or event.app_id == self.app_id)
            and (self.message_id is None or event.message_id == self.message_id)
            and (self.event_id is None or self.event_id in {event.event_id, origin_of(event.event_id)})
        )


def _people(asked: Asked) -> set[str | None]:
    if isinstance(asked, RequestReceived):
        return {asked.caller}
    return {asked.operator.open_id, asked.operator.user_id, asked.operator.union_id}


def _request_id(asked: Asked) -> str | None:
    return asked.request_id if isinstance(asked, InteractionReceived | RequestReceived) else None
