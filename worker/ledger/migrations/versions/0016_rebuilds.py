"""How far a rebuild has come, so that one that was interrupted goes on; empty otherwise."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rebuilds",
        sa.Column("stage", KEY, primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger()),
        sa.Column("last_id", KEY),
        sa.Column("moved", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
