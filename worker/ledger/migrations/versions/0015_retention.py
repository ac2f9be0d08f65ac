"""What is old is found by its time: claims, dead letters, faces that were sent, targets that nothing waits for."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("claims_claimed", "claims", ["claimed_at"])
    op.create_index("dead_letters_died", "dead_letters", ["died_at"])
    sent, idle = sa.text("sent_at IS NOT NULL"), sa.text("due IS NULL")
    op.create_index("faces_sent", "faces", ["sent_at"], postgresql_where=sent, sqlite_where=sent)
    op.create_index("targets_idle", "targets", ["leased_at"], postgresql_where=idle, sqlite_where=idle)
