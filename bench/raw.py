"""
The yardstick: the same rows, in the same tables, in transactions of the same size, written plainly.

One statement for each table and batch, run by the driver's ``executemany``; no reading, no deciding, no encoding.
Its rows are prepared before the clock starts.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import asyncpg
import msgspec

from shared.core.targets import message_target
from worker.ledger.decided import Write

_CLAIM: Final = (
    "app_id", "event_id", "delivery_key", "result", "redrive", "handler", "digest", "reason", "partition", "offset",
)  # fmt: skip
_CARD: Final = ("app_id", "message_id", "version", "state", "content", "newest_at")
_TARGET: Final = ("app_id", "target", "due", "owner", "until", "leased_at", "paced_until")
_EFFECT: Final = (
    "app_id", "event_id", "index", "tenant_key", "message_id", "kind", "target", "audience", "coalesce",
    "eligibility", "order", "occurred_at", "received_at", "payload",
)  # fmt: skip
_STANDING: Final = ("decided_at", "due", "marked_at", "status", "k", "attempts")
_RECORD: Final = ("topic", "key", "value", "headers", "timestamp")

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""What one transaction writes: statement, in SQLite's words, to its parameters."""


def _insert(table: str, columns: Sequence[str], more: str = "") -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))}) {more}"  # noqa: S608 (our own names)


MOVE: Final = 'UPDATE positions SET next = ?, last_id = ? WHERE "partition" = ? AND next = ?'
CLAIM: Final = _insert("claims", (*_CLAIM, "claimed_at"))
CARD: Final = _insert(
    "cards",
    _CARD,
    "ON CONFLICT (app_id, message_id) DO UPDATE SET version = excluded.version, state = excluded.state,"
    " content = excluded.content, newest_at = excluded.newest_at",
)
TARGET: Final = _insert("targets", _TARGET, "ON CONFLICT (app_id, target) DO UPDATE SET due = excluded.due")
EFFECT: Final = _insert("effects", (*_EFFECT, *_STANDING))
MARK: Final = 'UPDATE effects SET due = ?, marked_at = ? WHERE app_id = ? AND event_id = ? AND "index" = 1'
TELL: Final = _insert("outbox", _RECORD)


def rows(write: Write, at: int) -> Rows:
    """Return what a batch of ours wrote at a time (ms), as rows."""
    due = {(effect.app_id, effect.target): at + effect.due_in_ms for effect in write.effects}
    due |= {(mark.app_id, message_target(mark.message_id)): at + mark.due_in_ms for mark in write.marks}
    return {
        MOVE: [(move.next, move.last_id, move.partition, move.expected) for move in write.moves],
        CLAIM: sorted((*_values(claim, _CLAIM), at) for claim in write.claims),
        CARD: sorted(_bytes(_values(card, _CARD)) for card in write.cards),
        TARGET: [(*key, when, "", 0, 0, 0) for key, when in sorted(due.items())],
        EFFECT: [
            (*_values(effect, _EFFECT), at, at + effect.due_in_ms, at if effect.marked else None, "pending", 0, 0)
            for effect in write.effects
        ],
        MARK: sorted((at + mark.due_in_ms, at, mark.app_id, mark.event_id) for mark in write.marks),
        TELL: [
            (each.topic, each.key, each.value, msgspec.msgpack.encode(each.headers), each.timestamp)
            for each in write.outbox
        ],
    }


def _values(row: Any, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def _bytes(card: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a card's row with its JSON as it is stored."""
    return tuple(value.encode() if at in {3, 4} and value is not None else value for at, value in enumerate(card))


class Writer(Protocol):
    """Writes transactions, one after the other."""

    async def write(self, transactions: Sequence[Rows]) -> None:
        """Return when the last one is on the disk."""

    async def close(self) -> None:
        """Disconnect."""


@dataclass(frozen=True, slots=True)
class PostgresWriter:
    """asyncpg, by itself."""

    connection: "asyncpg.Connection[asyncpg.Record]"

    async def write(self, transactions: Sequence[Rows]) -> None:
        for each in transactions:
            async with self.connection.transaction():
                for statement, values in each.items():
                    if values:
                        await self.connection.executemany(_numbered(statement), values)

    async def close(self) -> None:
        await self.connection.close()


@dataclass(frozen=True, slots=True)
class SqliteWriter:
    """sqlite3, by itself, in WAL mode and with every commit on the disk."""

    connection: sqlite3.Connection

    async def write(self, transactions: Sequence[Rows]) -> None:
        for each in transactions:
            self.connection.execute("BEGIN IMMEDIATE")
            for statement, values in each.items():
                self.connection.executemany(statement, values)
            self.connection.execute("COMMIT")

    async def close(self) -> None:
        self.connection.close()


async def connect(url: str) -> Writer:
    """Return a writer into a database that has our tables."""
    if url.startswith("postgresql"):
        return PostgresWriter(await asyncpg.connect(url))
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return SqliteWriter(connection)


def _numbered(statement: str) -> str:
    """Return a statement in PostgreSQL's words: parameters have numbers."""
    parts = statement.split("?")
    return "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]
