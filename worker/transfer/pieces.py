"""A partition piece by piece, as many records at a time as memory is to hold, whatever their size."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from shared.eventlog.port import EventLog, Record
from worker.transfer.patience import Patience

FIRST: Final = 256
MOST: Final = 4_000
PIECE_BYTES: Final = 4 << 20


async def pieces(
    event_log: EventLog, topic: str, partition: int, *, begin: int, end: int, patience: Patience
) -> AsyncIterator[Sequence[Record]]:
    """
    Yield the records of offsets ``begin`` up to, not including, ``end``; of those that are gone meanwhile, none.

    Raises:
        LogUnavailable: The log was away for too long.
    """
    limit = FIRST
    while begin < end:

        async def read(offset: int = begin, most: int = limit) -> Sequence[Record]:
            return await event_log.read(topic, partition, offset, limit=most)

        piece = [record for record in await patience.ask(read) if record.offset < end]
        if not piece:
            return
        yield piece
        begin, limit = piece[-1].offset + 1, next_limit(piece)


def next_limit(piece: Sequence[Record]) -> int:
    """Return how many records are to be read after these, if they are as large."""
    held = sum(len(record.value) for record in piece)
    return max(1, min(MOST, 4 * len(piece), PIECE_BYTES * len(piece) // max(1, held)))
