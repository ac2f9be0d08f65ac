"""How the ledger is doing, for those who watch: one short question."""

from sqlalchemy import Connection, select

from worker.ledger.engine import Database, in_snapshot
from worker.ledger.leased import Pulse
from worker.ledger.tables import suspensions
from worker.ledger.targets import Looking


class Pulses:
    """The question."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = select(database.now)
        self._looking = Looking(database)
        self._suspended = select(suspensions.c.handler).where(suspensions.c.until > database.now)

    @in_snapshot
    def pulse(self, connection: Connection) -> Pulse:
        return Pulse(
            now=int(connection.execute(self._now).scalar_one()),
            next_due=self._looking.run(connection),
            suspended=sorted(connection.execute(self._suspended.order_by(suspensions.c.handler)).scalars()),
        )
