"""
The ledger's contract.

One database holds all that the worker must not forget. It is changed in few kinds of transaction, each short,
none open while the platform or user code is called:

*write*   what a batch decided: positions (compare-and-set), claims, cards, targets, effects, outbox. All or
          nothing: after a crash at any moment either the whole batch is decided or it will be read again.
*lease*   a pump takes targets that are due, for a bounded time.
*settle*  what became of the effects of leased targets, faces, outbox. Only the present holder of a target's lease
          changes its effects; what a late one reports is dropped, and the newest state is sent again.
*reserve* tokens of a rate limit, in a transaction of its own.
*relay*   outbox rows are read, appended to the log, then deleted: at least once, in order.
*sweep*   what is old is deleted, some rows at a time.

Rows have one writer: `CardRow` belongs to write, `FaceRow` to settle. So each of those who work on the ledger has a
protocol of its own here, and is given nothing else: whoever decides can settle nothing, and whoever performs can write
no card. What people ask, and a redrive of theirs, is no loop's business (`worker/ledger/sql_ledger.py`).

Lock order, of every transaction: roles, positions, claims, cards, targets, effects, card_tokens, faces, outbox,
dead_letters, suspensions, apps. Rate limits (budgets) are reserved with no other lock held. Rows of one table are
touched in key order, so that workers do not deadlock; whoever changes an effect holds its target, so effects may be
touched in any. A pump looks for remaining work in a second statement, once its targets are locked: no wake-up is lost.

All times are the ledger's clock (ms): the database's in production, so that workers need not agree on theirs.
JSON is stored as bytes: PostgreSQL refuses NUL in text and jsonb.

The values have files of their own, by the stage that uses them: `worker/ledger/decided.py`, `worker/ledger/leased.py`,
`worker/ledger/kept.py` and `worker/ledger/watched.py`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from shared.core.errors import CardwireError
from shared.core.folded import RightKey
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.port import NewRecord
from worker.ledger.decided import (
    ClaimKey,
    Known,
    Position,
    Wanted,
    Write,
)
from worker.ledger.kept import Aged, Sweep, Swept
from worker.ledger.leased import (
    Beginning,
    Begun,
    BudgetKey,
    EffectKey,
    GivenRight,
    Lease,
    Rate,
    Settled,
    Settlement,
    TargetKey,
)
from worker.ledger.watched import Pulse


class Fenced(CardwireError):
    """Another worker moved a position of this batch: drop the batch and seek to the ledger's positions."""


class ClaimRace(CardwireError):
    """A claim of this batch appeared between read and write: read and decide again."""


class DataRefused(CardwireError):
    """The database refuses a value of this batch (NUL in an id, a number too large): bisect, park the record."""


class SchemaMismatch(CardwireError):
    """The database's schema is missing, older or newer than this program; the text says which and what to run."""


class LedgerPositions(Protocol):
    """Up to where the log is decided, and when: what begins with a look at the positions."""

    async def positions(self) -> Mapping[int, Position]:
        """Return every partition's position; empty before the first `begin`."""

    async def now(self) -> EpochMs:
        """Return the ledger's time (ms)."""


class FleetRoles(Protocol):
    """What only one worker of the fleet does at a time."""

    async def hold(self, name: str, owner: str, *, ttl_ms: int) -> bool:
        """Take or keep the fleet-wide role ``name`` for so long; False if somebody else has it."""


class StartingLedger(LedgerPositions, Protocol):
    """What a worker compares with the log before it does anything."""

    async def begin(self, partitions: int) -> None:
        """Create positions at 0 for a log of ``partitions``, where there are none yet."""

    async def claimed(self, claims: Collection[ClaimKey]) -> Collection[ClaimKey]:
        """Return which of these inputs are claimed."""


class DecidingLedger(LedgerPositions, Protocol):
    """What deciding reads and writes: the only way to a position, a claim, a card's row or a new effect."""

    async def read(self, wanted: Wanted) -> Known:
        """Return what the ledger knows, as of one moment. Raises `DataRefused`."""

    async def write(self, write: Write) -> EpochMs:
        """
        Commit a batch, whole, and return the ledger's time of it (ms).

        Effects become due at that time + ``due_in_ms``. Marks make the pending effects of their event that wait
        for an answer due at that time + their ``due_in_ms``, and the answered card at that time + ``card_due_in_ms``,
        once; marks of events without such effects do nothing.

        Raises:
            Fenced, ClaimRace, DataRefused: Nothing was changed.
        """


