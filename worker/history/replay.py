"""
The recorded story of cards, chats, people, events or a time, joined from both topics; nothing is written.

First the inputs are looked through for those that are meant, then everything that tells what became of them. Of a card
whose app is known, only its own partition is read. What is found is put in order in a temporary database (see
`worker.history.verifying.sorting`); memory holds the ids of the events that are told, and one card's moments.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.core.codec import decode
from shared.core.errors import NewerThanUs, Undecodable
from shared.core.events import (
    Asked,
    Decided,
    Event,
    InteractionReceived,
    RequestReceived,
    origin_of,
)
from shared.core.ids import AppId, EventId, MessageId, ordering_key
from shared.core.json_text import EpochMs
from shared.eventlog.partition import partition_of
from shared.eventlog.port import EventLog, Record, Span, Topics
from worker.history.moments import STAGES, Moment, moment_of
from worker.history.verifying.sorting import Scratch
from worker.history.walk import length, walk

Progressed = Callable[[int], None]

_APART: Final = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    Whose story is meant; what is ``None`` asks nothing.

    Attributes:
        since: What came in not before this (ms), and `until` before that; with all that became of it later.
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

    def means(self, asked: Asked) -> bool:
        """Say whether an input is meant."""
        return (
            (self.since is None or asked.received_at >= self.since)
            and (self.until is None or asked.received_at < self.until)
            and self._is_of(asked)
            and (self.chat_id is None or (not isinstance(asked, RequestReceived) and asked.chat_id == self.chat_id))
            and (self.person is None or self.person in _people(asked))
            and (self.request_id is None or self.request_id == _request_id(asked))
        )

    def means_what_became(self, decided: Decided) -> bool:
        """Say whether a decision is meant whose input is not in the log any more."""
        return (
            (self.since is None or decided.decided_at >= self.since)
            and (self.until is None or decided.decided_at < self.until)
            and self._is_of(decided)
            and self.chat_id is None
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


class Replay:
    """
    What was found, and how much was looked at.

    Attributes:
        records: Records that were looked at.
        events: Events that are told.
        undecodable: Records that nobody can read.
    """

    def __init__(self, wish: Wish, *, with_values: bool) -> None:
        self._wish, self._with_values = wish, with_values
        self._scratch = Scratch()
        self._moments = self._scratch.filing("moments", Moment)
        self._chosen: dict[str, str] = {}
        self.records = 0
        self.undecodable = 0

    @property
    def events(self) -> int:
        """Events that are told."""
        return len(self._chosen)

    def close(self) -> None:
        """Leave nothing behind."""
        self._scratch.close()

    def take(self, records: Sequence[Record], begin: int = 0) -> None:
        """
        Look through records, those of inputs first.

        Args:
            begin: The offset from which on the inputs of their partition are there.

        Raises:
            NewerThanUs: One was written by a newer program.
        """
        found: list[tuple[str, int, Moment]] = []
        for record in records:
            self.records += 1
            try:
                event = decode(record.headers, record.value)
            except NewerThanUs:
                raise
            except Undecodable:
                self.undecodable += 1
                continue
            if (of := self._story(event, begin)) is not None:
                told = moment_of(event, record.topic, (record.partition, record.offset), with_values=self._with_values)
                found.append((of, told.at * len(STAGES) + STAGES[told.what], told))
        self._moments.file(found)

    def _story(self, event: Event, begin: int) -> str | None:
        """Return under which story an event is told: its card's, else that of the interaction with which it began."""
        key = f"{event.app_id}{_APART}{event.event_id}"
        if key in self._chosen:
            return self._chosen[key]
        is_meant = self._wish.means(event) if isinstance(event, Asked) else self._became(event, begin)
        if is_meant:
            self._chosen[key] = f"{event.app_id}{_APART}{event.message_id or origin_of(event.event_id)}"
        return self._chosen.get(key)

    def _became(self, event: Event, begin: int) -> bool:
        """Say whether a decision is meant whose input is not in the log any more."""
        return isinstance(event, Decided) and event.offset < begin and self._wish.means_what_became(event)

    def stories(self) -> Iterator[Sequence[Moment]]:
        """Yield the moments of each card, or of each event without one, in order of time."""
        for _, moments in self._moments.groups():
            # Repetitions, of gateways and of the relay, tell nothing new.
            first = {(one.what, one.event_id, _number(one)): one for one in reversed(list(moments))}
            yield list(reversed(first.values()))


def _number(moment: Moment) -> tuple[object, ...]:
    return tuple(moment.facts.get(name) for name in ("redrive", "index", "outcome"))


async def replay(
    event_log: EventLog,
    topics: Topics,
    wish: Wish,
    *,
    with_values: bool = False,
    begun: Progressed = lambda _: None,
    progressed: Progressed = lambda _: None,
) -> Replay:
    """
    Look for what is meant, and return it; close it when it was told.

    Args:
        with_values: Also what people typed, and the cards.
        begun: Told how many records there are to look at, about.
        progressed: Told how many more of them were looked at.

    Raises:
        LogUnavailable: The log cannot be read.
        NewerThanUs: It holds records of a newer program.
    """
    # What became of inputs first: so of all that is told, the beginning is there.
    outcomes = await event_log.spans(topics.outcomes)
    inputs = await event_log.spans(topics.interactions)
    over = {topics.interactions: _only_of(wish, inputs), topics.outcomes: _only_of(wish, outcomes)}
    begun(sum(map(length, over.values())))
    found = Replay(wish, with_values=with_values)
    try:
        for topic, spans in over.items():
            for partition, span in sorted(spans.items()):
                begin = inputs[partition].begin if partition in inputs else 0
                async for piece in walk(event_log, topic, partition, begin=span.begin, end=span.end):
                    await asyncio.to_thread(found.take, piece, begin)
                    progressed(len(piece))
    except BaseException:
        found.close()
        raise
    return found


def _only_of(wish: Wish, spans: Mapping[int, Span]) -> Mapping[int, Span]:
    """Return the partitions in which the story lies: of a card of a known app, one."""
    if wish.app_id is None or wish.message_id is None or not spans:
        return spans
    key = ordering_key(AppId(wish.app_id), MessageId(wish.message_id), EventId(""))
    only = partition_of(key, len(spans))
    return {partition: span for partition, span in spans.items() if partition == only}
