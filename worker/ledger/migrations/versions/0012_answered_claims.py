"""Claims of clicks that had work done tell when they were answered: what comes back must not overtake the answer."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("claims", sa.Column("answered_at", sa.BigInteger()))
