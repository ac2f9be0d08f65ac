"""
The spill: what was accepted while the log was away, on this machine's disk until it is in the log.

It is a SQLite log (`SqliteLog`) of one topic with one partition, so its offsets are the order of arrival. A row keeps
everything of a record; the topic that it is for and the time it was spilled stand in two headers before its own.

Guarantees
    *append* returned: the records are on the disk, behind all earlier ones. It raised: they may be there all the
    same, now or later.
    *Order*: `head` returns records in the order in which they were appended.
    *Crash*: loses nothing that was appended. What was forwarded but not yet deleted is forwarded again.
    *Full*: beyond the bounds nothing is taken, and nothing is lost.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from gateway.bounded import at_most
from gateway.spill_folder import Claim
from shared.clock import Clock
from shared.core.errors import LogUnavailable
from shared.core.json_text import EpochMs
from shared.eventlog.fit import refuse_unfit
from shared.eventlog.port import MAX_RECORD_BYTES, NewRecord, Record, Topics
from shared.eventlog.sqlite.file import REAL, Disk
from shared.eventlog.sqlite.log import ROOM_BYTES, SqliteLog

TOPIC: Final = "spill"
FOR_TOPIC: Final = "spill_topic"
SPILLED_AT: Final = "spilled_at"

_WRAPPING: Final = 1_000
"""More than our two headers ever take: Kafka's topic names have at most 249 characters."""

_FOR_EVER_MS: Final = 100 * 365 * 24 * 3_600_000
_PATIENCE_S: Final = 60.0
"""After so long the log below gives up a commit; our own callers have gone long before."""

_TRIM_S: Final = 1.0
_SINCE_FAILURE_S: Final = 5.0
"""For so long a disk that failed is believed to be still failing."""

log = structlog.get_logger("cardwire.gateway")


