"""Cards that are entities: their ids there, and the sequence of the last operation."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("faces", sa.Column("card_id", sa.String()))
    op.add_column("faces", sa.Column("sequence", sa.Integer()))
