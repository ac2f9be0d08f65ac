"""A batch: records of the interactions topic as the facts they hold, in log order per partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.core.codec import decode, header
from shared.core.errors import NewerThanUs, Undecodable
from shared.core.events import Decided, EffectOutcome, Input
from shared.core.traceparent import valid_traceparent
from shared.eventlog.port import NewRecord, Record
from worker.identity import record_id, without_nul


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One record and what it says; an `Undecodable` where it says nothing that we can read."""

    record: Record
    fact: Input | Undecodable

    @property
    def id(self) -> str | None:
        """The record's ``ce_id``; see `record_id`."""
        return record_id(self.record)

    @property
    def traceparent(self) -> str | None:
        """The trace that the record belongs to, if it is part of one."""
        return valid_traceparent(header(self.record.headers, "traceparent"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    Records to decide together.

    Attributes:
        taken: In offset order within each partition.
        halted: A record that a newer program wrote stands right behind these: nothing follows until an upgrade.
    """

    taken: Sequence[Taken]
    halted: NewerThanUs | None = None


def take(records: Mapping[int, Sequence[Record]]) -> Batch:
    """Read records as facts; of each partition only those before one that is newer than this program."""
    taken: list[Taken] = []
    halted = None
    for partition in sorted(records):
        for record in records[partition]:
            try:
                fact = _fact(record)
            except NewerThanUs as newer:
                halted = newer
                break
            taken.append(Taken(record=record, fact=fact))
    return Batch(taken=taken, halted=halted)


def _fact(record: Record) -> Input | Undecodable:
    try:
        event = decode(record.headers, record.value)
    except NewerThanUs:
        raise
    except Undecodable as bad:
        return bad
    if isinstance(event, Decided | EffectOutcome):
        return Undecodable("an outcome does not belong into the interactions topic")
    return event


def parked(record: Record, reason: str, dead_topic: str) -> NewRecord:
    """Return a record for the dead topic: bytes and headers untouched, and where it stood and why it is there."""
    return NewRecord(
        topic=dead_topic,
        key=without_nul(record.key),
        value=record.value,
        headers=(
            *record.headers,
            ("dlq_topic", record.topic.encode()),
            ("dlq_partition", str(record.partition).encode()),
            ("dlq_offset", str(record.offset).encode()),
            ("dlq_reason", reason.encode("utf-8", "replace")),
        ),
        timestamp=record.timestamp,
    )
