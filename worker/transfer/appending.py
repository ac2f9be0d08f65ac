"""
A file's records into a partition: many at a time, again after an outage, and no record twice if that can be known.

Guarantees:
    An append that was not acknowledged is looked for before anything is appended again; what arrives later still, as
    a broker may have it, is there twice, with the same id, and workers decide it once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from shared.core.errors import LogUnavailable
from shared.eventlog.port import EventLog, NewRecord, Record
from worker.transfer.digest import fingerprint
from worker.transfer.patience import Patience
from worker.transfer.telling import Told

MOST: Final = 4_000
APPEND_BYTES: Final = 2 << 20
"""What one append has: a SQLite log writes it in one transaction, a broker is sent it in batches."""

LOOK: Final = 1_000


@dataclass(slots=True, kw_only=True)
class Appending:
    """
    Appends to one partition, which nobody else writes meanwhile.

    Attributes:
        place: Its topic and its number.
        end: The partition's end, as far as it is known.
    """

    event_log: EventLog
    place: tuple[str, int]
    end: int
    patience: Patience
    told: Told

    async def append(self, records: Iterator[NewRecord]) -> None:
        """
        Append all records, in their order.

        Raises:
            LogUnavailable: The log was away for too long; some may be in it.
            RecordRefused: The log will never take one of them.
        """
        for group in groups(records):
            await self._append(group)
            self.told.advance(len(group))

    async def _append(self, group: Sequence[NewRecord]) -> None:
        left = group
        while left:
            try:
                await self.event_log.append(left)
            except LogUnavailable as error:
                await self.patience.wait(error)
                left = left[await self.patience.ask(partial(self._arrived, left)) :]
            else:
                self.patience.calm()
                self.end += len(left)
                return

    async def _arrived(self, wanted: Sequence[NewRecord]) -> int:
        """Return how many of these records the log has, since it was last known where it ends."""
        count, at = 0, self.end
        while found := await self.event_log.read(*self.place, at, limit=LOOK):
            count += _matched(found, wanted[count:])
            at = found[-1].offset + 1
        self.end = at
        return count


def _matched(found: Sequence[Record], wanted: Sequence[NewRecord]) -> int:
    """Return how many of the wanted records are among those found, from the first on and in order."""
    left = iter(wanted)
    expected, count = next(left, None), 0
    for record in found:
        if expected is not None and fingerprint(record) == fingerprint(expected):
            expected, count = next(left, None), count + 1
    return count


def groups(records: Iterator[NewRecord]) -> Iterator[Sequence[NewRecord]]:
    """Yield records as they are appended together: up to `MOST`, and about `APPEND_BYTES`."""
    while first := next(records, None):
        group, size = [first], len(first.value)
        for record in islice(records, MOST - 1):
            group.append(record)
            size += len(record.value)
            if size >= APPEND_BYTES:
                break
        yield group
