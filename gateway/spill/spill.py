"""
The spill: what was accepted while the log was away, on this machine's disk until it is in the log.

It is a SQLite log (`SqliteLog`) of one topic with one partition, so its offsets are the order of arrival.

Guarantees
    *append* returned: the records are on the disk, behind all earlier ones. It raised: they may be there all the
    same, now or later.
    *Order*: `head` returns records in the order in which they were appended.
    *Crash*: loses nothing that was appended. What was forwarded but not yet deleted is forwarded again.
    *Full*: beyond the bounds nothing is taken, and nothing is lost. On a full disk, nothing can be deleted *from* a
    file either; but a file as a whole can be, and is, as soon as all of it was forwarded.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.bounded import at_most
from gateway.spill.file import SpillFile
from gateway.spill.folder import Claim
from gateway.spill.spilled import TOPIC, Spilled, SpillUnreadable, unwrapped, weight_of, wrapped
from shared.clock import Clock
from shared.core.errors import LogUnavailable
from shared.core.json_text import EpochMs
from shared.eventlog.fit import refuse_unfit
from shared.eventlog.port import MAX_RECORD_BYTES, NewRecord
from shared.eventlog.sqlite.file import REAL, Disk

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
        oldest_at: Since when the oldest of them is here (ms); ``None`` when there is none.
    """

    def __init__(self, claim: Claim, bounds: Bounds, *, clock: Clock, disk: Disk = REAL) -> None:
        self._file, self._bounds, self._clock = SpillFile(claim, clock=clock, disk=disk), bounds, clock
        self.rows = 0
        self.oldest_at: EpochMs | None = None
        self._position = 0
        self._writing = 0
        self._is_known = self._is_closed = False
        self._is_trimmed, self._is_told = True, False
        self._late: asyncio.Task[None] | None = None
        self._begun = 0
        self._ended = 0
        self._failed_at: float | None = None

    @property
    def name(self) -> str:
        """The file, for log lines."""
        return self._file.name

    @property
    def bytes(self) -> int:
        """What these records take."""
        return self._file.bytes

    @property
    def is_settled(self) -> bool:
        """Whether the disk is not busy with something that was given up already, such as a commit."""
        return self._late is None

    @property
    def is_trimmed(self) -> bool:
        """Whether all that was forwarded is deleted."""
        return self._is_trimmed

    async def open(self) -> None:
        """
        Find out what is there; makes the file if it is new.

        Raises:
            SpillUnreadable: It cannot be made or read.
        """
        try:
            await self._file.log.create([TOPIC])
            size = await self._file.log.size(TOPIC)
            self._position = (await self._file.log.spans(TOPIC))[0].begin
        except LogUnavailable as error:
            raise SpillUnreadable(str(error)) from error
        self.rows, self._file.bytes = size.rows, size.bytes
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
        if not await self._is_done(commit, within_s):
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
            found = [unwrapped(row) for row in await self._file.log.read(TOPIC, 0, self._position, limit=limit)]
        except (LogUnavailable, ValueError) as error:  # ValueError: what was written there was changed
            if self.rows <= self._writing:  # nothing was ever told to be there: it need not even have been made
                return []
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
            await at_most(_TRIM_S, self._file.log.forget(TOPIC, 0, before=self._position))
        except (LogUnavailable, TimeoutError) as error:
            if self._is_told:
                return
            self._is_told = True
            log.warning("spill_not_trimmed", file=self.name, reason=str(error) or "the disk did not answer in time")
        else:
            self._is_trimmed, self._is_told = True, False

    async def renew(self, *, within_s: float) -> None:
        """
        Begin a new file where everything was forwarded, and the disk is full: deleting the old one makes room.

        To be called while nothing is appended. Never raises: where it cannot be done, all stays as it is. What takes
        longer than ``within_s`` goes on, and nothing is taken meanwhile.
        """
        if not self.rows and self._is_known and self._late is None:
            await self._is_done(asyncio.create_task(self._renew()), within_s)

    async def has_room(self) -> bool:
        """Say whether a click would be taken now."""
        if self._late is not None or self.rows >= self._bounds.rows or self.bytes >= self._bounds.bytes:
            return False
        if self._failed_at is not None and self._clock.monotonic() - self._failed_at < _SINCE_FAILURE_S:
            return False
        return await self._file.has_room()

    async def close(self) -> None:
        """Close the file and leave it to others; delete it if nothing in it is needed any more. Never raises."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.rows:
            await self.trim()
        if self.rows or self._late is not None:
            await self._file.release()
        else:
            await self._file.remove(is_ours=self._is_known)

    async def _commit(self, rows: Sequence[NewRecord], weight: int) -> None:
        self._writing = len(rows)
        try:
            await self._file.log.append(rows)
        except LogUnavailable:
            self._count(-len(rows), -weight)
            if not self.rows:
                self._empty()
            self._failed_at = self._clock.monotonic()
            raise
        finally:
            self._writing = 0
        self._failed_at = None
        self._is_known = True
        self._file.grew()

    async def _renew(self) -> None:
        if self._is_trimmed and await self._file.may_grow():
            return
        if await self._file.renew():
            self._position, self._is_trimmed, self._is_told = 0, True, False

    async def _is_done(self, work: "asyncio.Task[None]", within_s: float) -> bool:
        """Wait for the disk, but no longer than ``within_s``; nothing else is begun before it has answered."""
        self._begun += 1
        work.add_done_callback(self._settled)
        try:
            await asyncio.wait([work], timeout=within_s)
        finally:
            if not work.done():
                self._late = work
        return work.done()

    def _settled(self, work: "asyncio.Task[None]") -> None:
        self._ended += 1
        self._late = None
        if not work.cancelled():
            work.exception()  # who waited has gone

    def _count(self, rows: int, weight: int) -> None:
        self.rows += rows
        self._file.bytes += weight

    def _empty(self) -> None:
        self.rows, self._file.bytes, self.oldest_at = 0, 0, None
