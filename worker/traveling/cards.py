"""
The cards of a walk, in both worlds: the newest touched ones in memory, all others in a temporary file.

So memory is bounded whatever the log's length.
"""

import sqlite3
from collections import OrderedDict
from typing import Final

import msgspec

from worker.ledger.decided import CardKey, ClaimKey
from worker.traveling.card import UNTOUCHED, CardThen
from worker.traveling.store import Table
from worker.traveling.words import Words

MEMORY_BYTES: Final = 48 << 20
"""Texts of the cards in memory, roughly; Python's own share comes to as much again."""

CARD_BYTES: Final = 700
"""What a card without any text takes, roughly."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What is known of a card at a moment.

    Attributes:
        theirs: The card of the record.
        ours: The card of the travelled world; ``None``: the same.
        words: What the platform has told about it.
        is_partial: Its beginning is not in the log.
        causes: The handlers that decided otherwise about it.
    """

    theirs: CardThen = UNTOUCHED
    ours: CardThen | None = None
    words: Words | None = None
    is_partial: bool = False
    causes: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether both worlds have the same card."""
        return self.ours is None


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """
    An input that failed in the record, kept whole in case that it is redriven.

    Attributes:
        kind: Its record's ``ce_type``, and `offset` its place.
        is_ours: It failed in the travelled world, too.
    """

    kind: str
    value: bytes
    offset: int
    is_ours: bool

    def __repr__(self) -> str:
        """Name its kind, nothing that a person typed."""
        return f"Failed({self.kind!r})"


NEW: Final = Kept()


class Cards:
    """
    Cards by their key.

    Attributes:
        seen: How many different ones there were.

    Args:
        file: A temporary one, written to once memory does not suffice.
        memory_bytes: How much text is kept in memory.
    """

    def __init__(self, file: sqlite3.Connection, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self.seen = 0
        self._newest: OrderedDict[CardKey, Kept] = OrderedDict()
        self._bytes, self._bound = 0, memory_bytes
        self._spill = Table(file, "cards", Kept)
        self._failed = Table(file, "failed", Failed)

    @property
    def in_memory(self) -> int:
        """How many are in memory."""
        return len(self._newest)

    def get(self, key: CardKey) -> Kept:
        """Return a card; one that was not there before is new."""
        found = self._newest.get(key)
        if found is not None:
            self._newest.move_to_end(key)
            return found
        spilt = self._spill.get(key)
        self.seen += spilt is None
        kept = NEW if spilt is None else spilt
        self._newest[key] = kept
        self._bytes += _size(kept)
        return kept

    def put(self, key: CardKey, kept: Kept) -> None:
        """Keep a card as it is now, after it was got."""
        before = self._newest.get(key, NEW)
        self._newest[key] = kept
        self._bytes += _size(kept) - _size(before)
        if self._bytes > self._bound:
            self._shrink()

    def fail(self, key: ClaimKey, failed: Failed) -> None:
        """Keep an input that failed."""
        self._failed.put([((key.app_id, key.event_id), failed)])

    def failed(self, key: ClaimKey) -> Failed | None:
        """Return an input that failed, if it is kept."""
        return self._failed.get(key)

    def _shrink(self) -> None:
        gone: list[tuple[CardKey, Kept]] = []
        while self._bytes > self._bound * 3 // 4 and len(self._newest) > 1:
            key, kept = self._newest.popitem(last=False)
            self._bytes -= _size(kept)
            gone.append((key, kept))
        self._spill.put(gone)


def _size(kept: Kept) -> int:
    theirs, ours = kept.theirs, kept.ours
    both = CARD_BYTES + len(theirs.state or "") + len(theirs.content or "")
    both += sum(len(standing.winners) + len(standing.voters) for standing in theirs.rules.values()) * 80
    return both if ours is None else both + len(ours.state or "") + len(ours.content or "")
