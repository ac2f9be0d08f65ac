"""
The outbox: what a transaction tells the log, stored in that transaction and relayed later.

Rows of one card lie in the order in which they were committed: whoever tells something about a card holds the card's
position or its target until the commit, so a later one draws a later number.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, String, bindparam, delete, func, select

from shared.eventlog.port import NewRecord
from worker.ledger.engine import Database, in_snapshot, in_transaction
from worker.ledger.sql import insert_given, keys, rows
from worker.ledger.tables import outbox

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])


class Telling:
    """Adds rows, inside somebody's transaction."""

    def __init__(self, database: Database) -> None:
        types: dict[str, Any] = {"topic": String(), "key": String(), "value": LargeBinary(), "headers": LargeBinary()}
        self._given = rows(database.dialect, **types, timestamp=BigInteger())
        self._insert = insert_given(database.dialect, outbox, self._given, [*types, "timestamp"])

    def run(self, connection: Connection, records: Sequence[NewRecord]) -> None:
        """Add records, in their order."""
        values = [(each.topic, each.key, each.value, _ENCODER.encode(each.headers), each.timestamp) for each in records]
        self._given.execute(connection, self._insert, values)


class Outbox:
    """The relay's side."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._oldest = select(*outbox.c).order_by(outbox.c.id).limit(bindparam("limit", type_=Integer()))
        self._ids = keys(database.dialect, id=BigInteger())
        self._delete = delete(outbox).where(outbox.c.id.in_(select(self._ids.table.c.id)))
        self._depth = select(func.count()).select_from(outbox)

    @in_snapshot
    def outbox(self, connection: Connection, *, limit: int) -> Sequence[tuple[int, NewRecord]]:
        found = connection.execute(self._oldest, {"limit": limit}).all()
        return [(row.id, _record(row)) for row in found]

    @in_transaction
    def relayed(self, connection: Connection, ids: Collection[int]) -> None:
        self._ids.execute(connection, self._delete, [(number,) for number in sorted(ids)])

    @in_snapshot
    def depth(self, connection: Connection) -> int:
        return int(connection.execute(self._depth).scalar_one())


def _record(row: Any) -> NewRecord:
    return NewRecord(
        topic=row.topic, key=row.key, value=row.value, headers=_DECODER.decode(row.headers), timestamp=row.timestamp
    )
