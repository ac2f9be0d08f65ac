"""The contract of the log, what a group is given: one test per law, for every back end."""

import asyncio
import os
import time

import pytest

from shared.core.errors import LogUnavailable
from shared.eventlog.open import OpenedLog
from shared.eventlog.partition import partition_of
from shared.eventlog.port import PARTITIONS, Polled, Record
from tests.contract.eventlog.words import (
    ALL,
    GROUP,
    Member,
    at_the_beginning,
    grouped,
    numbers_of,
    take_share,
    wait_assigned,
)
from tests.support.event_logs import Backend, record


async def test_nothing_is_handed_out_before_seek(backend: Backend, log: OpenedLog) -> None:
    """A consumer is told again and again what it was assigned, and given nothing, until it seeks."""
    topic = backend.topics.interactions
    await log.append([record(number, topic=topic, key=f"key-{number}") for number in range(50)])
    consumer = await log.consume(topic, group=GROUP)
    await wait_assigned(consumer, ALL)
    for _ in range(3):
        assert Polled(records={}, assigned=ALL) == await consumer.poll(max_records=100, wait_s=0.2)
    consumer.seek(3, 0)
    polled = await consumer.poll(max_records=100, wait_s=0.2)
    assert ALL - {3} == polled.assigned
    assert polled.records.keys() <= {3}


async def test_a_consumer_is_given_everything_once_and_in_order(backend: Backend, log: OpenedLog) -> None:
    """Without failures nothing is missing and nothing comes twice, whether it was there before or came later."""
    topic = backend.topics.interactions
    await log.append([record(number, topic=topic, key=f"key-{number % 20}") for number in range(500)])
    consumer = await at_the_beginning(log, topic)
    taken = await consumer.take(500)
    await log.append([record(number, topic=topic, key=f"key-{number % 20}") for number in range(500, 600)])
    taken += await consumer.take(100)
    assert [] == await consumer.poll(max_records=100, wait_s=0.1)
    assert list(range(600)) == sorted(numbers_of(taken))
    for numbers in grouped(taken).values():
        assert sorted(numbers) == numbers


async def test_a_poll_hands_out_no_more_than_asked_for(backend: Backend, log: OpenedLog) -> None:
    """``max_records`` bounds all partitions together, and no partition is forgotten for it."""
    topic = backend.topics.interactions
    await log.append([record(number, topic=topic, key=f"key-{number}") for number in range(200)])
    consumer = await at_the_beginning(log, topic)
    taken: list[Record] = []
    while len(taken) < 200:
        got = await consumer.poll(max_records=7, wait_s=5)
        assert len(got) <= 7
        taken += got
    assert list(range(200)) == sorted(numbers_of(taken))


async def test_a_waiting_poll_returns_when_a_record_arrives(backend: Backend, log: OpenedLog) -> None:
    """A consumer need not poll often to be quick."""
    topic = backend.topics.interactions
    consumer = await at_the_beginning(log, topic)
    await consumer.poll(max_records=1, wait_s=0.05)
    waiting = asyncio.create_task(consumer.poll(max_records=10, wait_s=30))
    await asyncio.sleep(0.05)
    await backend.open().append([record(1, topic=topic)])
    async with asyncio.timeout(2):
        assert [1] == numbers_of(await waiting)


async def test_a_poll_of_nothing_ends_when_its_time_is_over(backend: Backend, log: OpenedLog) -> None:
    """A poll does not wait longer than it was told to."""
    consumer = await at_the_beginning(log, backend.topics.interactions)
    started = time.monotonic()
    assert [] == await consumer.poll(max_records=1, wait_s=0.2)
    assert 0.15 < time.monotonic() - started < 1.0


async def test_seeking_back_hands_records_out_again(backend: Backend, log: OpenedLog) -> None:
    """Positions are the caller's: an assigned partition can be sought to any offset, any time."""
    topic = backend.topics.interactions
    partition = partition_of("cli_a:om_1", PARTITIONS)
    await log.append([record(number, topic=topic) for number in range(10)])
    consumer = await at_the_beginning(log, topic)
    assert list(range(10)) == numbers_of(await consumer.take(10))
    consumer.seek(partition, 4)
    assert [4, 5, 6, 7, 8, 9] == numbers_of(await consumer.take(6))


async def test_seeking_before_the_oldest_record_starts_there(backend: Backend, log: OpenedLog) -> None:
    """A position that retention has passed is no error: consuming goes on with what is left."""
    topic = backend.topics.interactions
    partition = partition_of("cli_a:om_1", PARTITIONS)
    await log.append([record(number, topic=topic) for number in range(10)])
    await backend.forget(topic, partition, before=6)
    consumer = await at_the_beginning(log, topic)
    assert [6, 7, 8, 9] == numbers_of(await consumer.take(4))


