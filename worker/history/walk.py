"""A partition's records from one offset to another, piece by piece: what every reader of history begins with."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from shared.eventlog.port import EventLog, Record, Span

PIECE: Final = 2_000
"""Records read at once at most: memory holds so many of each walk, whatever the log's length."""


async def walk(
    event_log: EventLog, topic: str, partition: int, *, begin: int, end: int, limit: int = PIECE
) -> AsyncIterator[Sequence[Record]]:
    """
    Yield the records of offsets ``begin`` up to, not including, ``end``, in order; no piece is empty.

    Records that are gone by retention meanwhile are passed over. After a crash, go on behind the last record that
    was dealt with: a walk keeps nothing.

    Raises:
        LogUnavailable: The log cannot be read.
    """
    while begin < end:
        found = await event_log.read(topic, partition, begin, limit=limit)
        piece = [record for record in found if record.offset < end]
        if not piece:
            return
        yield piece
        begin = piece[-1].offset + 1


def length(spans: Mapping[int, Span]) -> int:
    """Return how many offsets the partitions hold together, gaps included: what a progress bar counts to."""
    return sum(span.end - span.begin for span in spans.values())
