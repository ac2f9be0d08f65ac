"""The contract of the log, what is appended and read: one test per law, for every back end."""

import asyncio
import time

from shared.eventlog.open import OpenedLog
from shared.eventlog.partition import partition_of
from shared.eventlog.port import PARTITIONS, Record, Span
from tests.contract.eventlog.words import (
    at_the_beginning,
    by_key,
    everything,
    numbers_of,
)
from tests.support.event_logs import FILLER, Backend, record


async def test_an_appended_record_is_read_back_as_it_was(backend: Backend, log: OpenedLog) -> None:
    """Key, value, and headers in their order with duplicates and empty ones come back unchanged."""
    headers = (("ce_id", b"1"), ("twice", b"a"), ("twice", b"\x00\xff"), ("empty", b""))
    new = record(7, topic=backend.topics.interactions, key="cli_a:键", value=b"\x00{\xff}", headers=headers)
    await log.append([new])
    partition = partition_of("cli_a:键", PARTITIONS)
    (found,) = await log.read(new.topic, partition, 0, limit=10)
    expected = Record(
        topic=new.topic,
        partition=partition,
        offset=0,
        key=new.key,
        value=new.value,
        headers=headers,
        timestamp=found.timestamp,
    )
    assert expected == found
    assert found.timestamp == new.timestamp or abs(found.timestamp - time.time() * 1000) < 60_000


async def test_an_empty_value_is_a_value(backend: Backend, log: OpenedLog) -> None:
    """A record may have an empty value and no headers."""
    await log.append([record(0, topic=backend.topics.interactions, value=b"")])
    assert [b""] == [each.value for each in await everything(log, backend.topics.interactions)]


async def test_records_of_one_key_keep_the_order_of_their_calls(backend: Backend, log: OpenedLog) -> None:
    """What a later call appends under a key comes after what an earlier call appended."""
    topic = backend.topics.interactions
    for first in range(0, 60, 20):
        await log.append([record(number, topic=topic, key=f"key-{number % 3}") for number in range(first, first + 20)])
    for key, numbers in (await by_key(log, topic)).items():
        assert sorted(numbers) == numbers, key
        assert 20 == len(numbers)


async def test_one_key_is_one_partition_and_the_same_one_in_every_back_end(backend: Backend, log: OpenedLog) -> None:
    """Records lie where Kafka's default partitioner puts their keys."""
    topic = backend.topics.interactions
    keys = [f"cli_a:om_{number}" for number in range(200)]
    await log.append([record(number, topic=topic, key=key) for number, key in enumerate(keys)])
    assert {key: partition_of(key, PARTITIONS) for key in keys} == {
        each.key: each.partition for each in await everything(log, topic)
    }


async def test_one_call_may_append_to_several_topics(backend: Backend, log: OpenedLog) -> None:
    """Each record goes to the topic that it names."""
    one, other = backend.topics.interactions, backend.topics.outcomes
    await log.create([other])
    await log.append([record(number, topic=topic) for number in range(4) for topic in (one, other)])
    assert [0, 1, 2, 3] == numbers_of(await everything(log, one))
    assert [0, 1, 2, 3] == numbers_of(await everything(log, other))


async def test_appending_nothing_is_fine(backend: Backend, log: OpenedLog) -> None:
    """No records are durable at once."""
    await log.append([])
    assert [] == await everything(log, backend.topics.interactions)


async def test_a_large_call_is_taken_whole_and_in_order(backend: Backend, log: OpenedLog) -> None:
    """Three thousand records of a kilobyte in one call arrive once each, in order per key."""
    topic = backend.topics.interactions
    padding = b"x" * 1000
    await log.append(
        [record(number, topic=topic, key=f"key-{number % 7}", headers=[("padding", padding)]) for number in range(3000)]
    )
    assert {f"key-{first}": list(range(first, 3000, 7)) for first in range(7)} == await by_key(log, topic)


async def test_concurrent_appends_lose_and_repeat_nothing(backend: Backend, log: OpenedLog) -> None:
    """Forty tasks append at once; every record is there once, and each task's own are in its order."""
    topic = backend.topics.interactions

    async def append_in_turn(task: int) -> None:
        for turn in range(10):
            await log.append([record(turn, topic=topic, key=f"task-{task}")])

    await asyncio.gather(*[append_in_turn(task) for task in range(40)])
    assert {f"task-{task}": list(range(10)) for task in range(40)} == await by_key(log, topic)