async def test_seeking_to_the_end_hands_out_only_what_comes_later(backend: Backend, log: OpenedLog) -> None:
    """A consumer can begin with the next record."""
    topic = backend.topics.interactions
    await log.append([record(number, topic=topic) for number in range(5)])
    consumer = Member(await log.consume(topic, group=GROUP))
    await wait_assigned(consumer.consumer, ALL)
    for number, span in (await log.spans(topic)).items():
        consumer.seek(number, span.end)
    assert [] == await consumer.poll(max_records=10, wait_s=0.1)
    await log.append([record(5, topic=topic)])
    assert [5] == numbers_of(await consumer.take(1))


async def test_a_consumer_begins_without_a_position(backend: Backend, log: OpenedLog) -> None:
    """The log remembers no positions: the group's next consumer must seek as the first one did."""
    topic = backend.topics.interactions
    await log.append([record(1, topic=topic)])
    first = await at_the_beginning(log, topic)
    await first.take(1)
    await first.close()
    second = await log.consume(topic, group=GROUP)
    await wait_assigned(second, ALL)
    assert Polled(records={}, assigned=ALL) == await second.poll(max_records=1, wait_s=0.1)


async def test_a_closed_consumer_hands_over_at_once(backend: Backend, log: OpenedLog) -> None:
    """Whoever comes next has all partitions within moments, and a closed consumer says that it is closed."""
    topic = backend.topics.interactions
    await log.append([record(number, topic=topic) for number in range(3)])
    first = await at_the_beginning(log, topic)
    await first.close()
    await first.close()
    with pytest.raises(LogUnavailable):
        await first.poll(max_records=1, wait_s=0)
    second = await at_the_beginning(backend.open(), topic)
    assert [0, 1, 2] == numbers_of(await second.take(3))


async def test_groups_do_not_know_of_each_other(backend: Backend, log: OpenedLog) -> None:
    """Each group is given everything."""
    topic = backend.topics.interactions
    await log.append([record(number, topic=topic) for number in range(3)])
    one, other = await at_the_beginning(log, topic), await at_the_beginning(log, topic, group="others")
    assert [0, 1, 2] == numbers_of(await one.take(3)) == numbers_of(await other.take(3))


async def test_seeking_what_is_not_ours_is_ignored(backend: Backend, log: OpenedLog) -> None:
    """A partition that was never told, or lost meanwhile, cannot be sought."""
    topic = backend.topics.interactions
    await log.append([record(1, topic=topic)])
    consumer = await log.consume(topic, group=GROUP)
    consumer.seek(PARTITIONS, 0)
    await wait_assigned(consumer, ALL)


@pytest.mark.features(shares=True)
async def test_two_consumers_share_the_partitions(backend: Backend, log: OpenedLog) -> None:
    """A second consumer takes half; what the first loses it is told; together they are given everything."""
    topic = backend.topics.interactions
    first = await at_the_beginning(log, topic)
    second = Member(await backend.open().consume(topic, group=GROUP))
    shares = await asyncio.gather(take_share(first.consumer, 6), take_share(second.consumer, 6))
    assert ALL == shares[0].assigned | shares[1].assigned
    assert ALL == shares[0].revoked
    await log.append([record(number, topic=topic, key=f"key-{number}") for number in range(100)])
    expected = [sum(partition_of(f"key-{n}", PARTITIONS) in share.assigned for n in range(100)) for share in shares]
    for member, share in zip((first, second), shares, strict=True):
        for partition in share.assigned:
            member.seek(partition, 0)
    taken = await asyncio.gather(first.take(expected[0]), second.take(expected[1]))
    assert list(range(100)) == sorted(numbers_of([*taken[0], *taken[1]]))


@pytest.mark.features(shares=True)
async def test_a_consumer_that_leaves_gives_its_share_back(backend: Backend, log: OpenedLog) -> None:
    """The partitions of a closed consumer go to those that stay, to be sought anew."""
    topic = backend.topics.interactions
    first = await at_the_beginning(log, topic)
    second = await backend.open().consume(topic, group=GROUP)
    await asyncio.gather(take_share(first.consumer, 6), take_share(second, 6))
    await second.close()
    assert ALL == (await take_share(first.consumer, PARTITIONS)).assigned


@pytest.mark.features(shares=False)
async def test_where_partitions_are_not_shared_a_second_consumer_is_refused(backend: Backend, log: OpenedLog) -> None:
    """The refusal names who reads already and what to do, and the first consumer goes on."""
    topic = backend.topics.interactions
    first = await at_the_beginning(log, topic)
    with pytest.raises(LogUnavailable, match=rf"process {os.getpid()}\).*one worker at a time.*kafka://"):
        await backend.open().consume(topic, group=GROUP)
    await log.append([record(1, topic=topic)])
    assert [1] == numbers_of(await first.take(1))
