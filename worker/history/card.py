"""What the log tells of one card: the records under its key, inputs and outcomes, as they were written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.core.codec import decode
from shared.core.errors import NewerThanUs, Undecodable
from shared.core.events import Event
from shared.core.ids import AppId, EventId, MessageId, ordering_key
from shared.eventlog.partition import partition_of
from shared.eventlog.port import EventLog, Record, Topics
from worker.history.walk import walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """An event, and where it lies in its topic."""

    event: Event
    partition: int
    offset: int


async def logged_of_card(
    event_log: EventLog, topics: Topics, message_id: MessageId, *, app_id: AppId | None = None
) -> Mapping[AppId, Sequence[Logged]]:
    """
    Return what is recorded about a card, by app, inputs first; each in the order of the log.

    Args:
        app_id: Its app, if that is known: then only the card's partition is read. Else all are, by their keys.

    Raises:
        LogUnavailable: The log cannot be read.
        NewerThanUs: It was written by a newer program.
    """
    found: dict[AppId, list[Logged]] = {}
    for topic in (topics.interactions, topics.outcomes):
        spans = await event_log.spans(topic)
        key = None if app_id is None else ordering_key(app_id, message_id, EventId(""))
        of = (
            spans
            if key is None
            else {number: spans[number] for number in [partition_of(key, len(spans) or 1)] if spans}
        )
        for partition, span in sorted(of.items()):
            async for piece in walk(event_log, topic, partition, begin=span.begin, end=span.end):
                for record in piece:
                    if record.key.endswith(f":{message_id}") and (event := _event(record, message_id, app_id)):
                        told = Logged(event=event, partition=partition, offset=record.offset)
                        found.setdefault(event.app_id, []).append(told)
    return found


def _event(record: Record, message_id: MessageId, app_id: AppId | None) -> Event | None:
    try:
        event = decode(record.headers, record.value)
    except NewerThanUs:
        raise
    except Undecodable:
        return None
    is_it = event.message_id == message_id and app_id in {None, event.app_id}
    return event if is_it else None
