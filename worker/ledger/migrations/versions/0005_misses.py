"""Suspensions count misses within a minute, too, whatever came between them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("suspensions", sa.Column("recent", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("suspensions", sa.Column("since", sa.BigInteger(), nullable=False, server_default="0"))
