"""
The log's contract. Every back end keeps it, and one suite (tests/contract) attacks it in all of them.

A log has *topics*; a topic has a fixed number of *partitions*; a partition is a sequence of *records* with
*offsets* that only grow (gaps are allowed). Records with one *ordering key* go to one partition, chosen by the
same function in every back end (Kafka's: murmur2), so a log can be moved without reordering a card.

Guarantees
    *Append.* When `append` returns, all its records are durable: fsync'd (SQLite) or acknowledged by all in-sync
    replicas (Kafka). When it raises `LogUnavailable`, none, some or all of them may be in the log, now or later:
    a caller that tries again makes duplicates, which the worker removes. Records of one call and one key keep
    their order; of two calls, if the second began after the first had returned.

    *Read.* Every reader sees a partition's records in offset order, without holes other than retention's. Nothing
    is read that is not durable. Reading never changes the log.

    *Consume.* Each partition is handed to one consumer of the group at a time, as far as the back end can know;
    a consumer that lost a partition may notice late. So positions are not kept here but in the ledger, where a
    compare-and-set fences the late one. A newly assigned partition hands out nothing before `Consumer.seek`.

    *Crash.* A crash of any process loses no record of a returned append. Nothing in memory is needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.core.codec import Encoded
from shared.core.json_text import EpochMs
from shared.core.value import Value

PARTITIONS: Final = 12
"""Partitions per topic: divides by 1, 2, 3, 4, 6 and 12 workers. Chosen once; growing would re-map keys."""

RETENTION_MS: Final = 33 * 24 * 3_600_000
"""How long records are kept: the platform's 30 days of validity, and a margin."""

MAX_RECORD_BYTES: Final = 1_000_000
"""Key, headers and value of one record together; a little under the 1 MiB that brokers take by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """
    What a back end can do beyond the contract, told by the back end itself.

    Attributes:
        shares: A group may have several consumers, and the partitions are dealt among them. Where it may not, the
            second consumer is refused with `LogUnavailable`.
        outlives_processes: Records are still there for the next process.
        makes_topics: A topic comes into being with its first record or consumer; elsewhere only `EventLog.create`
            makes it, and until then appending and consuming raise `LogUnavailable`.
    """

    shares: bool
    outlives_processes: bool
    makes_topics: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The three topics of a deployment: inputs, what we decided and did, and undecodable records."""

    interactions: str = "lark.card.interactions.v1"
    outcomes: str = "lark.card.outcomes.v1"
    dead: str = "lark.card.interactions.v1.dlq"

    @classmethod
    def prefixed(cls, prefix: str) -> "Topics":
        """Return the topics of a deployment that shares its broker with others, each name behind ``prefix``."""
        names = cls()
        return cls(interactions=prefix + names.interactions, outcomes=prefix + names.outcomes, dead=prefix + names.dead)


TOPICS: Final = Topics()
"""The topics of a deployment that shares its log with nobody."""


class NewRecord(Value, frozen=True, kw_only=True):
    """A record to append. ``headers`` keep order and duplicates; ``timestamp`` is the event's time (ms)."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: EpochMs

    @classmethod
    def of(cls, topic: str, encoded: Encoded) -> "NewRecord":
        """Return an encoded event as a record for ``topic``."""
        return cls(
            topic=topic,
            key=encoded.key,
            value=encoded.value,
            headers=encoded.headers,
            timestamp=encoded.timestamp,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    A record that was read.

    Attributes:
        timestamp: The event's time, or when the log appended it, as the back end keeps it (ms). For people: the
            event tells its own time.
    """

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes = field(repr=False)
    headers: tuple[tuple[str, bytes], ...]
    timestamp: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a partition holds: offsets ``begin`` (the oldest kept record) up to, not including, ``end``."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """
    What a consumer was given.

    Attributes:
        records: By partition, in offset order.
        assigned: Partitions that became ours and hand out nothing until `Consumer.seek`; told again at every
            poll until then.
        revoked: Partitions that went to somebody else since the last poll; drop what is in hand of them.
    """

    records: Mapping[int, Sequence[Record]]
    assigned: frozenset[int] = frozenset()
    revoked: frozenset[int] = frozenset()


class Consumer(Protocol):
    """A member of a group, reading the partitions of one topic that are assigned to it."""

    async def poll(self, *, max_records: int, wait_s: float) -> Polled:
        """
        Return what is there: at once if anything is, else when something arrives, at the latest after ``wait_s``.

        An outage of the log is not an error here: nothing arrives.

        Raises:
            LogUnavailable: This consumer is broken for good; close it and make a new one.
        """

    def seek(self, partition: int, offset: int) -> None:
        """
        Hand out the records of an assigned partition from ``offset`` on.

        An offset older than the oldest kept record starts at that one. A partition lost meanwhile is ignored.
        """

    async def close(self) -> None:
        """Leave the group, so that others take over at once. Never raises."""


class EventLog(Protocol):
    """A log that processes share."""

    @property
    def features(self) -> Features:
        """What this back end can do beyond the contract."""

    async def append(self, records: Sequence[NewRecord]) -> None:
        """
        Make all records durable, in order (see Guarantees).

        Raises:
            LogUnavailable: Not acknowledged in time; some may be in the log all the same.
            RecordRefused: A record can never be appended (too large). None of this call's records of its
                partition may be relied on.
        """

    async def spans(self, topic: str) -> Mapping[int, Span]:
        """
        Return what each partition of a topic holds; empty when there is no such topic.

        Raises:
            LogUnavailable: The log cannot be asked.
        """

    async def read(self, topic: str, partition: int, offset: int, *, limit: int) -> Sequence[Record]:
        """
        Return up to ``limit`` records from ``offset`` on, without a group; fewer at the end of the partition.

        An offset older than the oldest kept record starts at that one.

        Raises:
            LogUnavailable: The log cannot be read.
        """

    async def consume(self, topic: str, *, group: str) -> Consumer:
        """
        Join ``group`` and return a consumer of ``topic``.

        Raises:
            LogUnavailable: The log cannot be reached, or has no such topic.
        """

    async def create(self, topics: Sequence[str]) -> None:
        """
        Create the topics that do not exist, with `PARTITIONS` partitions and `RETENTION_MS`; leave the others.

        Raises:
            LogUnavailable: The log cannot be reached or refuses.
        """

    async def ready(self) -> bool:
        """Say, within a second, whether an append would be taken now."""

    async def close(self) -> None:
        """Finish what is under way and release everything. Never raises."""
