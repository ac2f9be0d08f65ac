"""The first ledger."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")
TEXT = sa.String()
INT = sa.Integer()
BIG = sa.BigInteger()
BYTES = sa.LargeBinary()
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

CHURNED = {"fillfactor": "60", "autovacuum_vacuum_scale_factor": "0.05"}
FEW = {"fillfactor": "50"}


def upgrade() -> None:
    _decided()
    _performed()
    _rest()


def _key(name: str) -> "sa.Column[str]":
    return sa.Column(name, KEY, primary_key=True)


def _some(name: str, type_: Any) -> "sa.Column[Any]":
    return sa.Column(name, type_, nullable=False)


def _no_nul(*columns: str) -> list[sa.CheckConstraint]:
    # PostgreSQL refuses NUL in text by itself.
    return [sa.CheckConstraint(f"instr({name}, char(0)) = 0").ddl_if(dialect="sqlite") for name in columns]


def _decided() -> None:
    op.create_table(
        "positions",
        sa.Column("partition", INT, primary_key=True, autoincrement=False),
        _some("next", BIG),
        sa.Column("last_id", KEY),
        postgresql_with=FEW,
    )
    op.create_table(
        "claims",
        _key("app_id"),
        _key("event_id"),
        sa.Column("delivery_key", KEY),
        _some("result", TEXT),
        _some("redrive", INT),
        sa.Column("handler", TEXT),
        sa.Column("digest", TEXT),
        sa.Column("reason", TEXT),
        _some("partition", INT),
        _some("offset", BIG),
        _some("claimed_at", BIG),
        sa.UniqueConstraint("app_id", "delivery_key", name="claims_delivery"),
        *_no_nul("event_id"),
    )
    op.create_table(
        "cards",
        _key("app_id"),
        _key("message_id"),
        _some("version", BIG),
        sa.Column("state", BYTES),
        sa.Column("content", BYTES),
        sa.Column("newest_at", BIG),
        *_no_nul("message_id"),
    )
    op.create_table(
        "effects",
        _key("app_id"),
        _key("event_id"),
        sa.Column("index", INT, primary_key=True, autoincrement=False),
        _some("tenant_key", KEY),
        sa.Column("message_id", KEY),
        _some("kind", TEXT),
        _some("target", KEY),
        _some("audience", KEY),
        sa.Column("coalesce", TEXT),
        _some("eligibility", TEXT),
        _some("order", BIG),
        _some("occurred_at", BIG),
        _some("received_at", BIG),
        _some("decided_at", BIG),
        _some("status", TEXT),
        _some("k", INT),
        _some("attempts", INT),
        _some("due", BIG),
        sa.Column("begun_at", BIG),
        sa.Column("marked_at", BIG),
        sa.Column("outcome", BYTES),
        _some("payload", BYTES),
        *_no_nul("event_id", "target", "tenant_key"),
        postgresql_with=CHURNED,
    )
    pending = sa.text("status = 'pending'")
    op.create_index(
        "effects_pending",
        "effects",
        ["target", "app_id", "order"],
        postgresql_where=pending,
        sqlite_where=pending,
    )


def _performed() -> None:
    op.create_table(
        "faces",
        _key("app_id"),
        _key("message_id"),
        sa.Column("chat_id", KEY),
        sa.Column("sent_at", BIG),
        sa.Column("sent", BYTES),
        sa.Column("card_format", TEXT),
        sa.Column("shown", TEXT),
        sa.Column("shown_order", BIG),
    )
    op.create_table(
        "targets",
        _key("app_id"),
        _key("target"),
        sa.Column("due", BIG),
        _some("owner", TEXT),
        _some("until", BIG),
        _some("leased_at", BIG),
        _some("paced_until", BIG),
        sa.Column("resend_at", BIG),
        sa.Column("applied_occurred_at", BIG),
        sa.Column("applied_received_at", BIG),
        sa.Column("applied_event_id", KEY),
        sa.Column("applied_index", INT),
        postgresql_with=CHURNED,
    )
    for name, column, where in (
        ("targets_due", "due", sa.text("due IS NOT NULL")),
        ("targets_leased", "until", sa.text("until > 0")),
    ):
        op.create_index(name, "targets", [column], postgresql_where=where, sqlite_where=where)
    op.create_table(
        "budgets",
        _key("app_id"),
        _key("tenant_key"),
        _key("api"),
        _some("second_us", BIG),
        _some("minute_us", BIG),
        _some("blocked_us", BIG),
        _some("wait_us", BIG),
        postgresql_with=FEW,
    )


def _rest() -> None:
    op.create_table("apps", _key("app_id"), _some("new_style_at", BIG))
    op.create_table(
        "suspensions",
        _key("handler"),
        _some("misses", INT),
        _some("until", BIG),
        _some("pause_ms", BIG),
    )
    op.create_table(
        "dead_letters",
        _key("app_id"),
        _key("event_id"),
        _some("handler", TEXT),
        _some("reason", TEXT),
        _some("interaction", BYTES),
        _some("died_at", BIG),
    )
    op.create_table(
        "outbox",
        sa.Column("id", NUMBER, primary_key=True),
        _some("topic", TEXT),
        _some("key", TEXT),
        _some("value", BYTES),
        _some("headers", BYTES),
        _some("timestamp", BIG),
        sqlite_autoincrement=True,
    )
    op.create_table("roles", _key("name"), _some("owner", TEXT), _some("until", BIG))
