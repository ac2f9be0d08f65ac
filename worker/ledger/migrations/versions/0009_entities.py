"""Cards that are entities: their ids there, and the sequence of the last operation."""

import sqlalchemy as sa
from alembic import op

<<<<<<<< HEAD:worker/ledger/migrations/versions/0009_entities.py
revision = "0009"
down_revision = "0008"
========
revision = "0007"
down_revision = "0006"
>>>>>>>> d9a1b19 (Say how parts of cards are changed, and hold it by tests):worker/ledger/migrations/versions/0007_entities.py
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("faces", sa.Column("card_id", sa.String()))
    op.add_column("faces", sa.Column("sequence", sa.Integer()))
