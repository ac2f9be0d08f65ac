"""Short words for what the ledger is given and asked."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.core.events import Eligibility
from shared.core.ids import AppId, DeliveryKey, EventId, MessageId, Target, TenantKey
from shared.eventlog.port import NewRecord
from worker.ledger.decided import CardRow, ClaimRow, Mark, Move, NewEffect, Write
from worker.ledger.leased import Applied, EffectChange, Head, Lease, Leased, Settlement, TargetKey
from worker.ledger.sql_ledger import SqlLedger

APP: Final = AppId("cli_a")
TENANT: Final = TenantKey("tenant")
CARD: Final = MessageId("om_card")
ON_CARD: Final = Target("message:om_card")
SETTLE_MS: Final = 300
UNANSWERED_MS: Final = 3_000
TTL_MS: Final = 10_000

Opener = Callable[..., SqlLedger]
"""Opens the ledger at a URL, on a clock or on its own; it is closed when the test ends."""


def claim(event: str, *, delivery: str | None = None, partition: int = 0, offset: int = 0) -> ClaimRow:
    """Return the claim of an event."""
    return ClaimRow(
        app_id=APP,
        event_id=EventId(event),
        delivery_key=DeliveryKey(delivery) if delivery else None,
        result="decided",
        handler="follow_up",
        digest="0123",
        partition=partition,
        offset=offset,
    )


def card(message: str = CARD, **columns: Any) -> CardRow:
    """Return a card's row."""
    given: dict[str, Any] = {"version": 1, "state": None, "content": None, "newest_at": None, **columns}
    return CardRow(app_id=APP, message_id=MessageId(message), **given)


_orders = itertools.count(1)


def effect(event: str, index: int = 1, *, target: str = ON_CARD, due_in_ms: int = 0, **columns: Any) -> NewEffect:
    """Return an effect; its order is later than that of all before it."""
    eligibility: Eligibility = columns.pop("eligibility", "at_once")
    return NewEffect(
        app_id=APP,
        event_id=EventId(event),
        index=index,
        tenant_key=TENANT,
        message_id=columns.pop("message_id", CARD),
        kind=columns.pop("kind", "UpdateCard"),
        target=Target(target),
        audience="*",
        coalesce="card",
        eligibility=eligibility,
        order=columns.pop("order") if "order" in columns else next(_orders),
        due_in_ms=due_in_ms,
        marked=columns.pop("marked", False),
        occurred_at=1,
        received_at=2,
        payload=columns.pop("payload", b'{"kind":"UpdateCard"}'),
        delivered=columns.pop("delivered", None),
    )


def waiting(event: str, index: int = 1, **columns: Any) -> NewEffect:
    """Return an effect that waits for its click's answer."""
    return effect(event, index, due_in_ms=UNANSWERED_MS, eligibility="after_answer", **columns)


def mark(event: str, message: str = CARD, *, delivered: bool = True) -> Mark:
    """Return the answered mark of an event, with the waits that deciding gives it."""
    return Mark(
        app_id=APP,
        event_id=EventId(event),
        message_id=MessageId(message),
        delivered=delivered,
        due_in_ms=SETTLE_MS,
        card_due_in_ms=0 if delivered else SETTLE_MS,
    )


def told(text: str) -> NewRecord:
    """Return a record for the outbox."""
    return NewRecord(topic="outcomes", key="k", value=text.encode(), headers=(("ce_id", text.encode()),), timestamp=7)


class Decider:
    """Writes batches of one partition, one record each, as the worker that owns it."""

    def __init__(self, ledger: SqlLedger, partition: int = 0) -> None:
        self.ledger, self.partition, self.next = ledger, partition, 0

    def batch(self, **what: Any) -> Write:
        """Return the next batch; it moves the position by one."""
        move = Move(partition=self.partition, expected=self.next, next=self.next + 1, last_id=f"id-{self.next}")
        return Write(moves=[move], **what)

    async def write(self, **what: Any) -> int:
        """Write the next batch; the position stays where it was if the ledger refuses it."""
        at = await self.ledger.write(self.batch(**what))
        self.next += 1
        return at

    async def decide(self, event: str, *effects: NewEffect, **what: Any) -> None:
        """Write the claim of an event, and its effects."""
        await self.write(claims=[claim(event, partition=self.partition, offset=self.next)], effects=effects, **what)


async def lease(ledger: SqlLedger, owner: str = "pump", *, limit: int = 16, ttl_ms: int = TTL_MS) -> Lease:
    """Take what is due."""
    return await ledger.lease(owner, limit=limit, ttl_ms=ttl_ms)


async def nothing_is_due(ledger: SqlLedger, owner: str = "pump") -> bool:
    """Say whether no target can be taken."""
    return not (await lease(ledger, owner)).targets


async def only(ledger: SqlLedger, owner: str = "pump") -> Leased:
    """Take what is due, which is one target."""
    (leased,) = (await lease(ledger, owner)).targets
    return leased


def on(target: str = ON_CARD) -> TargetKey:
    """Return a target's key."""
    return TargetKey(APP, Target(target))


def succeeded(head: Head) -> EffectChange:
    """Return the change of an effect that was performed."""
    return EffectChange(key=head.key, status="succeeded", k=head.k + 1, attempts=head.attempts + 1, outcome=b"{}")


def retried(head: Head, in_ms: int, **columns: Any) -> EffectChange:
    """Return the change of an effect that is tried again."""
    return EffectChange(
        key=head.key, status="pending", k=head.k + 1, attempts=1, retry_in_ms=in_ms, outcome=b"{}", **columns
    )


def applied(head: Head) -> Applied:
    """Return the effect as a target's newest applied update."""
    return Applied(occurred_at=head.occurred_at, order=head.order, event_id=head.event_id, index=head.index)


def performed(leased: Leased, **columns: Any) -> Settlement:
    """Return the settlement of a target of which everything was performed."""
    changes = [succeeded(head) for head in leased.heads]
    return settling(leased, changes=changes, **columns)


def settling(leased: Leased, *, called: bool = True, **columns: Any) -> Settlement:
    """Return a settlement of a target, of which the platform was called unless told otherwise."""
    return Settlement(key=leased.key, leased_at=leased.leased_at, called=called, **columns)


async def settle(ledger: SqlLedger, *settlements: Settlement, owner: str = "pump") -> Sequence[TargetKey]:
    """Store settlements and return the targets that were lost."""
    return sorted((await ledger.settle(owner, settlements)).lost)
