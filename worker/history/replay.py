"""
The recorded story of cards, chats, people, events or a time, joined from both topics; nothing is written.

First the inputs are looked through for those that are meant, then everything that tells what became of them. What
reaches a chat may come from anywhere, and only decisions and outcomes tell: where a chat is meant, they are looked
through for it before. Of a card whose app is known, only its own partition is read. What is found is put in order in a
temporary database (see `worker.history.verifying.sorting`); memory holds the ids of the events that are told, and one
card's moments.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Final

from shared.core.codec import readable
from shared.core.events import Asked, Decided, Event, Output, origin_of
from shared.core.ids import AppId, EventId, MessageId, ordering_key
from shared.eventlog.partition import partition_of
from shared.eventlog.port import EventLog, Record, Span, Topics
from worker.history.chats import reaches
from worker.history.moments import STAGES, Moment, moment_of
from worker.history.naming import Naming
from worker.history.verifying.sorting import Scratch
from worker.history.walk import length, walk
from worker.history.wish import Wish

Progressed = Callable[[int], None]

_APART: Final = "\0"


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
        self._in_chat: set[str] = set()
        self.records = 0
        self.undecodable = 0

    @property
    def events(self) -> int:
        """Events that are told."""
        return len(self._chosen)

    def close(self) -> None:
        """Leave nothing behind."""
        self._scratch.close()

    def foresee(self, records: Sequence[Record], chat_id: str) -> None:
        """
        Look through decisions and outcomes, before anything is taken, for those that are about a chat.

        Raises:
            NewerThanUs: One was written by a newer program.
        """
        for record in filter(Naming.of(chat_id), records):
            event = readable(record.headers, record.value)
            if isinstance(event, Output) and reaches(event, chat_id):
                self._in_chat.add(_key(event))

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
            event = readable(record.headers, record.value)
            if event is None:
                self.undecodable += 1
            elif (of := self._story(event, begin)) is not None:
                told = moment_of(event, record.topic, (record.partition, record.offset), with_values=self._with_values)
                found.append((of, told.at * len(STAGES) + STAGES[told.what], told))
        self._moments.file(found)

    def _story(self, event: Event, begin: int) -> str | None:
        """Return under which story an event is told: its card's, else that of the interaction with which it began."""
        key = _key(event)
        if key in self._chosen:
            return self._chosen[key]
        if self._means(event, begin, in_chat=key in self._in_chat):
            self._chosen[key] = f"{event.app_id}{_APART}{event.message_id or origin_of(event.event_id)}"
        return self._chosen.get(key)

    def _means(self, event: Event, begin: int, *, in_chat: bool) -> bool:
        """Say whether an input is meant, or a decision whose input is not in the log any more."""
        if isinstance(event, Asked):
            return self._wish.means(event, in_chat=in_chat)
        if isinstance(event, Decided) and event.offset < begin:
            return self._wish.means_what_became(event, in_chat=in_chat)
        return False

    def stories(self) -> Iterator[Sequence[Moment]]:
        """Yield the moments of each card, or of each event without one, in order of time."""
        for _, moments in self._moments.groups():
            # Repetitions, of gateways and of the relay, tell nothing new.
            first = {(one.what, one.event_id, _number(one)): one for one in reversed(list(moments))}
            yield list(reversed(first.values()))


def _key(event: Event) -> str:
    return f"{event.app_id}{_APART}{event.event_id}"


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
    before = {} if wish.chat_id is None else over[topics.outcomes]
    begun(sum(map(length, (before, *over.values()))))
    found = Replay(wish, with_values=with_values)
    try:
        if wish.chat_id is not None:
            async for piece in _pieces(event_log, topics.outcomes, before, progressed):
                await asyncio.to_thread(found.foresee, piece, wish.chat_id)
        for topic, spans in over.items():
            async for piece in _pieces(event_log, topic, spans, progressed):
                begin = inputs[piece[0].partition].begin if piece[0].partition in inputs else 0
                await asyncio.to_thread(found.take, piece, begin)
    except BaseException:
        found.close()
        raise
    return found


async def _pieces(
    event_log: EventLog, topic: str, spans: Mapping[int, Span], progressed: Progressed
) -> AsyncIterator[Sequence[Record]]:
    """Yield a topic's records, partition by partition, each piece of one."""
    for partition, span in sorted(spans.items()):
        async for piece in walk(event_log, topic, partition, begin=span.begin, end=span.end):
            yield piece
            progressed(len(piece))


def _only_of(wish: Wish, spans: Mapping[int, Span]) -> Mapping[int, Span]:
    """Return the partitions in which the story lies: of a card of a known app, one."""
    if wish.app_id is None or wish.message_id is None or not spans:
        return spans
    key = ordering_key(AppId(wish.app_id), MessageId(wish.message_id), EventId(""))
    only = partition_of(key, len(spans))
    return {partition: span for partition, span in spans.items() if partition == only}
