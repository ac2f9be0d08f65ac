"""
What of a file's records a partition holds already (pure).

An append that was not acknowledged may have happened all the same, so a partition may hold the file's records with
some of them repeated. Anything else in it is a stranger's.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from shared.eventlog.port import NewRecord, Record
from worker.transfer.digest import Chain, fingerprint

REMEMBERED: Final = 20_000
"""Records behind which a repetition is still known as one: those of several appends."""


class Stranger(Exception):
    """
    A partition holds a record that is not the file's.

    Attributes:
        offset: Where.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Comparison:
    """
    Goes through a file as a partition's records are shown to it.

    Attributes:
        found: The records of the file that were found, one after the other.
        repeated: How many more there were, each of which the file has once.
    """

    def __init__(self, records: Iterator[NewRecord]) -> None:
        self.found = Chain()
        self.repeated = 0
        self._records = records
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._next: NewRecord | None = next(records, None)

    def see(self, record: Record) -> None:
        """
        Take note of the partition's next record.

        Raises:
            Stranger: It is not the file's.
        """
        seen = fingerprint(record)
        if self._next is not None and seen == fingerprint(self._next):
            self.found.add(seen)
            self._remember(seen)
            self._next = next(self._records, None)
        elif seen in self._recent:
            self.repeated += 1
        else:
            raise Stranger(record.offset)

    def rest(self) -> Iterator[NewRecord]:
        """Yield the file's records that were not found: all that follow the last one that was."""
        if self._next is not None:
            yield self._next
            yield from self._records

    def _remember(self, seen: bytes) -> None:
        self._recent[seen] = None
        self._recent.move_to_end(seen)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
