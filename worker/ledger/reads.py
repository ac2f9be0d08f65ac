"""What a batch asks before it is decided: one snapshot, one statement for each kind of question."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, and_, bindparam, select

from shared.core.ids import AppId, EventId
from shared.core.json_text import EpochMs, JsonText
from shared.core.races import read_standings
from shared.core.secret import Secret
from worker.ledger.decided import (
    CardKey,
    CardRow,
    ClaimKey,
    DeliveryRef,
    Known,
    Position,
    Redrivable,
    Suspension,
    Wanted,
)
from worker.ledger.engine import Database, in_snapshot, in_transaction
from worker.ledger.leased import FaceRow
from worker.ledger.sql import Given, insert_given, keys
from worker.ledger.tables import PARKS, Key, apps, cards, claims, dead_letters, faces, positions, suspensions

FACE_COLUMNS: Final = tuple(faces.c)


class Reads:
    """The questions of the deciding part."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._pairs = keys(dialect, app_id=Key, id=Key)
        self._apps = keys(dialect, app_id=Key)
        pair = self._pairs.table.c
        self._now = select(database.now)
        self._claims = select(claims.c.app_id, claims.c.event_id, claims.c.result).join(
            self._pairs.table, and_(claims.c.app_id == pair.app_id, claims.c.event_id == pair.id)
        )
        self._deliveries = select(claims.c.app_id, claims.c.delivery_key).join(
            self._pairs.table, and_(claims.c.app_id == pair.app_id, claims.c.delivery_key == pair.id)
        )
        self._cards = select(*cards.c).join(
            self._pairs.table, and_(cards.c.app_id == pair.app_id, cards.c.message_id == pair.id)
        )
        self._faces = select(*FACE_COLUMNS).join(
            self._pairs.table, and_(faces.c.app_id == pair.app_id, faces.c.message_id == pair.id)
        )
        here = apps.c.app_id == self._apps.table.c.app_id
        self._new_style = select(apps.c.app_id, apps.c.new_style_at).join(self._apps.table, here)
        self._ticket = select(apps.c.app_ticket).where(apps.c.app_id == bindparam("given_app_id", type_=Key))
        self._redrivable = _redrivable(self._pairs)
        self._answered = select(claims.c.app_id, claims.c.event_id, claims.c.answered_at).join(
            self._pairs.table, and_(claims.c.app_id == pair.app_id, claims.c.event_id == pair.id)
        )
        self._standing = _standing(self._pairs)
        self._suspensions = select(*suspensions.c)
        self._positions = select(*positions.c).order_by(positions.c.partition)
        self._beginning = keys(dialect, partition=Integer(), next=BigInteger())
        self._begin = insert_given(dialect, positions, self._beginning, ["partition", "next"]).on_conflict_do_nothing()

    @in_snapshot
    def now(self, connection: Connection) -> EpochMs:
        return int(connection.execute(self._now).scalar_one())

    @in_snapshot
    def app_ticket(self, connection: Connection, app_id: AppId) -> Secret | None:
        found = connection.execute(self._ticket, {"given_app_id": app_id}).scalar_one_or_none()
        return None if found is None else Secret(found.decode())

    @in_snapshot
    def positions(self, connection: Connection) -> Mapping[int, Position]:
        found = connection.execute(self._positions).all()
        return {row.partition: Position(next=row.next, last_id=row.last_id) for row in found}

    @in_transaction
    def begin(self, connection: Connection, partitions: int) -> None:
        self._beginning.execute(connection, self._begin, [(number, 0) for number in range(partitions)])

    @in_snapshot
    def claimed(self, connection: Connection, wanted: Collection[ClaimKey]) -> Collection[ClaimKey]:
        found = self._pairs.fetch(connection, self._claims, sorted(wanted))
        return frozenset(ClaimKey(row.app_id, row.event_id) for row in found)

    @in_snapshot
    def read(self, connection: Connection, wanted: Wanted) -> Known:
        at = connection.execute(self._now).scalar_one()
        claimed = self._pairs.fetch(connection, self._claims, list(wanted.claims))
        delivered = self._pairs.fetch(connection, self._deliveries, list(wanted.deliveries))
        of_cards = self._pairs.fetch(connection, self._cards, list(wanted.cards))
        of_faces = self._pairs.fetch(connection, self._faces, list(wanted.cards))
        of_apps = self._apps.fetch(connection, self._new_style, [(app_id,) for app_id in wanted.apps])
        suspended = [Suspension(**row) for row in connection.execute(self._suspensions).mappings()]
        dead = self._pairs.fetch(connection, self._redrivable, list(wanted.redrives)) if wanted.redrives else ()
        answered = self._pairs.fetch(connection, self._answered, list(wanted.origins)) if wanted.origins else ()
        standing: dict[CardKey, list[EventId]] = {}
        for row in self._pairs.fetch(connection, self._standing, list(wanted.cards)):
            standing.setdefault(CardKey(row.app_id, row.message_id), []).append(row.event_id)
        return Known(
            now=int(at),
            claims={ClaimKey(row.app_id, row.event_id): row.result for row in claimed},
            deliveries=frozenset(DeliveryRef(row.app_id, row.delivery_key) for row in delivered),
            cards={CardKey(row.app_id, row.message_id): _card(row) for row in of_cards},
            faces={CardKey(row.app_id, row.message_id): face(row) for row in of_faces},
            new_style_at={row.app_id: row.new_style_at for row in of_apps},
            suspensions={standing.key: standing for standing in suspended},
            redrivable={
                ClaimKey(row.app_id, row.event_id): Redrivable(
                    redrive=row.redrive, interaction=row.interaction, kind=row.kind, offset=row.offset
                )
                for row in dead
            },
            standing=standing,
            answered={
                ClaimKey(row.app_id, row.event_id): row.answered_at for row in answered if row.answered_at is not None
            },
        )


