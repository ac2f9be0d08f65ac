"""What the contract tests of the log do again and again."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from shared.core.errors import LogUnavailable
from shared.eventlog.open import OpenedLog
from shared.eventlog.port import PARTITIONS, Consumer, NewRecord, Polled, Record

GROUP = "workers"
ALL = frozenset(range(PARTITIONS))
TIMEOUT_S = 40
"""A busy machine may take long; nothing here should."""


def numbers_of(records: Iterable[Record]) -> list[int]:
    """Return the numbers that records tell as their values."""
    return [int(each.value) for each in records]


def grouped(records: Iterable[Record]) -> dict[str, list[int]]:
    """Return the numbers of each key, in order."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for each in records:
        found[each.key].append(int(each.value))
    return dict(found)


async def everything(log: OpenedLog, topic: str) -> list[Record]:
    """Return everything in a topic, by partition and offset."""
    found: list[Record] = []
    for number, span in (await log.spans(topic)).items():
        offset = span.begin
        while offset < span.end and (records := await log.read(topic, number, offset, limit=1000)):
            found += records
            offset = records[-1].offset + 1
    return found


async def by_key(log: OpenedLog, topic: str) -> dict[str, list[int]]:
    """Return the numbers of each key in a topic, in order."""
    return grouped(await everything(log, topic))


class Member:
    """
    A consumer and its positions, as a worker keeps them.

    A group may rebalance at any time, for reasons of its own: what is assigned is sought to where it was.
    """

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self._positions: dict[int, int] = {}

    def seek(self, partition: int, offset: int) -> None:
        """Take a partition's records from ``offset`` on."""
        self._positions[partition] = offset
        self.consumer.seek(partition, offset)

    async def poll(self, *, max_records: int, wait_s: float) -> list[Record]:
        """Return what one poll gives."""
        polled = await self.consumer.poll(max_records=max_records, wait_s=wait_s)
        self._positions.update({number: batch[-1].offset + 1 for number, batch in polled.records.items()})
        for number in polled.assigned:
            self.consumer.seek(number, self._positions.get(number, 0))
        return [each for batch in polled.records.values() for each in batch]

    async def close(self) -> None:
        """Leave the group."""
        await self.consumer.close()

    async def take(self, count: int, *, but: bytes | None = None) -> list[Record]:
        """Poll until so many records were given out, not counting those with the value ``but``."""
        taken: list[Record] = []
        async with asyncio.timeout(TIMEOUT_S):
            while len(taken) < count:
                taken += [each for each in await self.poll(max_records=1000, wait_s=1) if each.value != but]
        assert count == len(taken)
        return taken


async def wait_assigned(consumer: Consumer, partitions: frozenset[int]) -> None:
    """Poll until exactly these partitions wait to be sought."""
    async with asyncio.timeout(TIMEOUT_S):
        while (polled := await consumer.poll(max_records=1, wait_s=0.05)).assigned != partitions:
            assert {} == polled.records


async def take_share(consumer: Consumer, size: int) -> Polled:
    """Poll until a share of this size is assigned; return it, with everything that was revoked on the way."""
    revoked: frozenset[int] = frozenset()
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            polled = await consumer.poll(max_records=100, wait_s=0.05)
            revoked |= polled.revoked
            if len(polled.assigned) == size:
                return Polled(records={}, assigned=polled.assigned, revoked=revoked)


async def at_the_beginning(log: OpenedLog, topic: str, *, group: str = GROUP) -> Member:
    """Return a member that has all partitions, each at offset 0."""
    member = Member(await log.consume(topic, group=group))
    await wait_assigned(member.consumer, ALL)
    for partition in ALL:
        member.seek(partition, 0)
    return member


async def outcome(log: OpenedLog, new: NewRecord) -> type[BaseException] | None:
    """Append a record; return the kind of error if the log is unavailable."""
    try:
        await log.append([new])
    except LogUnavailable as error:
        return type(error)
    return None


async def until_appended(log: OpenedLog, new: NewRecord) -> None:
    """Append a record again and again, until an outage is over."""
    async with asyncio.timeout(TIMEOUT_S):
        while await outcome(log, new) is not None:  # noqa: ASYNC110 (an outage ends without an event)
            await asyncio.sleep(0.05)
