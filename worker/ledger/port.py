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

Rows have one writer: `CardRow` belongs to write, `FaceRow` to settle. Lock order everywhere: positions, claims,
cards, targets, effects, outbox; a pump locks its targets first and looks for remaining work in a second
statement, so no wake-up is lost. Rows are touched in key order, so that workers do not deadlock.

All times are the ledger's clock (ms): the database's in production, so that workers need not agree on theirs.
JSON is stored as bytes: PostgreSQL refuses NUL in text and jsonb.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from shared.core.cards import CardFormat
from shared.core.errors import CardwireError
from shared.core.events import ClaimResult, Eligibility, OutcomeStatus
from shared.core.ids import AppId, ChatId, DeliveryKey, EventId, MessageId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import NewRecord


class Fenced(CardwireError):
    """Another worker moved a position of this batch: drop the batch and seek to the ledger's positions."""


class ClaimRace(CardwireError):
    """A claim of this batch appeared between read and write: read and decide again."""


class DataRefused(CardwireError):
    """The database refuses a value of this batch (NUL in an id, a number too large): bisect, park the record."""


class SchemaMismatch(CardwireError):
    """The database's schema is missing, older or newer than this program; the text says which and what to run."""


class ClaimKey(NamedTuple):
    """An input, within its app."""

    app_id: AppId
    event_id: EventId


class DeliveryRef(NamedTuple):
    """A delivery, within its app."""

    app_id: AppId
    delivery_key: DeliveryKey


class CardKey(NamedTuple):
    """A card, within its app."""

    app_id: AppId
    message_id: MessageId


class EffectKey(NamedTuple):
    """An effect, within its app: the nth of its event's decision."""

    app_id: AppId
    event_id: EventId
    nth: int


class TargetKey(NamedTuple):
    """A target, within its app."""

    app_id: AppId
    target: Target


