"""What only Kafka can do to a log, on a real broker."""

import asyncio
import gc
import time
import warnings
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from shared.core.errors import LogUnavailable, RecordRefused
from shared.eventlog.kafka.log import KafkaLog
from shared.eventlog.kafka.options import KafkaOptions
from tests.contract.eventlog.words import at_the_beginning, by_key, everything, numbers_of, outcome, until_appended
from tests.support.event_logs import KafkaBackend, record
from tests.support.kafka import KafkaBroker, free_ports

pytestmark = pytest.mark.kafka

SMALL = KafkaOptions(max_record_bytes=5_000)
PATIENT = KafkaOptions(append_timeout_s=20, request_timeout_ms=19_000)
"""Where what is asked for is no matter of time, and the machine may be busy."""


@pytest.fixture
async def cluster(kafka: str) -> AsyncIterator[KafkaBackend]:
    """A prefix of this test's own on the shared broker."""
    backend = KafkaBackend(kafka)
    yield backend
    await backend.close()


@pytest.fixture
async def breakable(kafka_broker: KafkaBroker) -> AsyncIterator[KafkaBackend]:
    """A prefix of this test's own on a broker that may be broken."""
    backend = KafkaBackend(kafka_broker.bootstrap, kafka_broker)
    yield backend
    await backend.close()


async def test_a_record_that_the_broker_refuses_takes_no_other_with_it(cluster: KafkaBackend) -> None:
    """Brokers refuse whole batches; only the callers of the records to blame are told, the others' are appended."""
    topic = cluster.topics.interactions
    await cluster.open(SMALL).create([topic])
    log = cluster.open(PATIENT)  # which would let records of a megabyte through
    values = {number: b"x" * 20_000 if number % 9 == 4 else b"%d" % number for number in range(60)}
    new = [record(number, topic=topic, value=value) for number, value in values.items()]
    results = await asyncio.gather(*[log.append([each]) for each in new], return_exceptions=True)
    refused = [number for number, result in enumerate(results) if isinstance(result, RecordRefused)]
    assert list(range(4, 60, 9)) == refused
    assert [None] * (60 - len(refused)) == [result for result in results if not isinstance(result, RecordRefused)]
    assert [number for number in range(60) if number % 9 != 4] == numbers_of(await everything(log, topic))
    await log.append([record(60, topic=topic)])


async def test_a_clock_that_is_hours_ahead_is_no_reason_to_refuse(cluster: KafkaBackend) -> None:
    """Events carry the platform's time, right or wrong; it decides neither refusal nor retention."""
    topic = cluster.topics.interactions
    log = cluster.open()
    await log.create([topic])
    for number in (-1_790_000_000_000, int(time.time() * 1000) - 1_790_000_000_000 + 7_200_000):
        await log.append([record(number, topic=topic, value=b"0")])
    for found in await everything(log, topic):
        assert abs(found.timestamp - time.time() * 1000) < 60_000


async def test_a_topic_made_otherwise_is_described(cluster: KafkaBackend) -> None:
    """`topics check` names what differs from what Cardwire needs, by Kafka's own names."""
    topic = cluster.topics.interactions
    other = KafkaLog(cluster.bootstrap, options=SMALL, partitions=3)
    await other.create([topic])
    await other.close()
    assert [f"{topic}: 3 partitions, expected 12", f"{topic}: max.message.bytes=15000, expected 1010000"] == list(
        await cluster.open().differences([topic])
    )


async def test_a_position_beyond_the_end_breaks_the_consumer(cluster: KafkaBackend) -> None:
    """A topic that has lost records, or was made anew, is not read from its beginning as if nothing had happened."""
    topic = cluster.topics.interactions
    log = cluster.open()
    await log.create([topic])
    consumer = (await at_the_beginning(log, topic)).consumer
    consumer.seek(3, 1_000)
    with pytest.raises(LogUnavailable, match="partition 3: offset 1000 lies beyond the end"):
        await consumer.poll(max_records=1, wait_s=20)


