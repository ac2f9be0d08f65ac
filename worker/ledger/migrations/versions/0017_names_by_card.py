"""Of names that count from the same moment the later decided one is the newer, no longer the later received one."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("targets", "applied_received_at", new_column_name="applied_order")
    # What was applied before loses against what is decided for the same moment.
    targets = sa.table("targets", sa.column("applied_order", sa.BigInteger()))
    op.execute(targets.update().where(targets.c.applied_order.is_not(None)).values(applied_order=0))
