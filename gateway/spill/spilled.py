"""A record in the spill: whole, and the topic that it is for and when it came stand in two headers before its own."""

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from shared.core.errors import LogUnavailable
from shared.core.json_text import EpochMs
from shared.eventlog.port import NewRecord, Record

TOPIC: Final = "spill"
FOR_TOPIC: Final = "spill_topic"
SPILLED_AT: Final = "spilled_at"

WRAPPING: Final = 1_000
"""More than our two headers ever take: Kafka's topic names have at most 249 characters."""


class SpillUnreadable(LogUnavailable):
    """It is not the log that fails, but the spill: it cannot be read, or holds what no gateway put there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spilled:
    """A record of the spill: where it lies, since when (ms), how many bytes it takes, and what is to be appended."""

    offset: int
    spilled_at: EpochMs
    weight: int
    record: NewRecord


def wrapped(record: NewRecord, now: EpochMs) -> NewRecord:
    """Return a record as the spill keeps it."""
    ours = ((FOR_TOPIC, record.topic.encode()), (SPILLED_AT, b"%d" % now))
    return replace(record, topic=TOPIC, headers=(*ours, *record.headers))


def unwrapped(row: Record) -> Spilled:
    """
    Return what a row of the spill holds.

    Raises:
        SpillUnreadable: Somebody else put it there.
        ValueError: It was changed.
    """
    match row.headers:
        case ((name, topic), (since, at), *headers) if (name, since) == (FOR_TOPIC, SPILLED_AT):
            pass
        case _:
            raise SpillUnreadable("there is a record in it that no gateway put there")
    record = NewRecord(
        topic=topic.decode(), key=row.key, value=row.value, headers=tuple(headers), timestamp=row.timestamp
    )
    return Spilled(offset=row.offset, spilled_at=int(at), weight=weight_of(row), record=record)


def weight_of(record: NewRecord | Record) -> int:
    """Return the bytes of a row's key, headers and value."""
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.key) + len(record.value) + headers
