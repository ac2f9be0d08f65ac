"""The ledger on SQL: `Ledger`'s methods, each the business of one module."""

from collections.abc import Collection, Mapping, Sequence

from shared.core.ids import AppId, MessageId
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.port import NewRecord
from worker.history.card_history import CLICKS, CardHistory
from worker.ledger import schema
from worker.ledger.budgets import Budgets
from worker.ledger.dump import Dump, dump
from worker.ledger.engine import Database
from worker.ledger.failures import FailedEffect, FailedInput, Failures
from worker.ledger.histories import Histories
from worker.ledger.kept import Aged, Sweep, Swept
from worker.ledger.leases import Leases
from worker.ledger.outbox import Outbox
from worker.ledger.pending import PendingEffect, Pendings
from worker.ledger.port import (
    Beginning,
    Begun,
    BudgetKey,
    ClaimKey,
    EffectKey,
    GivenRight,
    Known,
    Lease,
    Position,
    Pulse,
    Rate,
    RightKey,
    Settled,
    Settlement,
    TargetKey,
    Wanted,
    Write,
)
from worker.ledger.pulse import Pulses
from worker.ledger.reads import Reads
from worker.ledger.roles import Roles
from worker.ledger.settlements import Settlements
from worker.ledger.sweeps import Sweeps
from worker.ledger.tokens import Tokens
from worker.ledger.writes import Writes


class SqlLedger:
    """A `Ledger` in SQLite or PostgreSQL; see the port for what its methods promise."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reads = Reads(database)
        self._writes = Writes(database)
        self._leases = Leases(database)
        self._tokens = Tokens(database)
        self._settlements = Settlements(database)
        self._budgets = Budgets(database)
        self._outbox = Outbox(database)
        self._roles = Roles(database)
        self._sweeps = Sweeps(database)
        self._pulses = Pulses(database)
        self._failures = Failures(database)
        self._pendings = Pendings(database)
        self._histories = Histories(database)

    async def positions(self) -> Mapping[int, Position]:
        return await self._reads.positions()

    async def begin(self, partitions: int) -> None:
        await self._reads.begin(partitions)

    async def claimed(self, claims: Collection[ClaimKey]) -> Collection[ClaimKey]:
        return await self._reads.claimed(claims)

    async def read(self, wanted: Wanted) -> Known:
        return await self._reads.read(wanted)

    async def write(self, write: Write) -> EpochMs:
        return await self._writes.write(write)

    async def lease(self, owner: str, *, limit: int, ttl_ms: int) -> Lease:
        return await self._leases.lease(owner, limit=limit, ttl_ms=ttl_ms)

    async def prolong(self, owner: str, key: TargetKey, leased_at: EpochMs, *, ttl_ms: int) -> bool:
        return await self._leases.prolong(owner, key, leased_at, ttl_ms=ttl_ms)

    async def resume(self, keys: Collection[TargetKey]) -> None:
        await self._leases.resume(keys)

    async def payloads(self, keys: Collection[EffectKey]) -> Mapping[EffectKey, bytes]:
        return await self._leases.payloads(keys)

    async def tokens(self, keys: Collection[RightKey]) -> Mapping[RightKey, GivenRight]:
        return await self._tokens.tokens(keys)

    async def begun(self, beginnings: Sequence[Beginning]) -> Mapping[EffectKey, Begun]:
        return await self._leases.begun(beginnings)

    async def settle(self, owner: str, settlements: Sequence[Settlement]) -> Settled:
        return await self._settlements.settle(owner, settlements)

    async def reserve(self, wants: Mapping[BudgetKey, tuple[int, Rate]], *, ahead_ms: int) -> Mapping[BudgetKey, int]:
        return await self._budgets.reserve(wants, ahead_ms=ahead_ms)

    async def blocked(self, key: BudgetKey, *, for_ms: int) -> None:
        await self._budgets.blocked(key, for_ms=for_ms)

    async def app_ticket(self, app_id: AppId) -> Secret | None:
        return await self._reads.app_ticket(app_id)

    async def next_due(self) -> EpochMs | None:
        return await self._leases.next_due()

    async def pulse(self) -> Pulse:
        return await self._pulses.pulse()

    async def now(self) -> EpochMs:
        return await self._reads.now()

    async def hold(self, name: str, owner: str, *, ttl_ms: int) -> bool:
        return await self._roles.hold(name, owner, ttl_ms=ttl_ms)

    async def outbox(self, *, limit: int) -> Sequence[tuple[int, NewRecord]]:
        return await self._outbox.outbox(limit=limit)

    async def relayed(self, ids: Collection[int]) -> None:
        await self._outbox.relayed(ids)

    async def outbox_depth(self) -> int:
        return await self._outbox.depth()

    async def sweep(self, sweep: Sweep) -> Swept:
        return await self._sweeps.sweep(sweep)

    async def aged(self) -> Aged:
        return await self._sweeps.aged()

    async def check(self) -> None:
        """Reach the database and compare its schema; a SQLite file is made or upgraded. See the port."""
        await schema.check(self._database)

    async def upgrade(self) -> None:
        await schema.upgrade(self._database)

    async def look(self) -> None:
        """Compare the schema as `check` does, and change nothing: not even a SQLite file is made or upgraded."""
        await schema.look(self._database)

    async def histories(
        self, message_id: MessageId, *, app_id: AppId | None = None, limit: int = CLICKS
    ) -> Sequence[CardHistory]:
        """Return a card's story, of each app that knows the card; see `worker.history.card_history`."""
        return await self._histories.histories(message_id, app_id=app_id, limit=limit)

    async def failed_inputs(self) -> Sequence[FailedInput]:
        """Return the inputs whose handler failed, oldest first; see `worker.ledger.failures`."""
        return await self._failures.inputs()

    async def pending(self, *, for_ms: int, limit: int) -> tuple[EpochMs, Sequence[PendingEffect]]:
        """Return the ledger's time, and which effects have waited for so long, longest first; see `Pendings`."""
        return await self._pendings.pending(for_ms=for_ms, limit=limit)

    async def failed_effects(self) -> Sequence[FailedEffect]:
        """Return the effects that were given up, in log order."""
        return await self._failures.effects()

    async def body(self, key: ClaimKey | EffectKey) -> bytes | None:
        """Return what is kept of a failed input, or an effect's payload: as JSON, with what people typed."""
        return await self._failures.body(key)

    async def redrive_effects(self, wanted: Collection[EffectKey], *, topic: str) -> int:
        """
        Have effects tried again that are given up, and return how many are.

        Args:
            topic: The outcomes topic, in which that is told.
        """
        return await self._failures.redrive(wanted, topic=topic)

    async def dump(self) -> Dump:
        """Return all rows that the log can restore, for comparing the two."""
        return await dump(self._database)

    async def close(self) -> None:
        await self._database.close()
