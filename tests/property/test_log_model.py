"""The logs against a model: lists of records, cut at the front by retention."""

import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.eventlog.partition import partition_of
from shared.eventlog.port import PARTITIONS, Consumer, Span
from tests.support.event_logs import Backend, MemoryBackend, SqliteBackend, record

KEYS = [f"key-{number}" for number in range(5)]


class _Log(RuleBasedStateMachine):
    """Appends, retention, reads and consuming in any order; nothing may be lost, repeated or reordered."""

    backend: Backend

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.backend = self.make(Path(self.folder.name))
        self.topic = self.backend.topics.interactions
        self.log = self.backend.open()
        self.kept: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self.ends: defaultdict[int, int] = defaultdict(int)
        self.number = 0
        self.consumer: Consumer | None = None
        self.positions: dict[int, int] = {}
        self.runner.run(self.log.create([self.topic]))

    def make(self, folder: Path) -> Backend:
        raise NotImplementedError

    def teardown(self) -> None:
        self.runner.run(self.backend.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(keys=st.lists(st.sampled_from(KEYS), max_size=6))
    def append(self, keys: list[str]) -> None:
        """Append one call's records."""
        new = [record(self.number + index, topic=self.topic, key=key) for index, key in enumerate(keys)]
        self.runner.run(self.log.append(new))
        for each in new:
            partition = partition_of(each.key, PARTITIONS)
            self.kept[partition][self.ends[partition]] = int(each.value)
            self.ends[partition] += 1
        self.number += len(new)

    @rule(key=st.sampled_from(KEYS), share=st.floats(0, 1))
    def forget(self, key: str, share: float) -> None:
        """Drop a part of a partition, from its front."""
        partition = partition_of(key, PARTITIONS)
        before = round(self.ends[partition] * share)
        self.runner.run(self.backend.forget(self.topic, partition, before=before))
        self.kept[partition] = {at: number for at, number in self.kept[partition].items() if at >= before}

    @rule(key=st.sampled_from(KEYS), offset=st.integers(0, 30), limit=st.integers(1, 9))
    def read(self, key: str, offset: int, limit: int) -> None:
        """Read a part of a partition."""
        partition = partition_of(key, PARTITIONS)
        expected = [(at, number) for at, number in self.kept[partition].items() if at >= offset][:limit]
        found = self.runner.run(self.log.read(self.topic, partition, offset, limit=limit))
        assert expected == [(each.offset, int(each.value)) for each in found]

    @rule(limit=st.integers(1, 40))
    def consume(self, limit: int) -> None:
        """Poll once; what comes is what follows the positions."""
        for partition, numbers in self.runner.run(self._poll(limit)).items():
            start = self.positions.get(partition, 0)
            expected = [(at, number) for at, number in self.kept[partition].items() if at >= start][: len(numbers)]
            assert expected == numbers
            self.positions[partition] = numbers[-1][0] + 1

    @rule(key=st.sampled_from(KEYS), offset=st.integers(0, 30))
    def seek(self, key: str, offset: int) -> None:
        """Go back, or forward, in a partition."""
        if self.consumer is not None:
            self.positions[partition_of(key, PARTITIONS)] = offset
            self.consumer.seek(partition_of(key, PARTITIONS), offset)

    @invariant()
    def spans_tell_what_is_kept(self) -> None:
        """Spans are those of the model."""
        expected = {
            number: Span(begin=min(self.kept[number], default=self.ends[number]), end=self.ends[number])
            for number in range(PARTITIONS)
        }
        assert expected == self.runner.run(self.log.spans(self.topic))

    async def _poll(self, limit: int) -> dict[int, list[tuple[int, int]]]:
        if self.consumer is None:
            self.consumer = await self.log.consume(self.topic, group="g")
            for partition in (await self.consumer.poll(max_records=1, wait_s=0)).assigned:
                self.consumer.seek(partition, 0)
        polled = await self.consumer.poll(max_records=limit, wait_s=0)
        assert sum(map(len, polled.records.values())) <= limit
        return {number: [(each.offset, int(each.value)) for each in batch] for number, batch in polled.records.items()}


class _MemoryLog(_Log):
    def make(self, folder: Path) -> Backend:
        return MemoryBackend()


class _SqliteLog(_Log):
    def make(self, folder: Path) -> Backend:
        return SqliteBackend(folder)


TestMemoryLog = _MemoryLog.TestCase
TestMemoryLog.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestSqliteLog = _SqliteLog.TestCase
TestSqliteLog.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
