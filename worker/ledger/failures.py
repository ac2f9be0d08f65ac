"""
What failed and is kept: inputs whose handler did, and effects that were given up; for people, and to be tried again.

Reading shows nothing of what a person typed or a card says. What an operator tries again is done by the workers: of an
input by a record in the log, of an effect by its row, which is pending again then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    LargeBinary,
    String,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    update,
)

from shared.core.codec import encode
from shared.core.effects import Call, CallApi, FetchChat, FetchMessage, kinds
from shared.core.events import REDRIVEN, EffectOutcome
from shared.core.ids import AppId, EventId, MessageId, Target, TenantKey
from shared.core.json_text import EpochMs
from shared.eventlog.port import NewRecord
from worker.ledger.decided import ClaimKey
from worker.ledger.engine import Database, in_snapshot, in_transaction
from worker.ledger.leased import EffectKey, TargetKey
from worker.ledger.outbox import Telling
from worker.ledger.sql import keys, rows
from worker.ledger.tables import FAILED, PENDING, Key, claims, dead_letters, effects
from worker.ledger.targets import Waking
from worker.letters import is_dead_letter

_OUTCOME: Final = msgspec.json.Decoder(EffectOutcome)
_NAMED: Final = msgspec.json.Decoder(CallApi)
_ENCODER: Final = msgspec.json.Encoder()
_RETURNING: Final = kinds(Call | FetchChat | FetchMessage)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedInput:
    """
    An input whose handler failed.

    Attributes:
        kind: Its record's ``ce_type``.
        redrive: How often it was decided again, in vain.
        parks: Its card stands still until it is decided.
    """

    app_id: AppId
    event_id: EventId
    message_id: MessageId | None
    kind: str
    handler: str
    reason: str
    died_at: EpochMs
    redrive: int
    parks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEffect:
    """
    An effect that was given up or refused, with the outcome that says why.

    Attributes:
        returned: Its handler has heard of the failure, and decided: it is not tried again.
        redriven_at: When it was tried again by hand, last (ms).
    """

    app_id: AppId
    event_id: EventId
    index: int
    kind: str
    target: Target
    message_id: MessageId | None
    outcome: EffectOutcome
    returned: bool = False
    redriven_at: EpochMs | None = None

    @property
    def is_dead_letter(self) -> bool:
        """Whether somebody should look at it."""
        return is_dead_letter(self.outcome, followed=self.returned)


class Failures:
    """Questions about what failed, and the transaction that has effects tried again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        same = and_(claims.c.app_id == dead_letters.c.app_id, claims.c.event_id == dead_letters.c.event_id)
        names = ("app_id", "event_id", "message_id", "kind", "handler", "reason", "died_at", "parks")
        self._inputs = (
            select(*(dead_letters.c[name] for name in names), func.coalesce(claims.c.redrive, 0).label("redrive"))
            .outerjoin(claims, same)
            .order_by(dead_letters.c.died_at, dead_letters.c.offset)
        )
        self._kept = select(dead_letters.c.interaction).where(
            dead_letters.c.app_id == bindparam("app", type_=Key),
            dead_letters.c.event_id == bindparam("event", type_=Key),
        )
        self._payload = select(effects.c.payload).where(
            effects.c.app_id == bindparam("app", type_=Key),
            effects.c.event_id == bindparam("event", type_=Key),
            effects.c.index == bindparam("nth", type_=Integer()),
        )
        asked = ("app_id", "event_id", "index", "kind", "target", "message_id", "outcome", "redriven_at")
        # Of other kinds the payload is nobody's business here.
        named = case((effects.c.kind == CallApi.__name__, effects.c.payload), else_=null()).label("payload")
        ended = select(*(effects.c[name] for name in asked), named).order_by(effects.c.app_id, effects.c.order)
        self._failed = ended.where(effects.c.status == FAILED)
        # No index has these: whoever asks goes through the effects that are kept.
        self._refused = ended.where(effects.c.status == literal_column("'refused'", String()))
        self._waking = Waking(database)
        self._telling = Telling(database)
        self._keys = keys(dialect, app_id=Key, event_id=Key, index=Integer())
        row = self._keys.table.c
        here = and_(effects.c.app_id == row.app_id, effects.c.event_id == row.event_id, effects.c.index == row.index)
        found = ("app_id", "event_id", "index", "tenant_key", "message_id", "kind", "target", "k", "status")
        self._wanted = select(*(effects.c[name] for name in found)).join(self._keys.table, here)
        self._again, self._try_again = _try_again(dialect)

    @in_snapshot
    def inputs(self, connection: Connection) -> Sequence[FailedInput]:
        """Return the inputs whose handler failed, oldest first."""
        return [FailedInput(**row) for row in connection.execute(self._inputs).mappings()]

    @in_snapshot
    def effects(self, connection: Connection) -> Sequence[FailedEffect]:
        """Return what failed for good, handled or not, and what a rule of ours refused and somebody has to mend."""
        failed = connection.execute(self._failed).mappings()
        found = [_failed(dict(row)) for row in failed if row["outcome"] is not None]
        refused = (_failed(dict(row)) for row in connection.execute(self._refused).mappings() if row["outcome"])
        return [*found, *(one for one in refused if one.is_dead_letter)]

    @in_snapshot
    def body(self, connection: Connection, key: ClaimKey | EffectKey) -> bytes | None:
        """Return what is kept of a failed input, or an effect's payload: as JSON, with what people typed."""
        named = {"app": key.app_id, "event": key.event_id}
        if isinstance(key, EffectKey):
            found = connection.execute(self._payload, {**named, "nth": key.nth}).first()
        else:
            found = connection.execute(self._kept, named).first()
        return None if found is None else bytes(found[0])

    @in_transaction
    def redrive(self, connection: Connection, wanted: Iterable[EffectKey], *, topic: str) -> int:
        """
        Have effects tried again that are given up, and return how many are.

        They are locked by their targets, as by everything that changes them.

        Args:
            topic: The outcomes topic, in which that is told.
        """
        asked = sorted(set(wanted))
        targets = {TargetKey(row.app_id, row.target) for row in self._keys.fetch(connection, self._wanted, asked)}
        now = int(connection.execute(select(self._database.now)).scalar_one())
        self._waking.run(connection, dict.fromkeys(targets, now))
        failed = [row for row in self._keys.fetch(connection, self._wanted, asked) if row.status == "failed"]
        outcomes = sorted(
            (_redriven(row, now) for row in failed), key=lambda one: (one.app_id, one.event_id, one.index)
        )
        values = [(one.app_id, one.event_id, one.index, one.k, now, _ENCODER.encode(one)) for one in outcomes]
        self._again.execute(connection, self._try_again, values)
        self._telling.run(connection, [NewRecord.of(topic, encode(one)) for one in outcomes])
        return len(failed)