async def test_brokers_that_are_not_there_are_told_at_once(cluster: KafkaBackend) -> None:
    """With nobody at the address everything raises in time, names it, and closes."""
    log = KafkaLog(f"127.0.0.1:{free_ports(1)[0]}")
    topic = cluster.topics.interactions
    started = time.monotonic()
    for asked in (log.append([record(1)]), log.spans(topic), log.consume(topic, group="g"), log.create([topic])):
        with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1"):
            await asked
    assert not await log.ready()
    await log.close()
    assert time.monotonic() - started < 5


async def test_appends_under_load_outlast_a_restart_in_order(
    breakable: KafkaBackend, kafka_broker: KafkaBroker
) -> None:
    """While the broker restarts some appends raise; what was acknowledged is there, and each key's is in its order."""
    topic = breakable.topics.interactions
    log = breakable.open()
    await log.create([topic])
    acknowledged: set[int] = set()
    running = True

    async def append_in_turn(first: int) -> None:
        for number in range(first, 1_000_000, 8):
            if not running:
                return
            if await outcome(log, record(number, topic=topic, key=f"key-{first}")) is None:
                acknowledged.add(number)
            else:
                await asyncio.sleep(0.05)

    appending = [asyncio.create_task(append_in_turn(first)) for first in range(8)]
    await asyncio.to_thread(kafka_broker.restart)
    await until_appended(log, record(0, topic=topic, key="after"))
    running = False
    await asyncio.gather(*appending)
    found = await by_key(log, topic)
    assert acknowledged <= {number for numbers in found.values() for number in numbers}
    for numbers in found.values():
        told = [number for number in numbers if number in acknowledged]
        assert all(earlier < later for earlier, later in pairwise(dict.fromkeys(told)))


async def test_a_killed_broker_loses_nothing_that_was_acknowledged(
    breakable: KafkaBackend, kafka_broker: KafkaBroker
) -> None:
    """The broker is killed and comes back: acknowledged records are there, and log and consumer go on as they are."""
    topic = breakable.topics.interactions
    log = breakable.open()
    await log.create([topic])
    consumer = await at_the_beginning(log, topic)
    await log.append([record(number, topic=topic, key=f"key-{number}") for number in range(100)])
    assert set(range(100)) == set(numbers_of(await consumer.take(100)))
    await asyncio.to_thread(kafka_broker.kill)
    assert LogUnavailable is await outcome(log, record(100, topic=topic))
    await asyncio.to_thread(kafka_broker.start)
    await until_appended(log, record(101, topic=topic))
    assert set(range(100)) | {101} <= set(numbers_of(await everything(log, topic)))
    assert set(numbers_of(await consumer.poll(max_records=10, wait_s=20))) <= {100, 101}


async def test_a_caller_that_gives_up_disturbs_nobody(cluster: KafkaBackend) -> None:
    """A cancelled append may be in the log or not; appends beside and after it are as ever."""
    topic = cluster.topics.interactions
    log = cluster.open()
    await log.create([topic])
    await log.append([record(0, topic=topic)])
    given_up = asyncio.create_task(log.append([record(1, topic=topic)]))
    beside = asyncio.create_task(log.append([record(2, topic=topic)]))
    await asyncio.sleep(0)
    given_up.cancel()
    await beside
    await log.append([record(3, topic=topic)])
    assert {0, 2, 3} <= set(numbers_of(await everything(log, topic)))


@pytest.mark.outage
async def test_a_client_that_is_thrown_away_while_it_connects_leaves_no_connection(breakable: KafkaBackend) -> None:
    """The broker lets in late who asked whether it is there; by then nobody uses that client any more."""
    log = breakable.open()
    assert isinstance(log, KafkaLog)
    await log.create([breakable.topics.interactions])
    assert await log.ready()
    producing = log._producing  # noqa: SLF001
    assert producing is not None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for connection in [*producing.client._conns.values()]:  # noqa: SLF001
            await connection.close()
        async with breakable.outage():
            asking = asyncio.create_task(log.ready())
            await asyncio.sleep(0.1)
            producing.fail(TimeoutError())
            await asyncio.sleep(0.2)
        await asking
        del producing, connection
        gc.collect()
    assert [] == [str(warning.message) for warning in told if issubclass(warning.category, ResourceWarning)]
    assert await log.ready()
