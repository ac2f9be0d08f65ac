"""
The file of a spill on a disk that may be full.

Deleting records takes room: from a disk that is filled to the last page nothing can be deleted, and what is drained
would stay, in the way of every click of the next outage. Two things keep it from that. Some room is left free, so that
what is forwarded can be deleted, and the file hold as much again while it is still being drained. And where others took
that room, the file as a whole is deleted when nothing in it is needed any more: that takes none.
"""

import asyncio
import errno
import os
from dataclasses import replace
from typing import Final

import structlog

from gateway.bounded import at_most
from gateway.spill.folder import Claim
from gateway.spill.spilled import TOPIC, WRAPPING
from shared.clock import Clock
from shared.eventlog.port import MAX_RECORD_BYTES, Topics
from shared.eventlog.sqlite.file import REAL, Disk
from shared.eventlog.sqlite.log import ROOM_BYTES, SqliteLog

PATIENCE_S: Final = 60.0
"""After so long the log below gives up a commit; our own callers have gone long before."""

_FOR_EVER_MS: Final = 100 * 365 * 24 * 3_600_000
_LOOK_S: Final = 1.0

_KEPT_FREE: Final = 4
"""A disk is full when less than this part of it is free, or less than `ROOM_BYTES` where that is less."""

log = structlog.get_logger("cardwire.gateway")


class SpillFile:
    """
    A claimed file as a log of one partition.

    Attributes:
        log: What reads and writes it; another one after `renew`.
        bytes: What its records take, those to be committed next included; told by who counts them.
    """

    def __init__(self, claim: Claim, *, clock: Clock, disk: Disk = REAL) -> None:
        self._claim, self._clock, self._disk = claim, clock, disk
        self.bytes = self._held = 0
        self.log = self._new_log()

    @property
    def name(self) -> str:
        """The file, for log lines."""
        return str(self._claim.path)

    def grew(self) -> None:
        """Take note that it holds what was counted: so much it can hold again."""
        self._held = max(self._held, self.bytes)

    async def has_room(self) -> bool:
        """Say whether it may hold more than it does."""
        return self.bytes < self._held or await self.may_grow()

    async def may_grow(self) -> bool:
        """Say whether the disk has room for more than it has ever held."""
        try:
            return await at_most(_LOOK_S, asyncio.to_thread(self._is_room_left))
        except (OSError, TimeoutError):
            return False

    async def renew(self) -> bool:
        """Delete it, and begin anew; ``False`` if it is still the old one. Nothing in it may be needed."""
        await self.log.close()
        try:
            await asyncio.to_thread(self._claim.clear)
        except OSError as error:
            log.warning("spill_not_removed", file=self.name, reason=error.strerror)
            return False
        else:
            log.info("spill_renewed", file=self.name)
            self._held = 0
            return True
        finally:
            self.log = self._new_log()

    async def release(self) -> None:
        """Close it, and leave it to others. Never raises."""
        await self.log.close()
        self._claim.release()

    async def remove(self, *, is_ours: bool) -> None:
        """
        Close and delete it. Never raises.

        Args:
            is_ours: Whether it is known to be a spill; a stranger's file is left where it is.
        """
        await self.log.close()
        try:
            await asyncio.to_thread(self._clear_away, is_ours=is_ours)
        except OSError as error:
            log.warning("spill_not_removed", file=self.name, reason=error.strerror)

    def _clear_away(self, *, is_ours: bool) -> None:
        if is_ours or self._claim.is_blank():
            self._claim.remove()
        else:
            self._claim.release()

    def _new_log(self) -> SqliteLog:
        return SqliteLog(
            self._claim.path,
            topics=Topics(interactions=TOPIC),
            partitions=1,
            retention_ms=_FOR_EVER_MS,
            max_record_bytes=MAX_RECORD_BYTES + WRAPPING,
            append_timeout_s=PATIENCE_S,
            clock=self._clock,
            disk=replace(self._disk, before_commit=self._before_commit),
        )

    def _before_commit(self) -> None:  # in the log's thread
        if self.bytes > self._held and not self._is_room_left():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._disk.before_commit is not None:
            self._disk.before_commit()

    def _is_room_left(self) -> bool:
        if self._disk.free is not None:
            return self._disk.free() >= ROOM_BYTES
        found = os.statvfs(self._claim.path.parent)
        return found.f_bavail >= min(ROOM_BYTES // found.f_frsize, found.f_blocks // _KEPT_FREE)
