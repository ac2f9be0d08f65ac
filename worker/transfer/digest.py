"""
What a partition holds as 32 bytes: equal where the same records lie in the same order, in whichever back end (pure).

A record counts by its key, its headers in their order and its value; offsets and timestamps are the back end's own.
Each part stands behind its length, so that no two records have the same bytes. The digest goes on from record to
record, so it can be taken up where it was left:

    digest(0) = 32 zero bytes
    digest(n) = SHA-256(digest(n - 1) + SHA-256(record n))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from shared.core.codec import Headers

BEGINNING: Final = bytes(32)
"""The digest of no records."""

_LENGTH: Final = 4


class Held(Protocol):
    """What a record is by itself, wherever it lies."""

    @property
    def key(self) -> str:
        """Its ordering key."""

    @property
    def headers(self) -> Headers:
        """Its headers, in order."""

    @property
    def value(self) -> bytes:
        """Its value."""


@dataclass(slots=True)
class Chain:
    """The digest of a partition's records so far, and how many they are."""

    digest: bytes = BEGINNING
    records: int = 0

    def add(self, fingerprint: bytes) -> None:
        """Go on by a record."""
        self.digest = sha256(self.digest + fingerprint).digest()
        self.records += 1


def fingerprint(record: Held) -> bytes:
    """Return the digest of one record."""
    return sha256(canonical(record.key, record.headers, record.value)).digest()


def canonical(key: str, headers: Headers, value: bytes) -> bytes:
    """Return a record's bytes: its key, how many headers it has, the name and value of each, its value."""
    parts: list[bytes] = [key.encode(), value]
    for name, held in headers:
        parts += (name.encode(), held)
    return _joined(parts)


def _joined(parts: Sequence[bytes]) -> bytes:
    """Return parts, each behind its length, behind their number."""
    pieces = [len(parts).to_bytes(_LENGTH, "big")]
    for part in parts:
        pieces += (len(part).to_bytes(_LENGTH, "big"), part)
    return b"".join(pieces)
