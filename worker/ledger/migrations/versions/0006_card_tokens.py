"""What clicks give the right to: the tokens of their callbacks, and how often each was used."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "card_tokens",
        sa.Column("app_id", KEY, primary_key=True),
        sa.Column("event_id", KEY, primary_key=True),
        sa.Column("kind", KEY, primary_key=True),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.CheckConstraint("instr(event_id, char(0)) = 0").ddl_if(dialect="sqlite"),
    )
    op.create_index("card_tokens_received", "card_tokens", ["received_at"])