class PerformingLedger(Protocol):
    """What those who make the calls take from the ledger, and what they note before a call."""

    async def lease(self, owner: str, *, limit: int, ttl_ms: int) -> Lease:
        """
        Take up to ``limit`` targets that are due and free (or whose lease is over), longest due first.

        A target that another worker is locking is skipped, not waited for.
        """

    async def prolong(self, owner: str, key: TargetKey, leased_at: EpochMs, *, ttl_ms: int) -> bool:
        """Keep a lease for so long from now; False if it was lost, and somebody else may have the target."""

    async def resume(self, keys: Collection[TargetKey]) -> None:
        """Make targets due that were put off (``pace_ms``) and are nobody's; one that is being locked is skipped."""

    async def payloads(self, keys: Collection[EffectKey]) -> Mapping[EffectKey, bytes]:
        """Return the effects' JSON."""

    async def tokens(self, keys: Collection[RightKey]) -> Mapping[RightKey, GivenRight]:
        """Return the rights that are known."""

    async def begun(self, beginnings: Sequence[Beginning]) -> Mapping[EffectKey, Begun]:
        """
        Record, before the calls, that these effects are being performed: what cannot be repeated for ever.

        Uses of rights are counted in the same transaction: after a crash right behind it a use is lost, never had
        twice.
        """

    async def reserve(self, wants: Mapping[BudgetKey, tuple[int, Rate]], *, ahead_ms: int) -> Mapping[BudgetKey, int]:
        """
        Reserve calls of each API and return how long the first of them must wait (ms); the others follow spaced.

        A wait beyond ``ahead_ms`` reserves nothing.
        """

    async def blocked(self, key: BudgetKey, *, for_ms: int) -> None:
        """Let nobody call this API for so long: the platform said so."""


class SettlingLedger(Protocol):
    """Where it is stored what became of calls: the only way to an outcome, or to what a card shows."""

    async def settle(self, owner: str, settlements: Sequence[Settlement]) -> Settled:
        """
        Store what became of leased targets, release them, and tell whose lease had been lost.

        A lost one changes nothing, except that the newest state of its target is sent again if it was called.
        A released target is due when its earliest pending effect is, not before ``pace_ms`` are over.
        """


class TicketLedger(FleetRoles, Protocol):
    """What store apps get their access tokens with."""

    async def app_ticket(self, app_id: AppId) -> Secret | None:
        """Return the newest ticket of a store app, or ``None`` if none has come yet."""


class RelayingLedger(FleetRoles, Protocol):
    """What is to be told to the log."""

    async def outbox(self, *, limit: int) -> Sequence[tuple[int, NewRecord]]:
        """Return the oldest outbox rows, in the order they were committed per card."""

    async def relayed(self, ids: Collection[int]) -> None:
        """Delete outbox rows that are in the log."""

    async def outbox_depth(self) -> int:
        """Return how many outbox rows wait."""


class RetainingLedger(FleetRoles, Protocol):
    """What is old goes."""

    async def sweep(self, sweep: Sweep) -> Swept:
        """
        Delete some of what is old, in one short transaction, and return what went and where to go on.

        Whatever is in use is passed over: a claim whose input has a pending effect or is a dead letter, a card that
        anybody did something about since, a target with work. After a crash the next sweep finds what is left.
        """

    async def aged(self) -> Aged:
        """Return how old the oldest rows are."""


class WatchedLedger(Protocol):
    """What is measured."""

    async def pulse(self) -> Pulse:
        """Return how the ledger is doing, for those who watch."""


class Ledger(
    StartingLedger,
    DecidingLedger,
    PerformingLedger,
    SettlingLedger,
    TicketLedger,
    RelayingLedger,
    RetainingLedger,
    WatchedLedger,
    Protocol,
):
    """
    The whole database, as whoever puts a worker together sees it: each loop is given its own side of it.

    Every method of every side raises `LedgerUnavailable` when the database cannot be reached or is too busy; nothing
    was changed then, or (a lost answer to a commit) all of it was.
    """

    async def check(self) -> None:
        """
        Reach the database and compare its schema with this program's.

        Raises:
            SchemaMismatch: With the command that mends it.
        """

    async def close(self) -> None:
        """Release all connections. Never raises."""
