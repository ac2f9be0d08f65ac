"""Dead letters say what kind of input they keep, of which card, and whether that card stands still behind them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")

RECEIVED = "lark.card.interaction.received.v1"
REQUESTED = "lark.card.request.received.v1"


def upgrade() -> None:
    op.add_column("dead_letters", sa.Column("kind", sa.String(), nullable=False, server_default=RECEIVED))
    op.add_column("dead_letters", sa.Column("message_id", KEY))
    op.add_column("dead_letters", sa.Column("offset", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("dead_letters", sa.Column("parks", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(sa.text(f"UPDATE dead_letters SET kind = '{REQUESTED}' WHERE event_id LIKE 'req/%'"))  # noqa: S608
    op.execute(
        sa.text(
            "UPDATE dead_letters SET message_id = (SELECT claims.message_id FROM claims WHERE "
            "claims.app_id = dead_letters.app_id AND claims.event_id = dead_letters.event_id)"
        )
    )
    failed = sa.text("status = 'failed'")
    op.create_index("effects_failed", "effects", ["app_id", "order"], postgresql_where=failed, sqlite_where=failed)
    parks = sa.text("parks")
    op.create_index(
        "dead_letters_parking",
        "dead_letters",
        ["app_id", "message_id"],
        postgresql_where=parks,
        sqlite_where=parks,
    )
