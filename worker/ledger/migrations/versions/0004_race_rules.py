"""Race rules: who won and who was counted, kept with the card."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cards", sa.Column("rules", sa.LargeBinary()))
