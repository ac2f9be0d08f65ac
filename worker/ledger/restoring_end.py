"""
A rebuild's last transaction: targets for what is pending, positions, and what a month's log could not say is let go.

Until it is committed the ledger has no positions, and no worker starts on it.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Integer,
    String,
    and_,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from shared.core.effects import Reply, SendCard, SendText
from shared.core.events import CARD, EFFECTS_PER_DECISION, EVERYBODY, NAME
from shared.core.json_text import EpochMs
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from worker.ledger.restored import Finished, Progress
from worker.ledger.restoring_rows import UNREAD
from worker.ledger.sql import Dialect, insert_into
from worker.ledger.tables import (
    PENDING,
    apps,
    card_tokens,
    cards,
    claims,
    dead_letters,
    effects,
    faces,
    positions,
    rebuilds,
    targets,
)

_COUNTED: Final = (claims, cards, faces, effects, card_tokens, dead_letters, targets, apps, positions)
_SENDS: Final = tuple(sorted(kind.__name__ for kind in (SendCard, SendText, Reply)))
_ZERO: Final = literal_column("0", Integer())
_NOBODY: Final = {"owner": literal_column("''", String()), "until": _ZERO, "leased_at": _ZERO, "paced_until": _ZERO}
_APPLIED: Final = ("occurred_at", "order", "event_id", "index")


class Ending:
    """The last transaction."""

    def __init__(self, dialect: Dialect, *, unknown_after_ms: int) -> None:
        self._dialect, self._unknown_after_ms = dialect, unknown_after_ms

    def run(self, connection: Connection, reached: Mapping[int, Progress], now: EpochMs) -> Finished:
        """Write what is left, given how far the inputs are read, and count."""
        if any(progress.moved for progress in reached.values()):
            _settle_in(connection, {partition: progress.next for partition, progress in reached.items()})
        _note_begun(connection, now)
        lost = connection.execute(delete(dead_letters).where(dead_letters.c.interaction == UNREAD)).rowcount
        useless = or_(card_tokens.c.token == UNREAD, card_tokens.c.received_at <= now - CARD_TOKEN_VALID_MS)
        connection.execute(delete(card_tokens).where(useless))
        self._aim(connection)
        connection.execute(insert(positions), [_position(partition, each) for partition, each in reached.items()])
        connection.execute(delete(rebuilds))
        unsure, unknown = connection.execute(_unsure(now - self._unknown_after_ms)).one()
        counts = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in _COUNTED
        }
        return Finished(rows=counts, letters_lost=lost, sends_unsure=unsure, sends_unknown=unknown or 0)

    def _aim(self, connection: Connection) -> None:
        """Make the targets of what is pending, and tell what was applied last where that decides about newer ones."""
        waiting = (
            select(effects.c.app_id, effects.c.target, func.min(effects.c.due), *_NOBODY.values())
            .where(effects.c.status == PENDING)
            .group_by(effects.c.app_id, effects.c.target)
        )
        names = ["app_id", "target", "due", *_NOBODY]
        connection.execute(insert(targets).from_select(names, waiting, include_defaults=False))
        # A chat's names come from cards of several partitions: a click that is behind may be the older one.
        self._apply(connection, _newest(NAME, _APPLIED))
        waits = and_(targets.c.app_id == effects.c.app_id, targets.c.target == effects.c.target)
        self._apply(connection, _newest(CARD, ("order",), select(targets.c.target).where(waits).exists()))

    def _apply(self, connection: Connection, newest: Any) -> None:
        applied = [f"applied_{name}" for name in _APPLIED]
        given = (newest.c.app_id, newest.c.target, *(newest.c[name] for name in _APPLIED), *_NOBODY.values())
        made = insert_into(self._dialect, targets).from_select(
            ["app_id", "target", *applied, *_NOBODY], select(*given).where(newest.c.number == 1), include_defaults=False
        )
        changed = {name: made.excluded[name] for name in applied}
        connection.execute(made.on_conflict_do_update(index_elements=["app_id", "target"], set_=changed))


def _newest(coalesce: str, by: tuple[str, ...], waits: Any = None) -> Any:
    """Return the newest performed effects of a kind, numbered within their targets, newest first."""
    number = func.row_number().over(
        partition_by=(effects.c.app_id, effects.c.target), order_by=[effects.c[name].desc() for name in by]
    )
    columns = [effects.c[name] for name in ("app_id", "target", *_APPLIED)]
    shown = and_(
        effects.c.status == "succeeded", effects.c.coalesce == coalesce, effects.c.audience == EVERYBODY,
        true() if waits is None else waits,
    )  # fmt: skip
    return select(*columns, number.label("number")).where(shown).subquery("newest")


def _note_begun(connection: Connection, now: EpochMs) -> None:
    # Nobody knows whether a call was under way when the old ledger was lost: no earlier than it was due.
    began = and_(effects.c.status == PENDING, effects.c.begun_at.is_(None), effects.c.due <= now)
    connection.execute(update(effects).where(began).values(begun_at=effects.c.due))


def _settle_in(connection: Connection, ends: Mapping[int, int]) -> None:
    """
    Put those of a moved log in their place whose inputs are gone: before all others, for they are the oldest.

    What each card shows is ordered by what was shown, which has its new place.
    """
    for partition, end in ends.items():
        beyond = and_(claims.c.partition == partition, claims.c.offset >= end)
        theirs = and_(beyond, claims.c.app_id == effects.c.app_id, claims.c.event_id == effects.c.event_id)
        first = effects.c.order % EFFECTS_PER_DECISION
        connection.execute(update(effects).where(select(claims.c.event_id).where(theirs).exists()).values(order=first))
        connection.execute(update(claims).where(beyond).values(offset=0))
    shown = and_(
        effects.c.status == "succeeded", effects.c.coalesce == CARD, effects.c.audience == EVERYBODY,
        effects.c.app_id == faces.c.app_id, effects.c.message_id == faces.c.message_id,
    )  # fmt: skip
    newest = (
        select(effects.c.app_id, effects.c.message_id, func.max(effects.c.order).label("order"))
        .where(*shown.clauses[:3], effects.c.message_id.is_not(None))
        .group_by(effects.c.app_id, effects.c.message_id)
        .subquery("newest")
    )
    here = and_(faces.c.app_id == newest.c.app_id, faces.c.message_id == newest.c.message_id)
    known = faces.c.shown_order.is_not(None)
    connection.execute(update(faces).where(here, known).values(shown_order=newest.c.order))


def _position(partition: int, reached: Progress) -> dict[str, Any]:
    at = reached.next if reached.position is None else reached.position
    return {"partition": partition, "next": at, "last_id": reached.last_id}


def _unsure(unknown_before: EpochMs) -> Any:
    """Return the question how many pending sends may have been made, and of how many nobody will ever know."""
    begun = and_(effects.c.status == PENDING, effects.c.kind.in_(_SENDS), effects.c.begun_at.is_not(None))
    lapsed = case((effects.c.begun_at <= unknown_before, 1), else_=null())
    return select(func.count(), func.count(lapsed)).where(begun)
