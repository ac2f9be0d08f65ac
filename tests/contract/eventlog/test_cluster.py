"""What three copies are for: one broker of three may be lost at any time."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from tests.contract.eventlog.words import by_key, outcome
from tests.support.event_logs import APPEND_TIMEOUT_S, KafkaBackend, record
from tests.support.kafka import KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

KEYS = 16
BACK_S = 15.0
PAUSE_S = 0.02


@pytest.fixture
async def cluster(kafka_cluster: KafkaCluster) -> AsyncIterator[KafkaBackend]:
    """A prefix of this test's own on three brokers."""
    found = KafkaBackend(kafka_cluster.bootstrap)
    yield found
    await found.close()


class Appending:
    """
    Appends one record after the other for each of some keys, and keeps account.

    Attributes:
        acknowledged: The numbers of records that the log took.
        longest_s: What the longest append took.
    """

    def __init__(self, backend: KafkaBackend) -> None:
        self.acknowledged: set[int] = set()
        self.longest_s = 0.0
        self._log, self._topic = backend.open(), backend.topics.interactions
        self._last: dict[int, bool] = {}
        self._tasks = [asyncio.create_task(self._go_on(first)) for first in range(KEYS)]

    async def until_all_succeed(self) -> None:
        """Return when, from now on, an append has succeeded for every key after which none failed."""
        self._last.clear()
        while len(self._last) < KEYS or not all(self._last.values()):  # noqa: ASYNC110 (others append)
            await asyncio.sleep(PAUSE_S)

    async def stop(self) -> None:
        """Finish what is under way."""
        tasks, self._tasks = self._tasks, []
        await asyncio.gather(*tasks)

    async def _go_on(self, first: int) -> None:
        number = first
        while self._tasks:
            began = time.monotonic()
            new = record(number, topic=self._topic, key=f"key-{first}")
            taken = await outcome(self._log, new) is None
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            self._last[first] = taken
            if taken:
                self.acknowledged.add(number)
            number += KEYS
            await asyncio.sleep(PAUSE_S)


async def test_one_of_three_brokers_is_killed_under_appends(cluster: KafkaBackend, kafka_cluster: KafkaCluster) -> None:
    """Every append is answered in time, what was acknowledged is there in order, and soon all succeed again."""
    topic, log = cluster.topics.interactions, cluster.open()
    await log.create([topic])
    appending = Appending(cluster)
    await appending.until_all_succeed()
    await asyncio.to_thread(kafka_cluster.brokers[0].kill)
    before = len(appending.acknowledged)
    async with asyncio.timeout(BACK_S):
        await appending.until_all_succeed()
    await appending.stop()
    assert len(appending.acknowledged) > before
    assert appending.longest_s < APPEND_TIMEOUT_S + 0.5
    found = await by_key(log, topic)
    assert appending.acknowledged <= {number for numbers in found.values() for number in numbers}
    for numbers in found.values():
        told = [number for number in dict.fromkeys(numbers) if number in appending.acknowledged]
        assert all(earlier < later for earlier, later in pairwise(told))


async def test_topics_have_three_copies_where_there_are_three_brokers(
    cluster: KafkaBackend, kafka_cluster: KafkaCluster
) -> None:
    """Nothing has to be told for it; two copies must have a record before it counts."""
    topic = cluster.topics.interactions
    log = cluster.open()
    await log.create([topic])
    assert [] == list(await log.differences([topic]))
