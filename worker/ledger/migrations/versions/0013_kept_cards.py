"""
What was kept of failed inputs says which card they were about, who acted and when.

Dead letters and claims of schema 0002 and before have no columns for that, and later migrations left them empty. Only
what failed is kept whole, so only that can be filled in.
"""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CHUNK = 500
"""Kept inputs are large: only so many are held in memory."""

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")
BIG = sa.BigInteger()

LETTERS = sa.table(
    "dead_letters",
    sa.column("app_id", KEY),
    sa.column("event_id", KEY),
    sa.column("interaction", sa.LargeBinary()),
    sa.column("message_id", KEY),
    sa.column("offset", BIG),
)
CLAIMS = sa.table(
    "claims",
    sa.column("app_id", KEY),
    sa.column("event_id", KEY),
    sa.column("redrive", sa.Integer()),
    sa.column("offset", BIG),
    sa.column("message_id", KEY),
    sa.column("open_id", KEY),
    sa.column("occurred_at", BIG),
    sa.column("late", sa.Boolean()),
)


def upgrade() -> None:
    _offsets()
    after = ("", "")
    while letters := _letters(after):
        if found := [told for letter in letters if (told := _told(letter)) is not None]:
            _fill(found)
        after = (letters[-1].app_id, letters[-1].event_id)


def _offsets() -> None:
    """Put letters into the log's order, by which they are redriven: until it is redriven, a claim has the offset."""
    same = sa.and_(CLAIMS.c.app_id == LETTERS.c.app_id, CLAIMS.c.event_id == LETTERS.c.event_id, CLAIMS.c.redrive == 0)
    claimed = sa.select(CLAIMS.c.offset).where(same).scalar_subquery()
    changed = sa.update(LETTERS).where(LETTERS.c.offset == 0, sa.exists().where(same))
    op.get_bind().execute(changed.values(offset=claimed))


def _letters(after: tuple[str, str]) -> Sequence[Any]:
    key = (LETTERS.c.app_id, LETTERS.c.event_id)
    found = sa.select(*key, LETTERS.c.interaction).where(
        LETTERS.c.message_id.is_(None), sa.tuple_(*key) > sa.tuple_(sa.literal(after[0]), sa.literal(after[1]))
    )
    return op.get_bind().execute(found.order_by(*key).limit(CHUNK)).all()


def _told(letter: Any) -> dict[str, Any] | None:
    """Return what the kept record says; ``None`` where nobody can read it: then it is not redriven either."""
    try:
        kept = json.loads(letter.interaction)
    except ValueError:
        return None
    if not isinstance(kept, dict):
        return None
    operator, at = kept.get("operator"), kept.get("occurred_at")
    return {
        "app": letter.app_id,
        "event": letter.event_id,
        "card": _key(kept.get("message_id")),
        "who": _key(operator.get("open_id")) if isinstance(operator, dict) else None,
        "at": at if isinstance(at, int) and abs(at) < 2**63 else None,
    }


def _key(value: Any) -> str | None:
    # Neither database takes NUL here; such an input is of no card that there is.
    return value if isinstance(value, str) and "\0" not in value else None


def _fill(found: Sequence[dict[str, Any]]) -> None:
    bind = op.get_bind()
    card = sa.bindparam("card", type_=KEY)
    letters = sa.update(LETTERS).where(
        LETTERS.c.app_id == sa.bindparam("app", type_=KEY), LETTERS.c.event_id == sa.bindparam("event", type_=KEY)
    )
    claims = sa.update(CLAIMS).where(
        CLAIMS.c.app_id == sa.bindparam("app", type_=KEY),
        CLAIMS.c.event_id == sa.bindparam("event", type_=KEY),
        CLAIMS.c.occurred_at.is_(None),
    )
    keys = ("app", "event", "card")
    bind.execute(letters.values(message_id=card), [{name: told[name] for name in keys} for told in found])
    bind.execute(
        claims.values(
            message_id=card,
            open_id=sa.bindparam("who", type_=KEY),
            occurred_at=sa.bindparam("at", type_=BIG),
            late=sa.false(),  # What failed never is.
        ),
        found,
    )