def _failed(row: dict[str, Any]) -> FailedEffect:
    payload = row.pop("payload")
    is_named = payload is not None and _NAMED.decode(payload).name is not None
    row["outcome"] = _OUTCOME.decode(row["outcome"])
    return FailedEffect(**row, returned=is_named or row["kind"] in _RETURNING)


def _redriven(row: Any, now: EpochMs) -> EffectOutcome:
    """Return what tells that an effect is tried again: its attempts count anew."""
    return EffectOutcome(
        event_id=EventId(row.event_id),
        app_id=AppId(row.app_id),
        tenant_key=TenantKey(row.tenant_key),
        message_id=row.message_id,
        index=row._mapping["index"],  # noqa: SLF001  (a row's `index` is a method)
        k=row.k + 1,
        kind=row.kind,
        target=Target(row.target),
        status="failed",
        final=False,
        retry_at=now,
        reason=REDRIVEN,
        finished_at=now,
    )


def _try_again(dialect: Any) -> tuple[Any, Any]:
    given = rows(
        dialect, app_id=Key, event_id=Key, index=Integer(), k=Integer(), due=BigInteger(), outcome=LargeBinary()
    )
    row = given.table.c
    same = and_(effects.c.app_id == row.app_id, effects.c.event_id == row.event_id, effects.c.index == row.index)
    changed = update(effects).where(same)
    zero = literal_column("0", Integer())
    again = {"status": PENDING, "k": row.k, "attempts": zero, "due": row.due, "redriven_at": row.due}
    return given, changed.values(**again, outcome=row.outcome)
