"""What only one worker of the fleet does at a time: a role, held for a while and kept by holding it again."""

from typing import Final

from sqlalchemy import BigInteger, Connection, String, bindparam, or_

from worker.ledger.engine import Database, in_transaction
from worker.ledger.sql import insert_into
from worker.ledger.tables import roles

_MINE: Final = bindparam("given_owner", type_=String())


class Roles:
    """The fleet's roles."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = insert_into(database.dialect, roles)
        until = database.now + bindparam("given_ttl_ms", type_=BigInteger())
        insert = insert.values(name=bindparam("given_name"), owner=_MINE, until=until)
        self._hold = insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": insert.excluded.owner, "until": insert.excluded.until},
            where=or_(roles.c.owner == insert.excluded.owner, roles.c.until <= database.now),
        ).returning(roles.c.owner)

    @in_transaction
    def hold(self, connection: Connection, name: str, owner: str, *, ttl_ms: int) -> bool:
        parameters = {"given_name": name, "given_owner": owner, "given_ttl_ms": ttl_ms}
        held = connection.execute(self._hold, parameters).first()
        return held is not None