class SpillUnreadable(LogUnavailable):
    """It is not the log that fails, but the spill: it cannot be read, or holds what no gateway put there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a spill may hold: ``rows``, and ``bytes`` of keys, headers and values."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spilled:
    """A record of the spill: where it lies, since when (ms), how many bytes it takes, and what is to be appended."""

    offset: int
    spilled_at: EpochMs
    weight: int
    record: NewRecord


class Spill:
    """
    One spill file, held by this process. To be used on one loop; `open` comes first.

    Attributes:
        rows: Records that are not forwarded yet, those of a commit under way included.
        bytes: What they take.
        oldest_at: Since when the oldest of them is here (ms); ``None`` when there is none.
    """

    def __init__(self, claim: Claim, bounds: Bounds, *, clock: Clock, disk: Disk = REAL) -> None:
        self._claim, self._bounds, self._clock = claim, bounds, clock
        self._log = SqliteLog(
            claim.path,
            topics=Topics(interactions=TOPIC),
            partitions=1,
            retention_ms=_FOR_EVER_MS,
            max_record_bytes=MAX_RECORD_BYTES + _WRAPPING,
            append_timeout_s=_PATIENCE_S,
            clock=clock,
            disk=disk,
        )
        self.rows = 0
        self.bytes = 0
        self.oldest_at: EpochMs | None = None
        self._position = 0
        self._is_known = self._is_closed = False
        self._is_trimmed = True
        self._late: asyncio.Task[None] | None = None
        self._begun = 0
        self._ended = 0
        self._failed_at: float | None = None

    @property
    def name(self) -> str:
        """The file, for log lines."""
        return str(self._claim.path)

    @property
    def is_settled(self) -> bool:
        """Whether no commit is under way that was given up already: it may still add its records."""
        return self._late is None

    async def open(self) -> None:
        """
        Find out what is there; makes the file if it is new.

        Raises:
            SpillUnreadable: It cannot be made or read.
        """
        try:
            await self._log.create([TOPIC])
            size = await self._log.size(TOPIC)
            self._position = (await self._log.spans(TOPIC))[0].begin
        except LogUnavailable as error:
            raise SpillUnreadable(str(error)) from error
        self.rows, self.bytes = size.rows, size.bytes
        self._is_known = True

    async def append(self, records: Sequence[NewRecord], *, within_s: float) -> None:
        """
        Put records behind those that are there, in one commit.

        Raises:
            LogUnavailable: No room, a disk that does not take them, or not within ``within_s``.
            RecordRefused: No log would ever take one of them.
        """
        refuse_unfit(records, MAX_RECORD_BYTES)
        now = self._clock.now()
        wrapped = [_wrapped(record, now) for record in records]
        weight = sum(map(_weight, wrapped))
        if self._late is not None:
            raise LogUnavailable("the spill's disk has not answered yet")
        if self.rows + len(wrapped) > self._bounds.rows or self.bytes + weight > self._bounds.bytes:
            raise LogUnavailable("the spill is full")
        self._count(len(wrapped), weight)
        if self.oldest_at is None:
            self.oldest_at = now
        commit = asyncio.create_task(self._commit(wrapped, weight))
        self._begun += 1
        commit.add_done_callback(self._settled)
        try:
            await asyncio.wait([commit], timeout=within_s)
        finally:
            if not commit.done():
                self._late = commit
        if not commit.done():
            self._failed_at = self._clock.monotonic()
            raise LogUnavailable("the spill's disk did not answer in time")
        commit.result()

    async def head(self, limit: int) -> Sequence[Spilled]:
        """
        Return up to ``limit`` of the oldest records that were not forwarded.

        Raises:
            SpillUnreadable: The file cannot be read, or holds something else.
        """
        begun, is_quiet = self._begun, self._begun == self._ended
        try:
            rows = await self._log.read(TOPIC, 0, self._position, limit=limit)
        except LogUnavailable as error:
            raise SpillUnreadable(str(error)) from error
        found = [_unwrapped(row) for row in rows]
        if found:
            self.oldest_at = found[0].spilled_at
        elif is_quiet and begun == self._begun:
            self._empty()  # whatever was counted, the file knows better; but not what is being written to it
        return found

    async def forwarded(self, rows: Sequence[Spilled]) -> None:
        """
        Take note that the oldest records are in the log, and delete them.

        A disk on which nothing can be deleted now is no reason to stop: it is tried again with the next ones.
        """
        self._position = rows[-1].offset + 1
        self.oldest_at = rows[-1].spilled_at  # the next one is not older
        self._count(-len(rows), -sum(row.weight for row in rows))
        if not self.rows:
            self._empty()
        self._is_trimmed = False
        await self.trim()

    async def trim(self) -> None:
        """Delete what was forwarded, if anything is left of it. Never raises."""
        if self._is_trimmed:
            return
        try:
            await at_most(_TRIM_S, self._log.forget(TOPIC, 0, before=self._position))
        except (LogUnavailable, TimeoutError) as error:
            log.warning("spill_not_trimmed", file=self.name, reason=str(error) or "the disk did not answer in time")
        else:
            self._is_trimmed = True

    async def has_room(self) -> bool:
        """Say whether a click would be taken now."""
        if self._late is not None or self.rows >= self._bounds.rows or self.bytes >= self._bounds.bytes:
            return False
        if self._failed_at is not None and self._clock.monotonic() - self._failed_at < _SINCE_FAILURE_S:
            return False
        try:
            return await at_most(_TRIM_S, asyncio.to_thread(self._disk_has_room))
        except (OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close the file and leave it to others; delete it if nothing is in it. Never raises."""
        if self._is_closed:
            return
        self._is_closed = True
        await self.trim()
        await self._log.close()
        if self.rows or not self._is_known or not self._is_trimmed or self._late is not None:
            self._claim.release()
            return
        try:
            self._claim.remove()
        except OSError as error:
            log.warning("spill_not_removed", file=self.name, reason=error.strerror)

    async def _commit(self, wrapped: Sequence[NewRecord], weight: int) -> None:
        try:
            await self._log.append(wrapped)
        except LogUnavailable:
            self._count(-len(wrapped), -weight)
            if not self.rows:
                self._empty()
            self._failed_at = self._clock.monotonic()
            raise
        self._failed_at = None

    def _settled(self, commit: "asyncio.Task[None]") -> None:
        self._ended += 1
        self._late = None
        if not commit.cancelled():
            commit.exception()  # its callers have gone

    def _count(self, rows: int, weight: int) -> None:
        self.rows += rows
        self.bytes += weight

    def _empty(self) -> None:
        self.rows, self.bytes, self.oldest_at = 0, 0, None

    def _disk_has_room(self) -> bool:
        found = os.statvfs(self._claim.path.parent)
        return found.f_bavail * found.f_frsize >= ROOM_BYTES


def _wrapped(record: NewRecord, now: EpochMs) -> NewRecord:
    ours = ((FOR_TOPIC, record.topic.encode()), (SPILLED_AT, b"%d" % now))
    return replace(record, topic=TOPIC, headers=(*ours, *record.headers))


def _unwrapped(row: Record) -> Spilled:
    match row.headers:
        case ((name, topic), (since, at), *headers) if (name, since) == (FOR_TOPIC, SPILLED_AT):
            pass
        case _:
            raise SpillUnreadable("there is a record in it that no gateway put there")
    record = NewRecord(
        topic=topic.decode(), key=row.key, value=row.value, headers=tuple(headers), timestamp=row.timestamp
    )
    return Spilled(offset=row.offset, spilled_at=int(at), weight=_weight(row), record=record)


def _weight(record: NewRecord | Record) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.key) + len(record.value) + headers
