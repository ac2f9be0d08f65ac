"""Effects that are tried again tell since when: they are worth a try for as long as if they had been decided then."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("effects", sa.Column("redriven_at", sa.BigInteger()))
