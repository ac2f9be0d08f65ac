"""What is old goes: the values of `RetainingLedger`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from shared.core.json_text import EpochMs

ROLE: Final = "retention"
"""Of the one worker in the fleet that sweeps."""

Store = Literal["tokens", "dead_letters", "targets", "events", "faces", "budgets", "suspensions"]
"""
What is swept by itself. ``events`` are claims with all that hangs on them: effects, and the card with its last event.
"""

Place = tuple[int | str, ...]
"""Where a sweep has got to in its order: a time, then a key; or a key alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """
    One short transaction of deleting.

    Attributes:
        older_than_ms: By the ledger's clock.
        after: Where the one before ended; ``None``: from the beginning.
        limit: How many rows of the store are looked at.
        dry: Delete nothing and say what would go.
    """

    store: Store
    older_than_ms: int
    after: Place | None = None
    limit: int
    dry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """
    What a sweep did.

    Attributes:
        rows: How many rows went, by table.
        last: Where it got to; ``None``: nothing is left to look at.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    last: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """The oldest row of each table that is found by its time, and the ledger's time (ms)."""

    now: EpochMs
    oldest: Mapping[str, EpochMs] = field(default_factory=dict)


def place_after(found: Sequence[Sequence[int | str]], *, limit: int) -> Place | None:
    """Return where to go on behind the rows that were found; ``None`` if they were the last."""
    return tuple(found[-1]) if len(found) == limit else None
