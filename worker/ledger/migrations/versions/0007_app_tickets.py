"""Store apps: the ticket that access tokens are asked for with, and when it was received."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("apps", sa.Column("app_ticket", sa.LargeBinary()))
    op.add_column("apps", sa.Column("ticket_at", sa.BigInteger()))
