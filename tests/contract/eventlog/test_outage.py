"""The contract of the log, outages, crashes and closing: one test per law, for every back end."""

import asyncio
import signal
import sys
import time

import pytest

from shared.core.errors import LogUnavailable
from shared.eventlog.open import OpenedLog
from tests.contract.eventlog.words import (
    at_the_beginning,
    by_key,
    everything,
    numbers_of,
    outcome,
    until_appended,
)
from tests.support.event_logs import APPEND_TIMEOUT_S, Backend, record


@pytest.mark.outage
async def test_an_append_that_cannot_be_acknowledged_raises_in_time(backend: Backend, log: OpenedLog) -> None:
    """During an outage a caller waits no longer than the append's time-out; afterwards appending works again."""
    topic = backend.topics.interactions
    await log.append([record(0, topic=topic)])
    async with backend.outage():
        started = time.monotonic()
        results = await asyncio.gather(*[outcome(log, record(n, topic=topic)) for n in (1, 2, 3)])
        assert [LogUnavailable] * 3 == results
        assert time.monotonic() - started < APPEND_TIMEOUT_S + 0.3
    await until_appended(log, record(4, topic=topic))
    numbers = numbers_of(await everything(log, topic))
    assert {0, 4} <= set(numbers)


@pytest.mark.outage
async def test_readiness_follows_an_outage(backend: Backend, log: OpenedLog) -> None:
    """A log is ready when an append would be taken, and says within a second that it is not."""
    assert await log.ready()
    async with backend.outage():
        started = time.monotonic()
        assert not await log.ready()
        assert time.monotonic() - started < 1.0
    await until_appended(log, record(1, topic=backend.topics.interactions))
    assert await log.ready()


@pytest.mark.outage
async def test_a_consumer_outlasts_an_outage(backend: Backend, log: OpenedLog) -> None:
    """During an outage nothing arrives, which is no error; afterwards everything does, once."""
    topic = backend.topics.interactions
    await log.append([record(0, topic=topic)])
    consumer = await at_the_beginning(log, topic)
    assert [0] == numbers_of(await consumer.take(1))
    async with backend.outage():
        assert [] == await consumer.poll(max_records=1, wait_s=0.3)
    await until_appended(log, record(1, topic=topic))
    assert [1] == numbers_of(await consumer.take(1))


@pytest.mark.outage
async def test_closing_during_an_outage_does_not_hang(backend: Backend, log: OpenedLog) -> None:
    """A consumer, and a log with an append under way, are closed within seconds and without an error."""
    topic = backend.topics.interactions
    consumer = await at_the_beginning(log, topic)
    async with backend.outage():
        waiting = asyncio.create_task(outcome(log, record(1, topic=topic)))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            await consumer.close()
            await log.close()
            await waiting


async def test_closing_finishes_what_is_under_way(backend: Backend, log: OpenedLog) -> None:
    """An append that began before `close` is durable; one that begins later is refused; closing twice is fine."""
    topic = backend.topics.interactions
    appends = [asyncio.create_task(log.append([record(n, topic=topic, key=f"key-{n}")])) for n in range(20)]
    await asyncio.sleep(0)
    if backend.features.outlives_processes:
        await log.close()
        await log.close()
        with pytest.raises(LogUnavailable):
            await log.append([record(99, topic=topic)])
    await asyncio.gather(*appends)
    assert list(range(20)) == sorted(numbers_of(await everything(backend.open(), topic)))


@pytest.mark.features(outlives_processes=True)
async def test_a_killed_process_loses_nothing_that_was_acknowledged(backend: Backend, log: OpenedLog) -> None:
    """A writer is killed in the middle of its work: what it heard of as durable is there, in order."""
    topic = backend.topics.interactions
    prefix = topic.removesuffix("lark.card.interactions.v1")
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.appender", backend.url, prefix, stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    printed = [int(await writer.stdout.readline()) for _ in range(200)]
    writer.send_signal(signal.SIGKILL)
    printed += [int(line) for line in (await writer.stdout.read()).splitlines(keepends=True) if line.endswith(b"\n")]
    await writer.wait()
    acknowledged = set(printed)
    found = [number for numbers in (await by_key(log, topic)).values() for number in numbers if number in acknowledged]
    assert sorted(printed) == sorted(found)
    for first in range(4):
        of_one_key = [number for number in found if number % 4 == first]
        assert sorted(of_one_key) == of_one_key
    await log.append([record(0, topic=topic, key="after")])