def _redrivable(pairs: Given) -> Any:
    given = pairs.table.c
    same = and_(claims.c.app_id == dead_letters.c.app_id, claims.c.event_id == dead_letters.c.event_id)
    wanted = and_(dead_letters.c.app_id == given.app_id, dead_letters.c.event_id == given.id)
    asked = [dead_letters.c[name] for name in ("app_id", "event_id", "interaction", "kind", "offset")]
    found = select(*asked, claims.c.redrive).join(pairs.table, wanted).join(claims, same)
    return found.where(claims.c.result == "failed")


def _standing(pairs: Given) -> Any:
    given = pairs.table.c
    wanted = and_(dead_letters.c.app_id == given.app_id, dead_letters.c.message_id == given.id, PARKS)
    found = select(dead_letters.c.app_id, dead_letters.c.message_id, dead_letters.c.event_id)
    return found.join(pairs.table, wanted).order_by(dead_letters.c.offset)


def face(row: Any) -> FaceRow:
    """Return a face as it was stored."""
    return FaceRow(
        app_id=row.app_id,
        message_id=row.message_id,
        chat_id=row.chat_id,
        sent_at=row.sent_at,
        sent=text_of(row.sent),
        card_format=row.card_format,
        shown=row.shown,
        shown_order=row.shown_order,
        card_id=row.card_id,
        sequence=row.sequence,
        expired=row.expired,
        successor=row.successor,
    )


def _card(row: Any) -> CardRow:
    return CardRow(
        app_id=row.app_id,
        message_id=row.message_id,
        version=row.version,
        state=text_of(row.state),
        content=text_of(row.content),
        newest_at=row.newest_at,
        rules=read_standings(text_of(row.rules)),
    )


def text_of(stored: bytes | None) -> JsonText | None:
    """Return JSON text as it was before it was stored."""
    return None if stored is None else JsonText(stored.decode())


def bytes_of(text: JsonText | None) -> bytes | None:
    """Return JSON text as it is stored."""
    return None if text is None else text.encode()