# --- decide ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a partition is decided up to: the next offset, and the ``ce_id`` of the record before it."""

    next: int
    last_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A position's change: only if it still is ``expected``."""

    partition: int
    expected: int
    next: int
    last_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """An input that is decided: at most one row for each event, and for each delivery of an app."""

    app_id: AppId
    event_id: EventId
    delivery_key: DeliveryKey | None
    result: ClaimResult
    redrive: int = 0
    handler: str | None = None
    digest: str | None = None
    reason: str | None = None
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """A card as decided: state, the card we intend to show, version, time of its newest click (ms)."""

    app_id: AppId
    message_id: MessageId
    version: int
    state: JsonText | None
    content: JsonText | None
    newest_at: EpochMs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRow:
    """
    A card as the platform has it, as far as we know.

    Attributes:
        sent_at: The platform's ``create_time`` of our own send (ms).
        sent: JSON text of the card as we sent it.
        shown: SHA-256 of the card that our last successful update showed, and the order of its effect.
    """

    app_id: AppId
    message_id: MessageId
    chat_id: ChatId | None = None
    sent_at: EpochMs | None = None
    sent: JsonText | None = None
    card_format: CardFormat | None = None
    shown: str | None = None
    shown_order: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEffect:
    """
    An effect to store, pending.

    Attributes:
        message_id: The card of the interaction it descends from.
        due_in_ms: When it may start, from the commit on.
        marked: Its click's answered mark was in the same batch.
        delivered: What that mark says; ``None`` without one.
        occurred_at: The click's time, and `received_at` the gateway's (ms): renames go by them.
        payload: The effect as JSON, with its ``kind``.
    """

    app_id: AppId
    event_id: EventId
    index: int
    tenant_key: TenantKey
    message_id: MessageId | None
    kind: str
    target: Target
    audience: str
    coalesce: str | None
    eligibility: Eligibility
    order: int
    due_in_ms: int
    marked: bool
    occurred_at: EpochMs
    received_at: EpochMs
    payload: bytes
    delivered: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """
    A first or later answered mark of an event decided earlier; its card's target is woken.

    Attributes:
        delivered: The answer reached somebody; a card that it held needs no settle gap, for it is there already.
    """

    app_id: AppId
    event_id: EventId
    message_id: MessageId
    delivered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An input whose handler failed, kept whole (the record's value) so that it can be decided again later."""

    app_id: AppId
    event_id: EventId
    handler: str
    reason: str
    interaction: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """
    A handler's record of missed deadlines, shared by all workers.

    Attributes:
        misses: Deadlines missed in a row.
        until: Not called before this time (ms); 0: not suspended.
        pause_ms: How long the last suspension was; the next one is twice as long.
    """

    handler: str
    misses: int = 0
    until: EpochMs = 0
    pause_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a batch asks the ledger."""

    claims: Collection[ClaimKey]
    deliveries: Collection[DeliveryRef]
    cards: Collection[CardKey]
    apps: Collection[AppId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger knew when a batch was read. ``new_style_at``: newest new-style callback of each app (ms)."""

    now: EpochMs
    claims: Mapping[ClaimKey, ClaimResult] = field(default_factory=dict)
    deliveries: Collection[DeliveryRef] = frozenset()
    cards: Mapping[CardKey, CardRow] = field(default_factory=dict)
    faces: Mapping[CardKey, FaceRow] = field(default_factory=dict)
    new_style_at: Mapping[AppId, EpochMs] = field(default_factory=dict)
    suspensions: Mapping[str, Suspension] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What a batch decided. At most one row for each key in every list."""

    moves: Sequence[Move]
    claims: Sequence[ClaimRow] = ()
    cards: Sequence[CardRow] = ()
    effects: Sequence[NewEffect] = ()
    marks: Sequence[Mark] = ()
    dead_letters: Sequence[DeadLetter] = ()
    suspensions: Sequence[Suspension] = ()
    new_style_at: Mapping[AppId, EpochMs] = field(default_factory=dict)
    outbox: Sequence[NewRecord] = ()


# --- pump ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The newest full update of a target that the platform took: of which click, by which effect."""

    occurred_at: EpochMs
    received_at: EpochMs
    event_id: EventId
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    A pending effect without its payload: enough to choose what to do next.

    Attributes:
        due: Not before this time (ms, ledger's clock).
        k: How many outcomes it has had; `attempts` how many calls the platform answered.
        begun_at: When a call was first begun and not answered (ms): it may have been performed.
        delivered: Its click's answer reached somebody; ``None``: no mark has said so yet.
    """

    app_id: AppId
    event_id: EventId
    index: int
    tenant_key: TenantKey
    message_id: MessageId | None
    kind: str
    target: Target
    audience: str
    coalesce: str | None
    order: int
    due: EpochMs
    occurred_at: EpochMs
    received_at: EpochMs
    decided_at: EpochMs
    k: int
    attempts: int
    begun_at: EpochMs | None
    marked_at: EpochMs | None
    delivered: bool | None = None

    @property
    def key(self) -> EffectKey:
        """Its key."""
        return EffectKey(self.app_id, self.event_id, self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """
    A target that is ours for a while.

    Attributes:
        leased_at: When the lease began (ms, ledger's clock): with the owner, what tells this lease from others.
        heads: Its pending effects in log order, due or not, oldest first.
        more: There are more than `heads` shows.
        applied: The newest full update that the platform took.
        resend: That update is to be sent once more now, because an ambiguous call may have overtaken it; its
            effect as a head (status ``succeeded``), else ``None``.
        face: Of the card that the target is or descends from (message and chat-of targets).
        called_at: When the target was last called, by anybody (ms, ledger's clock).
    """

    key: TargetKey
    leased_at: EpochMs
    heads: Sequence[Head]
    more: bool = False
    applied: Applied | None = None
    resend: Head | None = None
    face: FaceRow | None = None
    called_at: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a pump leased, the ledger's time then, and when the next target is due that it did not get (ms)."""

    now: EpochMs
    targets: Sequence[Leased] = ()
    next_due: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectChange:
    """
    An effect's new standing after an outcome.

    Attributes:
        status: Its final status, or ``pending`` to try again in ``retry_in_ms``.
        begun: A call was begun and not answered.
        outcome: The outcome as JSON.
    """

    key: EffectKey
    status: OutcomeStatus | Literal["pending"]
    k: int
    attempts: int
    retry_in_ms: int | None = None
    begun: bool = False
    outcome: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """
    What became of a leased target.

    Attributes:
        leased_at: The lease under which it was done.
        called: The platform was called: if the lease was lost meanwhile, the newest state is sent again.
        moved: Effects that belong to another target, now that their chat is known.
        pace_ms: No further call to the target for so long.
        resend: ``keep`` the wish as it is, ``clear`` it (the newest state was sent), or send again in so many ms.
        face: What is now known of a card; ``None`` fields leave the row's as they are.
    """

    key: TargetKey
    leased_at: EpochMs
    called: bool
    changes: Sequence[EffectChange] = ()
    moved: Mapping[EffectKey, Target] = field(default_factory=dict)
    pace_ms: int = 0
    resend: Literal["keep", "clear"] | int = "keep"
    applied: Applied | None = None
    face: FaceRow | None = None
    outbox: Sequence[NewRecord] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Which targets' leases had been lost, and when the next target is due (ms, ledger's clock)."""

    lost: Collection[TargetKey]
    next_due: EpochMs | None


class BudgetKey(NamedTuple):
    """What a rate limit counts: calls of one API by one app in one tenant."""

    app_id: AppId
    tenant_key: TenantKey
    api: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Two limits that hold together; spacings in µs, bursts in calls above the spacing."""

    second_us: int
    second_burst: float
    minute_us: int
    minute_burst: float


class Ledger(Protocol):
    """
    The database, as the worker sees it.

    Every method raises `LedgerUnavailable` when the database cannot be reached or is too busy; nothing was
    changed then, or (a lost answer to a commit) all of it was.
    """

    # decide

    async def positions(self) -> Mapping[int, Position]:
        """Return every partition's position; empty before the first `begin`."""

    async def begin(self, partitions: int) -> None:
        """Create positions at 0 for a log of ``partitions``, where there are none yet."""

    async def claimed(self, claims: Collection[ClaimKey]) -> Collection[ClaimKey]:
        """Return which of these inputs are claimed."""

    async def read(self, wanted: Wanted) -> Known:
        """Return what the ledger knows, as of one moment. Raises `DataRefused`."""

    async def write(self, write: Write) -> EpochMs:
        """
        Commit a batch, whole, and return the ledger's time of it (ms).

        Effects become due at that time + ``due_in_ms``. Marks make the pending effects of their event that wait
        for an answer due at that time + the settle gap, once, and an answered card that was delivered at that time;
        marks of events without such effects do nothing.

        Raises:
            Fenced, ClaimRace, DataRefused: Nothing was changed.
        """

    # pump

    async def lease(self, owner: str, *, limit: int, ttl_ms: int) -> Lease:
        """
        Take up to ``limit`` targets that are due and free (or whose lease is over), longest due first.

        A target that another worker is locking is skipped, not waited for.
        """

    async def payloads(self, keys: Collection[EffectKey]) -> Mapping[EffectKey, bytes]:
        """Return the effects' JSON."""

    async def begun(self, keys: Collection[EffectKey]) -> None:
        """Record, before the call, that these effects are being performed: what cannot be repeated for ever."""

    async def settle(self, owner: str, settlements: Sequence[Settlement]) -> Settled:
        """
        Store what became of leased targets, release them, and tell whose lease had been lost.

        A lost one changes nothing, except that the newest state of its target is sent again if it was called.
        A released target is due when its earliest pending effect is, not before ``pace_ms`` are over.
        """

    async def reserve(self, wants: Mapping[BudgetKey, tuple[int, Rate]], *, ahead_ms: int) -> Mapping[BudgetKey, int]:
        """
        Reserve calls of each API and return how long the first of them must wait (ms); the others follow spaced.

        A wait beyond ``ahead_ms`` reserves nothing.
        """

    async def blocked(self, key: BudgetKey, *, for_ms: int) -> None:
        """Let nobody call this API for so long: the platform said so."""

    async def next_due(self) -> EpochMs | None:
        """Return when the next free target is due, or a lease ends (ms, ledger's clock)."""

    async def now(self) -> EpochMs:
        """Return the ledger's time (ms)."""

    # relay

    async def hold(self, name: str, owner: str, *, ttl_ms: int) -> bool:
        """Take or keep the fleet-wide role ``name`` for so long; False if somebody else has it."""

    async def outbox(self, *, limit: int) -> Sequence[tuple[int, NewRecord]]:
        """Return the oldest outbox rows, in the order they were committed per card."""

    async def relayed(self, ids: Collection[int]) -> None:
        """Delete outbox rows that are in the log."""

    async def outbox_depth(self) -> int:
        """Return how many outbox rows wait."""

    # life

    async def check(self) -> None:
        """
        Reach the database and compare its schema with this program's.

        Raises:
            SchemaMismatch: With the command that mends it.
        """

    async def upgrade(self) -> None:
        """Bring the schema up to date; safe to run by several processes at once."""

    async def close(self) -> None:
        """Release all connections. Never raises."""
