"""Cards past their time: that the platform said so, and what was sent in their place."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("faces", sa.Column("expired", sa.Boolean()))
    op.add_column("faces", sa.Column("successor", KEY))
