"""
The spill: what was accepted while the log was away, on this machine's disk until it is in the log.

It is a SQLite log (`SqliteLog`) of one topic with one partition, so its offsets are the order of arrival.

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
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.bounded import at_most
from gateway.spill_folder import Claim
from gateway.spilled import TOPIC, WRAPPING, Spilled, SpillUnreadable, unwrapped, weight_of, wrapped
from shared.clock import Clock
from shared.core.errors import LogUnavailable
from shared.core.json_text import EpochMs
from shared.eventlog.fit import refuse_unfit
from shared.eventlog.port import MAX_RECORD_BYTES, NewRecord, Topics
from shared.eventlog.sqlite.file import REAL, Disk
from shared.eventlog.sqlite.log import ROOM_BYTES, SqliteLog

_FOR_EVER_MS: Final = 100 * 365 * 24 * 3_600_000
_PATIENCE_S: Final = 60.0
"""After so long the log below gives up a commit; our own callers have gone long before."""

_TRIM_S: Final = 1.0
_SINCE_FAILURE_S: Final = 5.0
"""For so long a disk that failed is believed to be still failing."""

log = structlog.get_logger("cardwire.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a spill may hold: ``rows``, and ``bytes`` of keys, headers and values."""

    rows: int
    bytes: int


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
            max_record_bytes=MAX_RECORD_BYTES + WRAPPING,
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
        rows = [wrapped(record, now) for record in records]
        weight = sum(map(weight_of, rows))
        if self._late is not None:
            raise LogUnavailable("the spill's disk has not answered yet")
        if self.rows + len(rows) > self._bounds.rows or self.bytes + weight > self._bounds.bytes:
            raise LogUnavailable("the spill is full")
        self._count(len(rows), weight)
        if self.oldest_at is None:
            self.oldest_at = now
        commit = asyncio.create_task(self._commit(rows, weight))
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
            found = [unwrapped(row) for row in await self._log.read(TOPIC, 0, self._position, limit=limit)]
        except (LogUnavailable, ValueError) as error:  # ValueError: what was written there was changed
            raise SpillUnreadable(str(error)) from error
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

    async def _commit(self, rows: Sequence[NewRecord], weight: int) -> None:
        try:
            await self._log.append(rows)
        except LogUnavailable:
            self._count(-len(rows), -weight)
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