async def test_what_one_process_appends_another_reads(backend: Backend, log: OpenedLog) -> None:
    """A second log on the same storage sees the records of a returned append."""
    topic = backend.topics.interactions
    await log.append([record(1, topic=topic)])
    assert [1] == numbers_of(await everything(backend.open(), topic))


async def test_two_processes_may_append_at_the_same_time(backend: Backend, log: OpenedLog) -> None:
    """Offsets are given once, whoever appends."""
    topic = backend.topics.interactions
    logs = (log, backend.open())

    async def append_in_turn(which: int) -> None:
        for turn in range(20):
            await logs[which].append([record(turn, topic=topic, key=f"process-{which}-{turn % 2}")])

    await asyncio.gather(append_in_turn(0), append_in_turn(1))
    found = await everything(log, topic)
    assert 40 == len(found) == len({(each.partition, each.offset) for each in found})
    assert list(range(0, 20, 2)) == (await by_key(log, topic))["process-1-0"]


async def test_spans_tell_what_each_partition_holds(backend: Backend, log: OpenedLog) -> None:
    """A span begins at the oldest record and ends behind the newest; a fresh partition holds nothing."""
    topic = backend.topics.interactions
    used = partition_of("cli_a:om_1", PARTITIONS)
    await log.append([record(number, topic=topic) for number in range(5)])
    expected = {number: Span(begin=0, end=5 if number == used else 0) for number in range(PARTITIONS)}
    assert expected == await log.spans(topic)


async def test_a_topic_that_is_not_there_holds_nothing(backend: Backend, log: OpenedLog) -> None:
    """Asking for a missing topic answers at once, with nothing, and does not make it."""
    assert {} == await log.spans("nobody.made.this")
    assert [] == list(await log.read("nobody.made.this", 0, 0, limit=1))
    assert {} == await log.spans("nobody.made.this")


async def test_reading_begins_at_an_offset_and_ends_at_the_limit(backend: Backend, log: OpenedLog) -> None:
    """A part of a partition can be read; at its end there are fewer records than asked for."""
    topic = backend.topics.interactions
    partition = partition_of("cli_a:om_1", PARTITIONS)
    await log.append([record(number, topic=topic) for number in range(10)])
    assert [3, 4, 5] == numbers_of(await log.read(topic, partition, 3, limit=3))
    assert [6, 7, 8, 9] == numbers_of(await log.read(topic, partition, 6, limit=100))
    assert [9] == numbers_of(await log.read(topic, partition, 9, limit=1))
    assert [] == numbers_of(await log.read(topic, partition, 10, limit=1))
    assert [] == numbers_of(await log.read(topic, partition, 99, limit=1))


async def test_reading_before_the_oldest_record_begins_there(backend: Backend, log: OpenedLog) -> None:
    """Where retention has passed, reading starts at what is left, and the span says so."""
    topic = backend.topics.interactions
    partition = partition_of("cli_a:om_1", PARTITIONS)
    await log.append([record(number, topic=topic) for number in range(10)])
    await backend.forget(topic, partition, before=6)
    assert Span(begin=6, end=10) == (await log.spans(topic))[partition]
    assert [6, 7] == numbers_of(await log.read(topic, partition, 0, limit=2))


async def test_offsets_go_on_when_every_record_is_gone(backend: Backend, log: OpenedLog) -> None:
    """A partition that retention has emptied does not begin at 0 again."""
    topic = backend.topics.interactions
    partition = partition_of("cli_a:om_1", PARTITIONS)
    await log.append([record(number, topic=topic) for number in range(3)])
    await backend.forget(topic, partition, before=3)
    assert Span(begin=3, end=3) == (await log.spans(topic))[partition]
    await backend.open().append([record(3, topic=topic)])
    assert [3] == [each.offset for each in await log.read(topic, partition, 0, limit=9)]


async def test_a_gap_between_offsets_is_no_end(backend: Backend, log: OpenedLog) -> None:
    """Reading and consuming go on behind an offset that no record has."""
    topic = backend.topics.interactions
    partition = partition_of("cli_a:om_1", PARTITIONS)
    await log.append([record(0, topic=topic)])
    await backend.gap(topic, partition)
    await log.append([record(1, topic=topic)])
    first, last = [each for each in await log.read(topic, partition, 0, limit=9) if each.value != FILLER]
    assert (b"0", b"1") == (first.value, last.value)
    assert last.offset > first.offset + 1
    consumer = await at_the_beginning(log, topic)
    assert [0, 1] == numbers_of(await consumer.take(2, but=FILLER))
