"""
A record as a line of JSON, and back, without the loss of a byte (pure).

What is UTF-8 stands there as text, so that people and programs can read it; what is not, as ``{"base64": "…"}``.
Headers keep their order and their duplicates.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from shared.core.json_text import EpochMs
from shared.core.value import Value
from shared.eventlog.port import NewRecord, Record


class NotText(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes that are not UTF-8."""

    base64: bytes


Held = str | NotText


class Line(Value, frozen=True, kw_only=True):
    """
    One record of an exported log.

    Attributes:
        offset: Where it lay in its partition.
        timestamp: As the log it comes from kept it (ms).
    """

    offset: int
    timestamp: EpochMs
    key: str
    headers: tuple[tuple[str, Held], ...]
    value: Held

    def to(self, topic: str) -> NewRecord:
        """Return it as a record to append."""
        return NewRecord(
            topic=topic,
            key=self.key,
            value=_bytes(self.value),
            headers=tuple((name, _bytes(held)) for name, held in self.headers),
            timestamp=self.timestamp,
        )


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Line).decode


def line_of(record: Record) -> bytes:
    """Return a record as a line, with its line feed."""
    line = Line(
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        headers=tuple((name, _held(value)) for name, value in record.headers),
        value=_held(record.value),
    )
    return _encode(line) + b"\n"


def lines_of(text: bytes) -> Iterator[Line]:
    """
    Yield the lines that a text holds.

    Raises:
        ValueError: One of them is none, or the last one is not whole.
    """
    if text and not text.endswith(b"\n"):
        raise ValueError("the last line is not whole")
    return (_decode(line) for line in text.splitlines())  # a line feed inside of JSON text is escaped


def _held(value: bytes) -> Held:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return NotText(base64=value)


def _bytes(held: Held) -> bytes:
    return held.encode() if isinstance(held, str) else held.base64
