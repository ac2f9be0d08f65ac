"""
What the platform has told about cards: the message that a send of ours created, and the chat that a card is in.

A handler sees it, and only outcomes know it. The outcome of a send lies with the card that it descends from, in another
partition as a rule than the clicks on the message that it created. So all outcomes are looked through first, and what
they tell of cards is kept in a temporary file for whoever walks through the clicks.

Decisions about what came back to nobody's card lie elsewhere than what they decide, too, and are kept likewise.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from shared.core.codec import Headers, readable
from shared.core.effects import Reply, SendCard
from shared.core.events import Decided, EffectOutcome, Event, origin_of
from shared.core.ids import AppId, ChatId, EventId, MessageId, Target
from shared.core.json_text import EpochMs, JsonText
from shared.core.targets import card_of_unknown_chat, chat_in
from shared.eventlog.port import Record
from worker.ledger.decided import CardKey
from worker.traveling.store import Table

DECIDED: Final = b"lark.card.decided."
EFFECT: Final = b"lark.card.effect."
"""What the types of decisions and outcomes begin with, of whichever version."""

_MARKS: Final = (b'"SendCard"', b'"Reply"', b'"chat-of:', b"/returned", b"/fired")
"""What a decision holds that is worth decoding it: sends of cards, an unknown chat, something that came back."""


class Words(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What is known of a card, and since when (ms, ledger's clock).

    Attributes:
        chat_id: Its chat, known since `chat_known_at`.
        sent_at: When the platform created it (ms), if our own send did, known since `sent_known_at`.
        sent: The card as we sent it.
    """

    chat_id: ChatId | None = None
    chat_known_at: EpochMs = 0
    sent_at: EpochMs | None = None
    sent_known_at: EpochMs = 0
    sent: JsonText | None = None

    def __repr__(self) -> str:
        """Name what is known, nothing of what is shown."""
        return f"Words(chat_id={self.chat_id!r}, sent_at={self.sent_at!r})"


SILENCE: Final = Words()


class _Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a send of ours created, and which send."""

    by: str
    chat_id: ChatId | None
    sent_at: EpochMs | None
    known_at: EpochMs


class _Chat(msgspec.Struct, frozen=True, kw_only=True):
    chat_id: ChatId
    known_at: EpochMs


class Told:
    """
    Everything that outcomes have told.

    Args:
        file: A temporary one, which several processes may fill at once.
    """

    def __init__(self, file: sqlite3.Connection) -> None:
        self._planned = Table(file, "planned", str)
        self._sent = Table(file, "sent", _Sent)
        self._asked = Table(file, "asked", str)
        self._chats = Table(file, "chats", _Chat)
        self._strays = Table(file, "strays", bytes)

    def learn(self, records: Iterable[Record]) -> None:
        """
        Take in what records of the outcomes topic tell.

        Raises:
            NewerThanUs: One is of a newer program.
        """
        events = [event for record in records if (event := _telling(record)) is not None]
        decisions = [event for event in events if isinstance(event, Decided)]
        outcomes = [event for event in events if isinstance(event, EffectOutcome)]
        self._planned.put(
            ((decided.app_id, f"{decided.event_id}/{planned.index}"), planned.effect.card)
            for decided in decisions
            for planned in decided.effects
            if isinstance(planned.effect, SendCard | Reply) and planned.effect.card is not None
        )
        self._strays.put(
            ((decided.app_id, stray_id(decided.event_id, decided.redrive)), msgspec.json.encode(decided))
            for decided in decisions
            if _is_stray(decided)
        )
        self._sent.put(
            (
                (outcome.app_id, outcome.sent_message_id),
                _Sent(
                    by=f"{outcome.event_id}/{outcome.index}",
                    chat_id=outcome.chat_id,
                    sent_at=outcome.sent_at,
                    known_at=outcome.finished_at,
                ),
            )
            for outcome in outcomes
            if outcome.sent_message_id
        )
        self._asked.put(
            ((decided.app_id, f"{decided.event_id}/{planned.index}"), planned.target)
            for decided in decisions
            for planned in decided.effects
            if card_of_unknown_chat(planned.target) is not None
        )
        self._chats.put(self._found(outcomes))

    def _found(self, outcomes: Sequence[EffectOutcome]) -> Iterator[tuple[tuple[AppId, MessageId], _Chat]]:
        """Return the chats that effects of unknown chats have found; their decisions lie before their outcomes."""
        for outcome in outcomes:
            chat_id = chat_in(outcome.target)
            asked = self._asked.get((outcome.app_id, f"{outcome.event_id}/{outcome.index}")) if chat_id else None
            card = None if asked is None else card_of_unknown_chat(Target(asked))
            if card is not None and chat_id is not None:
                yield (outcome.app_id, card), _Chat(chat_id=chat_id, known_at=outcome.finished_at)

    def words(self, key: CardKey) -> Words:
        """Return what was told of a card."""
        sent, chat = self._sent.get(key), self._chats.get(key)
        if sent is None:
            return SILENCE if chat is None else Words(chat_id=chat.chat_id, chat_known_at=chat.known_at)
        shown = self._planned.get((key.app_id, sent.by))
        return Words(
            chat_id=sent.chat_id,
            chat_known_at=sent.known_at,
            sent_at=sent.sent_at,
            sent_known_at=sent.known_at,
            sent=None if shown is None else JsonText(shown),
        )

    def stray(self, app_id: AppId, input_id: str) -> Decided | None:
        """Return the decision about an input that is about no card, by the id of the input's record."""
        found = self._strays.get((app_id, input_id))
        return None if found is None else msgspec.json.decode(found, type=Decided)


def stray_id(event_id: EventId, redrive: int) -> str:
    """Return the ``ce_id`` of the record that a decision decides."""
    return f"{event_id}/redrive/{redrive}" if redrive else event_id


def ce_type(headers: Headers) -> bytes:
    """Return a record's ``ce_type`` as it stands there; of what is no record of ours, nothing."""
    for name, text in headers:
        if name == "ce_type":
            return text
    return b""


def _telling(record: Record) -> Event | None:
    """Return what a record tells, if it tells something about cards; most do not, and are not decoded."""
    kind, value = ce_type(record.headers), record.value
    if kind.startswith(DECIDED):
        wanted = any(mark in value for mark in _MARKS)
    else:
        wanted = kind.startswith(EFFECT) and (b'"chat_id"' in value or b'"sent_message_id"' in value)
    return readable(record.headers, value) if wanted else None


def _is_stray(decided: Decided) -> bool:
    return decided.message_id is None and origin_of(decided.event_id) != decided.event_id
