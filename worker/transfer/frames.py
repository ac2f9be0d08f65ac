"""
Files of zstd frames, each of which is whole by itself: what was written before a crash stays readable.

A frame holds whole lines, about a megabyte of them, and its own checksum. The files are what any zstd reads
(``zstdcat``); nothing but this module knows the library.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import zstandard

FRAME_BYTES: Final = 1 << 20
"""A frame is closed when so much text is in it; memory holds about one frame of each file that is read or written."""

READ_BYTES: Final = 1 << 16

_LEVEL: Final = 3

_compressor: Final = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
_decompressor: Final = zstandard.ZstdDecompressor()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A whole frame: its text, and the offset in the file behind it."""

    text: bytes
    end: int


def packed(text: bytes) -> bytes:
    """Return a text as one frame."""
    return _compressor.compress(text)


def frames(file: BinaryIO, *, begin: int = 0) -> Iterator[Frame]:
    """Yield the frames from an offset on, up to the first that is torn or damaged, or the end."""
    file.seek(begin)
    end, behind = begin, b""
    while True:
        unpacking = _decompressor.decompressobj()
        texts: list[bytes] = []
        while not unpacking.eof:
            chunk = behind or file.read(READ_BYTES)
            behind = b""
            if not chunk:
                return
            try:
                texts.append(unpacking.decompress(chunk))
            except zstandard.ZstdError:
                return
            end += len(chunk)
        behind = unpacking.unused_data
        end -= len(behind)
        yield Frame(text=b"".join(texts), end=end)
