"""
The ledger's tables. `migrations` makes them; a test compares the two.

Keys begin with the app. Text that is compared or sorted is so by its bytes (collation ``C``), as Python sorts it:
one order of locks on both sides. JSON is stored as bytes, times are milliseconds, budgets count microseconds.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
    literal_column,
)

METADATA: Final = MetaData()

Key: Final = String().with_variant(String(collation="C"), "postgresql")
Number: Final = BigInteger().with_variant(Integer, "sqlite")

PENDING: Final = literal_column("'pending'", String())
"""Written out in statements: only so is the partial index of pending effects used."""


def _no_nul(*columns: str) -> list[CheckConstraint]:
    # PostgreSQL refuses NUL in text by itself; both databases are to refuse the same data.
    return [CheckConstraint(f"instr({name}, char(0)) = 0").ddl_if(dialect="sqlite") for name in columns]


positions: Final = Table(
    "positions",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
    Column("last_id", Key),
    postgresql_with={"fillfactor": "50"},
)

claims: Final = Table(
    "claims",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("event_id", Key, primary_key=True),
    Column("delivery_key", Key),
    Column("result", String, nullable=False),
    Column("redrive", Integer, nullable=False),
    Column("handler", String),
    Column("digest", String),
    Column("reason", String),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
    Column("message_id", Key, *_no_nul("message_id")),
    Column("open_id", Key, *_no_nul("open_id")),
    Column("occurred_at", BigInteger),
    Column("late", Boolean),
    Column("answered_at", BigInteger),
    UniqueConstraint("app_id", "delivery_key", name="claims_delivery"),
    *_no_nul("event_id"),
)

_ABOUT: Final = claims.c.message_id.is_not(None)
Index("claims_about", claims.c.app_id, claims.c.message_id, postgresql_where=_ABOUT, sqlite_where=_ABOUT)
# By time alone: a batch's claims share theirs, which PostgreSQL then stores once.
Index("claims_claimed", claims.c.claimed_at)

cards: Final = Table(
    "cards",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("message_id", Key, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", LargeBinary),
    Column("content", LargeBinary),
    Column("newest_at", BigInteger),
    Column("rules", LargeBinary),
    *_no_nul("message_id"),
)

faces: Final = Table(
    "faces",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("message_id", Key, primary_key=True),
    Column("chat_id", Key),
    Column("sent_at", BigInteger),
    Column("sent", LargeBinary),
    Column("card_format", String),
    Column("shown", String),
    Column("shown_order", BigInteger),
    Column("card_id", String),
    Column("sequence", Integer),
    Column("expired", Boolean),
    Column("successor", Key),
)
SENT: Final = faces.c.sent_at.is_not(None)
Index("faces_sent", faces.c.sent_at, postgresql_where=SENT, sqlite_where=SENT)

effects: Final = Table(
    "effects",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("event_id", Key, primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("tenant_key", Key, nullable=False),
    Column("message_id", Key),
    Column("kind", String, nullable=False),
    Column("target", Key, nullable=False),
    Column("audience", Key, nullable=False),
    Column("coalesce", String),
    Column("eligibility", String, nullable=False),
    Column("order", BigInteger, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("status", String, nullable=False),
    Column("k", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("begun_at", BigInteger),
    Column("marked_at", BigInteger),
    Column("outcome", LargeBinary),
    Column("payload", LargeBinary, nullable=False),
    Column("delivered", Boolean),
    Column("traceparent", Key),
    Column("redriven_at", BigInteger),
    *_no_nul("event_id", "target", "tenant_key"),
    # A mark, an attempt and an outcome each rewrite the row: room beside it keeps the indexes out of that.
    postgresql_with={"fillfactor": "60", "autovacuum_vacuum_scale_factor": "0.05"},
)
# The target first: with the app first, a planner without statistics takes this index for everything of an app.
Index(
    "effects_pending",
    effects.c.target,
    effects.c.app_id,
    effects.c.order,
    postgresql_where=effects.c.status == PENDING,
    sqlite_where=effects.c.status == PENDING,
)

FAILED: Final = literal_column("'failed'", String())
"""Written out, as `PENDING`."""
Index(
    "effects_failed",
    effects.c.app_id,
    effects.c.order,
    postgresql_where=effects.c.status == FAILED,
    sqlite_where=effects.c.status == FAILED,
)

# What a click's callback gave the right to; locked after effects.
card_tokens: Final = Table(
    "card_tokens",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("event_id", Key, primary_key=True),
    Column("kind", Key, primary_key=True),
    Column("token", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("uses", Integer, nullable=False),
    *_no_nul("event_id"),
)
Index("card_tokens_received", card_tokens.c.received_at)

targets: Final = Table(
    "targets",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("target", Key, primary_key=True),
    Column("due", BigInteger),
    Column("owner", String, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("leased_at", BigInteger, nullable=False),
    Column("paced_until", BigInteger, nullable=False),
    Column("resend_at", BigInteger),
    Column("applied_occurred_at", BigInteger),
    Column("applied_order", BigInteger),
    Column("applied_event_id", Key),
    Column("applied_index", Integer),
    Column("called_at", BigInteger),
    postgresql_with={"fillfactor": "60", "autovacuum_vacuum_scale_factor": "0.05"},
)
Index(
    "targets_due",
    targets.c.due,
    postgresql_where=targets.c.due.is_not(None),
    sqlite_where=targets.c.due.is_not(None),
)
HELD: Final = targets.c.until > literal_column("0", BigInteger())
"""Written out, as `PENDING`."""
Index("targets_leased", targets.c.until, postgresql_where=HELD, sqlite_where=HELD)
IDLE: Final = targets.c.due.is_(None)
Index("targets_idle", targets.c.leased_at, postgresql_where=IDLE, sqlite_where=IDLE)

budgets: Final = Table(
    "budgets",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("tenant_key", Key, primary_key=True),
    Column("api", Key, primary_key=True),
    Column("second_us", BigInteger, nullable=False),
    Column("minute_us", BigInteger, nullable=False),
    Column("blocked_us", BigInteger, nullable=False),
    Column("wait_us", BigInteger, nullable=False),
    postgresql_with={"fillfactor": "50"},
)

apps: Final = Table(
    "apps",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("new_style_at", BigInteger, nullable=False),
    Column("app_ticket", LargeBinary),
    Column("ticket_at", BigInteger),
)

# A handler is code, and hangs for every app that it serves: where all apps have the same handlers, `app_id` is empty.
suspensions: Final = Table(
    "suspensions",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("handler", Key, primary_key=True),
    Column("misses", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("pause_ms", BigInteger, nullable=False),
    Column("recent", Integer, nullable=False, server_default="0"),
    Column("since", BigInteger, nullable=False, server_default="0"),
)

dead_letters: Final = Table(
    "dead_letters",
    METADATA,
    Column("app_id", Key, primary_key=True),
    Column("event_id", Key, primary_key=True),
    Column("handler", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("interaction", LargeBinary, nullable=False),
    Column("died_at", BigInteger, nullable=False),
    Column("kind", String, nullable=False, server_default="lark.card.interaction.received.v1"),
    Column("message_id", Key),
    Column("offset", BigInteger, nullable=False, server_default="0"),
    Column("parks", Boolean, nullable=False, server_default=false()),
)
Index("dead_letters_died", dead_letters.c.died_at)
PARKS: Final = literal_column("parks", Boolean())
"""Written out, as `PENDING`."""
Index(
    "dead_letters_parking",
    dead_letters.c.app_id,
    dead_letters.c.message_id,
    postgresql_where=PARKS,
    sqlite_where=PARKS,
)

outbox: Final = Table(
    "outbox",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("topic", String, nullable=False),
    Column("key", String, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    # A number is never used again, so that a late `relayed` cannot delete a row that is not in the log yet.
    sqlite_autoincrement=True,
)

roles: Final = Table(
    "roles",
    METADATA,
    Column("name", Key, primary_key=True),
    Column("owner", String, nullable=False),
    Column("until", BigInteger, nullable=False),
)

# How far `cardwire rebuild` has come: of each topic's partitions. No rows: none is at work, or all is done.
rebuilds: Final = Table(
    "rebuilds",
    METADATA,
    Column("stage", Key, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
    Column("position", BigInteger),
    Column("last_id", Key),
    Column("moved", Boolean, nullable=False, server_default=false()),
)
