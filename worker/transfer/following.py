"""The log as it grows: what is there is looked at again and again, without a group, so that nobody is disturbed."""

import heapq
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from typing import Final

from shared.clock import Clock
from shared.core.json_text import EpochMs
from shared.eventlog.port import EventLog, Record, Span
from worker.transfer.patience import Patience

LOOK_S: Final = 0.3
"""How soon what was appended is seen; each look asks a broker for the ends of all partitions."""

MOST: Final = 1_000
PROBE: Final = 20
"""Records that tell together from when a place in a partition is: one alone may claim any time."""

Positions = dict[tuple[str, int], int]
"""By topic and partition, the offset from which on records are wanted."""


async def follow(
    event_log: EventLog, positions: Positions, *, clock: Clock, patience: Patience
) -> AsyncGenerator[Sequence[Record]]:
    """
    Yield what there is from these positions on, and what comes, until it is closed; nothing twice, nothing left out.

    Within a partition records come in the log's order; those of several that come together, by their times. An empty
    piece is yielded when everything that was there has been.

    Raises:
        LogUnavailable: The log was away for too long.
    """
    at = dict(positions)
    while True:
        found = [await _news(event_log, topic, at, patience) for topic in dict.fromkeys(topic for topic, _ in at)]
        yield list(heapq.merge(*(piece for each in found for piece in each), key=lambda record: record.timestamp))
        if not any(found):
            await clock.sleep(LOOK_S)


async def _news(event_log: EventLog, topic: str, at: Positions, patience: Patience) -> list[Sequence[Record]]:
    """Return what there is of a topic, by partition, and move the positions behind it."""
    found: list[Sequence[Record]] = []
    spans = await patience.ask(partial(event_log.spans, topic))
    for number, span in spans.items():
        place = (topic, number)
        if place in at and at[place] < span.end:
            records = await patience.ask(partial(event_log.read, topic, number, at[place], limit=MOST))
            at[place] = records[-1].offset + 1 if records else span.end
            found.append(records)
    return found


async def since(event_log: EventLog, topic: str, number: int, span: Span, at: EpochMs) -> int:
    """
    Return an offset before which no record of a partition is younger than a time (ms), give or take the odd one.

    Records lie about in the order of their times; a few claim other ones, so several are asked together, and the
    newest of them counts.
    """
    low, high = span.begin, span.end
    while low < high:
        middle = (low + high) // 2
        probe = await event_log.read(topic, number, middle, limit=PROBE)
        if probe and max(record.timestamp for record in probe) < at:
            low = probe[-1].offset + 1
        else:
            high = middle
    return max(span.begin, low - PROBE)


def ends(spans: Mapping[str, Mapping[int, Span]]) -> Positions:
    """Return the positions from which on only what is new is seen."""
    return {(topic, number): span.end for topic, each in spans.items() for number, span in each.items()}


def begins(spans: Mapping[str, Mapping[int, Span]]) -> Positions:
    """Return the positions from which on everything is seen."""
    return {(topic, number): span.begin for topic, each in spans.items() for number, span in each.items()}
