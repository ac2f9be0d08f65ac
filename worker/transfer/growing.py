"""
One partition's file while it grows.

Whole frames are added at its end; what the manifest does not know yet is read again after a crash, up to the first
frame that is not whole, and the rest is cut off.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shared.eventlog.port import Record
from worker.transfer.digest import Chain, fingerprint
from worker.transfer.folder import open_private
from worker.transfer.frames import FRAME_BYTES, Frame, frames, packed
from worker.transfer.line import line_of, lines_of
from worker.transfer.manifest import Last, Part
from worker.transfer.refusals import TransferRefused


def check_length(path: Path, part: Part) -> None:
    """
    Return if a file holds as much as its manifest says.

    Raises:
        TransferRefused: It is shorter, or gone.
    """
    if part.bytes and (not path.exists() or path.stat().st_size < part.bytes):
        raise TransferRefused(
            f"{path} is shorter than its manifest says: expected the files as they were exported, or a new folder"
        )


class Growing:
    """
    A file that records are added to.

    Args:
        path: It is made if need be.
        part: What the manifest knows of it.
    """

    def __init__(self, path: Path, part: Part) -> None:
        self._part = part
        self._chain = Chain(digest=bytes.fromhex(part.sha256), records=part.records)
        self._begin = part.begin
        self._newest: tuple[int, bytes] | None = None
        self._lines: list[bytes] = []
        self._waiting = 0
        self._file = open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            self._take_up()
        except BaseException:
            self._file.close()
            raise

    @property
    def part(self) -> Part:
        """What there is of the partition, with what is not yet in a frame."""
        if self._newest is None:
            return self._part
        offset, found = self._newest
        return msgspec.structs.replace(
            self._part,
            begin=self._begin,
            end=offset + 1,
            records=self._chain.records,
            sha256=self._chain.digest.hex(),
            last=Last(offset=offset, sha256=found.hex()),
        )

    def add(self, records: Sequence[Record]) -> None:
        """Add records that follow; most of them are in the file when this returns."""
        for record in records:
            line = line_of(record)
            self._lines.append(line)
            self._waiting += len(line)
            self._note(record.offset, fingerprint(record))
            if self._waiting >= FRAME_BYTES:
                self._write()

    def finish(self, end: int) -> Part:
        """Return the partition as exported up to an offset; it is on the disk then. Nothing may be added afterwards."""
        self._write()
        self._file.flush()
        os.fsync(self._file.fileno())
        part = self.part
        return msgspec.structs.replace(part, end=max(end, part.end), bytes=self._file.tell())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _take_up(self) -> None:
        end = self._part.bytes
        for frame in frames(self._file, begin=end):
            if not self._knows(frame):
                break
            end = frame.end
        self._file.seek(end)
        self._file.truncate()

    def _knows(self, frame: Frame) -> bool:
        """Take note of a frame's records; say whether they are some."""
        try:
            lines = list(lines_of(frame.text))
        except ValueError:
            return False
        for line in lines:
            self._note(line.offset, fingerprint(line.to("")))
        return True

    def _note(self, offset: int, found: bytes) -> None:
        if not self._chain.records:
            self._begin = offset
        self._chain.add(found)
        self._newest = offset, found

    def _write(self) -> None:
        if self._lines:
            self._file.write(packed(b"".join(self._lines)))
        self._lines, self._waiting = [], 0
