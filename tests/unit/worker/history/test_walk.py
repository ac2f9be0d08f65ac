"""Walks through a partition."""

from shared.core.ids import AppId
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord, Span
from worker.history.walk import length, walk

APP = AppId("cli_a")


async def filled(records: int) -> tuple[MemoryLog, int]:
    """Return a log with so many records in one partition of the topic, and which partition that is."""
    event_log = MemoryLog()
    await event_log.append(
        [NewRecord(topic="topic", key="card", value=b"%d" % n, headers=(), timestamp=n) for n in range(records)]
    )
    spans = await event_log.spans("topic")
    return event_log, next(number for number, span in spans.items() if span.end)


async def test_a_walk_sees_every_record_once_in_pieces() -> None:
    """Whatever the size of a piece."""
    event_log, partition = await filled(7)
    pieces = [
        [record.offset for record in piece]
        async for piece in walk(event_log, "topic", partition, begin=0, end=7, limit=3)
    ]
    assert [[0, 1, 2], [3, 4, 5], [6]] == pieces


async def test_a_walk_ends_where_it_was_told_to_although_more_was_appended() -> None:
    """A log that grows meanwhile is no endless task."""
    event_log, partition = await filled(7)
    seen = [
        record.offset
        async for piece in walk(event_log, "topic", partition, begin=2, end=5, limit=10)
        for record in piece
    ]
    assert [2, 3, 4] == seen


async def test_a_walk_ends_where_nothing_is_left() -> None:
    """An end that was never reached, or is gone, is no reason to ask for ever."""
    event_log, partition = await filled(2)
    assert [2] == [len(piece) async for piece in walk(event_log, "topic", partition, begin=0, end=9)]


def test_length_counts_what_the_partitions_hold() -> None:
    """From each one's oldest record on."""
    assert 12 == length({0: Span(begin=5, end=10), 1: Span(begin=0, end=7)})
