import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.spill.folder import SpillFolder
from gateway.spill.forward import MOST
from gateway.spill.rejected import MOST_WAITING, Rejected
from gateway.spill.spill import Spill
from gateway.spill.spilled import Spilled
from shared.clock import SystemClock
from shared.core.errors import LogUnavailable, RecordRefused
from shared.eventlog.port import NewRecord, Topics
from shared.eventlog.sqlite.file import Disk
from shared.eventlog.sqlite.log import SqliteLog
from shared.observability.metrics import GATEWAY_METRICS, SPILLED, Metrics
from tests.support.spilling import ROOMY, TOPIC, UnreliableLog, Way, a_way, everything_in, row, spills_in, until

PLENTY = 1 << 30
LITTLE = 1 << 20
"""Less than is to be left free, but enough to delete."""


@dataclass(kw_only=True)
class FillingDisk:
    """A disk of which a test says how much is free."""

    free: int = PLENTY

    def disk(self) -> Disk:
        """Return it as a log takes it."""
        return Disk(free=lambda: self.free)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@asynccontextmanager
async def left_behind(folder: Path, values: Sequence[bytes]) -> AsyncIterator[Path]:
    """Leave a spill as a crashed gateway does, and give its file."""
    claim = SpillFolder(folder).claim_new(SystemClock())
    spill = Spill(claim, ROOMY, clock=SystemClock())
    await spill.open()
    await spill.append([row(value) for value in values], within_s=2)
    await spill.close()
    yield claim.path


async def _told(way: Way, count: int, *, size: int = 5) -> list[bool]:
    """Say of so many records, one after the other, whether each was taken."""
    told = []
    for n in range(count):
        (error,) = await asyncio.gather(way.append((b"%06d" % n).ljust(size, b"x")), return_exceptions=True)
        assert error is None or isinstance(error, LogUnavailable)
        told.append(error is None)
    return told


async def test_a_gateway_that_starts_on_a_full_disk_outlives_an_outage(tmp_path: Path) -> None:
    """Meanwhile it is honest and not ready; afterwards nobody needs its spill, and when there is room it has one."""
    log, disk = UnreliableLog(), FillingDisk(free=0)
    async with a_way(log, tmp_path, disk=disk.disk()) as way:
        assert [True] == await _told(way, 1)
        log.mood = "away"
        assert [False] * 3 == await _told(way, 3)
        assert not await way.appender.is_ready()
        log.mood = "well"
        await way.closed()
        assert [True] == await _told(way, 1)
        assert await way.appender.is_ready()
        log.mood = "away"
        assert [False] == await _told(way, 1)
        disk.free = PLENTY
        assert [True] * 3 == await _told(way, 3)
        log.mood = "well"
        await way.closed()
    assert 5 == len(await log.values())
    assert [] == everything_in(tmp_path)


async def test_a_gateway_that_ends_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """Neither the file that it could not make, nor one that is drained."""
    log, disk = UnreliableLog(), FillingDisk(free=0)
    async with a_way(log, tmp_path, disk=disk.disk()):
        pass
    assert [] == everything_in(tmp_path)
    disk.free = PLENTY
    async with a_way(log, tmp_path, disk=disk.disk()) as way:
        log.mood = "away"
        assert [True] == await _told(way, 1)
        disk.free = 0
        log.mood = "well"
        await way.closed()
    assert [] == everything_in(tmp_path)


async def test_what_a_crashed_gateway_left_on_a_full_disk_is_forwarded_once(tmp_path: Path) -> None:
    """Its file is deleted as a whole, though nothing can be deleted from it; clicks go to the log meanwhile."""
    log, disk = UnreliableLog(), FillingDisk(free=0)
    values = [b"%d" % n for n in range(1_200)]
    async with left_behind(tmp_path, values) as orphan, a_way(log, tmp_path, disk=disk.disk()) as way:
        assert [True] == await _told(way, 1)
        await until(lambda: not list(tmp_path.glob(f"{orphan.name}*")))
        assert not way.detour.is_open
        assert 1_200 == way.metrics.value(SPILLED, "forwarded")
    assert {1} == set(Counter(await log.values()).values())
    assert 1_201 == len(await log.values())
    assert [] == everything_in(tmp_path)


async def test_a_file_that_cannot_be_read_on_is_not_forwarded_again_from_its_beginning(tmp_path: Path) -> None:
    """While nothing can be deleted from it, how far we got is known to us alone: it is not let go of."""
    log, disk = UnreliableLog(), FillingDisk(free=0)
    values = [b"%d" % n for n in range(4 * MOST + 50)]
    async with left_behind(tmp_path, values) as orphan:
        stranger = SqliteLog(orphan, topics=Topics(interactions="spill"), partitions=1)
        await stranger.append([NewRecord(topic="spill", key="k", value=b"no gateway's", headers=(), timestamp=0)])
        await stranger.close()
        async with a_way(log, tmp_path, disk=disk.disk()) as way:
            await until(lambda: way.metrics.value(SPILLED, "forwarded") == 4 * MOST)
            await asyncio.sleep(0.5)  # two looks
            assert 4 * MOST == way.metrics.value(SPILLED, "forwarded")
    assert values[: 4 * MOST] == await log.values()
    assert [orphan] == spills_in(tmp_path)


