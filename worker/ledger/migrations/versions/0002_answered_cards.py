"""Cards that clicks were answered with: whether the answer was delivered, and when a target was last called."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("effects", sa.Column("delivered", sa.Boolean()))
    op.add_column("targets", sa.Column("called_at", sa.BigInteger()))
