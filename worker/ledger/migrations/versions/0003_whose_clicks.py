"""Claims tell which card an input was about, who acted and when, so that a card's story can be told."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    for column in ("message_id", "open_id"):
        op.add_column("claims", sa.Column(column, KEY, *_no_nul(column)))
    op.add_column("claims", sa.Column("occurred_at", sa.BigInteger()))
    op.add_column("claims", sa.Column("late", sa.Boolean()))
    told = sa.text("message_id IS NOT NULL")
    op.create_index("claims_about", "claims", ["app_id", "message_id"], postgresql_where=told, sqlite_where=told)


def _no_nul(column: str) -> list[sa.CheckConstraint]:
    # PostgreSQL refuses NUL in text by itself.
    if op.get_bind().dialect.name != "sqlite":
        return []
    return [sa.CheckConstraint(f"instr({column}, char(0)) = 0")]
