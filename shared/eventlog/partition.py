"""
Which partition a record belongs to: the one that Kafka's own default partitioner chooses.

Every back end uses it, so a log can be moved from one to another without splitting a card's history. The hash is
murmur2 as in org.apache.kafka.common.utils.Utils (https://github.com/apache/kafka), written for Python's integers.
"""

from functools import lru_cache
from struct import iter_unpack
from typing import Final

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF

_ALIKE: Final = 24
"""Bytes with which all keys of an app begin: ``cli_``, its sixteen digits, and ``:om_``. Hashing them anew for each
would be half of it."""

_REMEMBERED: Final = 4_096
"""Keys whose partition is remembered: a click is followed by its mark, a card is clicked more than once, and hashing
costs microseconds. Four times as many take some megabytes."""


def murmur2(data: bytes) -> int:
    """Return the 32-bit hash of ``data``, unsigned."""
    whole = len(data) & ~3
    state = _begun(data[:_ALIKE], len(data))
    for (word,) in iter_unpack("<I", data[_ALIKE:whole]):
        mixed = word * _MIX & _MASK
        state = (state * _MIX ^ (mixed ^ mixed >> 24) * _MIX) & _MASK
    if whole < len(data):
        state ^= int.from_bytes(data[whole:], "little")
        state = state * _MIX & _MASK
    state ^= state >> 13
    state = state * _MIX & _MASK
    return state ^ state >> 15


@lru_cache(256)
def _begun(beginning: bytes, length: int) -> int:
    """Return the state after the whole words of a beginning, which is the same for all cards of an app."""
    state = _SEED ^ length
    for (word,) in iter_unpack("<I", beginning[: len(beginning) & ~3]):
        mixed = word * _MIX & _MASK
        state = (state * _MIX ^ (mixed ^ mixed >> 24) * _MIX) & _MASK
    return state


@lru_cache(_REMEMBERED)
def partition_of(key: str, partitions: int) -> int:
    """Return the partition, from 0 on, of the records with the ordering key ``key`` in a topic of so many."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
