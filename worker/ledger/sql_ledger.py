"""
The ledger on SQL: `Ledger`'s methods, each the business of one module, and what people ask.

The parts do not stand beside each other as those of whoever asks: a loop is given one object, whose protocol in
`worker.ledger.port` names what it may do, however many parts that takes.
"""

from collections.abc import Collection, Mapping, Sequence

from shared.core.folded import RightKey
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.core.secret import Secret
from shared.eventlog.port import NewRecord
from worker.ledger import schema
from worker.ledger.budgets import Budgets
from worker.ledger.decided import ClaimKey, Known, Position, Wanted, Write
from worker.ledger.engine import Database
from worker.ledger.failures import Failures
from worker.ledger.histories import Histories
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
from worker.ledger.leases import Leases
from worker.ledger.outbox import Outbox
from worker.ledger.pending import Pendings
from worker.ledger.pulse import Pulses
from worker.ledger.reads import Reads
from worker.ledger.roles import Roles
from worker.ledger.settlements import Settlements
from worker.ledger.sweeps import Sweeps
from worker.ledger.tokens import Tokens
from worker.ledger.watched import Pulse
from worker.ledger.writes import Writes


class SqlLedger:
    """
    A `Ledger` in SQLite or PostgreSQL; see the port for what its methods promise.

    Attributes:
        database: Where it is.
        histories: What people ask of a card.
        failures: What people ask of what failed, and how they have effects tried again.
        pendings: What people ask of what waits.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
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
        self.failures = Failures(database)
        self.pendings = Pendings(database)
        self.histories = Histories(database)

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
        await schema.check(self.database)

    async def upgrade(self) -> None:
        await schema.upgrade(self.database)

    async def look(self) -> None:
        """Compare the schema as `check` does, and change nothing: not even a SQLite file is made or upgraded."""
        await schema.look(self.database)

    async def close(self) -> None:
        await self.database.close()
