"""
A suspension says in a column of its own whose handler it is: empty where all apps have the same.

It was glued before the handler's name, where apps have handlers of their own. Handlers' names may have slashes, too,
so only what stands before the first one and is an app that the ledger knows is taken for it.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")
COUNTED = ("misses", "until", "pause_ms", "recent", "since")
BEFORE = sa.table("suspensions", sa.column("handler", KEY), *map(sa.column, COUNTED))
CLAIMS = sa.table("claims", sa.column("app_id", KEY))


def upgrade() -> None:
    rows = [dict(row) for row in op.get_bind().execute(sa.select(BEFORE)).mappings()]
    op.drop_table("suspensions")
    made = op.create_table(
        "suspensions",
        sa.Column("app_id", KEY, primary_key=True),
        sa.Column("handler", KEY, primary_key=True),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("pause_ms", sa.BigInteger(), nullable=False),
        sa.Column("recent", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("since", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.bulk_insert(made, [{**row, **_split(row["handler"])} for row in rows])


def _split(filed: str) -> Mapping[str, Any]:
    app_id, slash, handler = filed.partition("/")
    known = sa.select(CLAIMS.c.app_id).where(CLAIMS.c.app_id == sa.bindparam("app", type_=KEY)).limit(1)
    if slash and op.get_bind().execute(known, {"app": app_id}).first() is not None:
        return {"app_id": app_id, "handler": handler}
    return {"app_id": "", "handler": filed}