async def test_a_spill_that_filled_its_disk_takes_clicks_while_it_is_drained(tmp_path: Path) -> None:
    """Some room is left free, so that what is forwarded can be deleted: what a file has held it can hold again."""
    log, disk = UnreliableLog("away"), FillingDisk()
    async with a_way(log, tmp_path, disk=disk.disk()) as way:
        assert [True] * 30 == await _told(way, 30, size=2_000)
        disk.free = LITTLE
        assert [False] == await _told(way, 1, size=2_000)
        assert not await way.appender.is_ready()
        (*first, _) = await way.spill.head(10)
        await way.spill.forwarded(first)
        assert [True] * 9 == await _told(way, 9, size=2_000)
        assert [False] == await _told(way, 1, size=2_000)
        log.mood = "well"
        await way.closed()


async def test_a_drained_file_on_a_full_disk_gives_way_to_a_new_one(tmp_path: Path) -> None:
    """So that the next outage finds as much room as this one did."""
    log, disk = UnreliableLog("away"), FillingDisk()
    async with a_way(log, tmp_path, disk=disk.disk()) as way:
        for _ in range(2):
            assert [True] * 20 == await _told(way, 20)
            assert 1 == len(spills_in(tmp_path))
            disk.free = 0
            log.mood = "well"
            await way.closed()
            assert [] == spills_in(tmp_path)
            disk.free = PLENTY
            log.mood = "away"
        assert [True] == await _told(way, 1)
        log.mood = "well"
        await way.closed()
    assert 41 == len(await log.values())


async def test_files_that_cannot_grow_are_as_good_as_a_full_disk(tmp_path: Path) -> None:
    """SQLite itself meets the limit, in its write-ahead log: each outage is taken as far as there is room."""
    log = UnreliableLog("away")
    with files_of_at_most(400_000):
        async with a_way(log, tmp_path) as way:
            taken = []
            for _ in range(3):
                told = await _told(way, 40, size=20_000)
                assert told == sorted(told, reverse=True)
                taken.append(sum(told))
                log.mood = "well"
                await way.closed()
                log.mood = "away"
            assert [taken[0]] * 3 == taken
            assert 5 < taken[0] < 40
    assert sum(taken) == len(await log.values())
    assert [] == everything_in(tmp_path)


class Particular(UnreliableLog):
    """A log whose brokers take no record with ``bad`` in it."""

    async def append(self, records: Sequence[NewRecord]) -> None:
        if any(b"bad" in record.value for record in records):
            raise RecordRefused("too large for the topic")
        await super().append(records)


async def test_what_is_refused_for_good_waits_for_room_and_blocks_nothing(tmp_path: Path) -> None:
    """The file that it lies in is what fills the disk: it is drained and deleted, then there is room to park."""
    log, disk = Particular(), FillingDisk(free=0)
    async with left_behind(tmp_path, [b"1", b"bad", b"2"]) as orphan, a_way(log, tmp_path, disk=disk.disk()):
        await until(lambda: not orphan.exists())
        disk.free = PLENTY
        await until(lambda: _parked(tmp_path, 1))
    assert [b"1", b"2"] == await log.values()


async def test_what_waits_for_room_is_parked_at_the_end(tmp_path: Path) -> None:
    """And only so much may wait: more of it stops the spill, where it is durable."""
    disk = FillingDisk(free=0)
    path = SpillFolder(tmp_path).rejected
    rejected = Rejected(path, clock=SystemClock(), metrics=Metrics(*GATEWAY_METRICS), disk=disk.disk())
    large = Spilled(offset=0, spilled_at=0, weight=0, record=row(b"x" * 1_000_000))
    waiting = MOST_WAITING // 1_000_100
    for _ in range(waiting):
        await rejected.park(large, "too large")
    with pytest.raises(LogUnavailable):
        await rejected.park(large, "too large")
    disk.free = PLENTY
    await rejected.close()
    assert await _parked(tmp_path, waiting)


async def _parked(folder: Path, count: int) -> bool:
    parked = SqliteLog(folder / "spill_rejected.db", topics=Topics(interactions="spill_rejected"), partitions=1)
    try:
        return count <= (await parked.size("spill_rejected")).rows
    except LogUnavailable:  # not made yet
        return False
    finally:
        await parked.close()


async def test_the_log_of_a_full_disk_takes_nothing_and_gives_back_all(tmp_path: Path) -> None:
    """Neither new records nor deletions; what it holds can be read."""
    disk = FillingDisk()
    log = SqliteLog(tmp_path / "log.db", topics=Topics(interactions=TOPIC), partitions=1, disk=disk.disk())
    await log.append([row(b"1")])
    disk.free = 0
    with pytest.raises(LogUnavailable, match="No space left"):
        await log.append([row(b"2")])
    with pytest.raises(LogUnavailable, match="No space left"):
        await log.forget(TOPIC, 0, before=1)
    assert [b"1"] == [record.value for record in await log.read(TOPIC, 0, 0, limit=10)]
    await log.close()
