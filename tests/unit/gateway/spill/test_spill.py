import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.spill.folder import Claim, SpillFolder
from gateway.spill.spill import Bounds, Spill
from gateway.spill.spilled import SpillUnreadable
from shared.clock import ManualClock
from shared.core.errors import LogUnavailable
from shared.eventlog.port import Topics
from shared.eventlog.sqlite.log import SqliteLog
from tests.support.spilling import ROOMY, everything_in, row

WITHIN_S = 2.0


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
def claim(tmp_path: Path, clock: ManualClock) -> Claim:
    """Return a file that is not there yet."""
    return SpillFolder(tmp_path).claim_new(clock)


@pytest.fixture
async def spill(claim: Claim, clock: ManualClock) -> AsyncIterator[Spill]:
    """Yield an open spill."""
    spill = Spill(claim, ROOMY, clock=clock)
    await spill.open()
    yield spill
    await spill.close()


async def _values(spill: Spill, limit: int = 100) -> list[bytes]:
    return [found.record.value for found in await spill.head(limit)]


async def test_it_gives_back_what_it_was_given_in_order(spill: Spill) -> None:
    """Whatever the keys: it has one order, that of arrival."""
    for n in range(5):
        await spill.append([row(b"%d%d" % (n, i), card=f"om_{i}") for i in range(3)], within_s=WITHIN_S)
    assert [b"%d%d" % (n, i) for n in range(5) for i in range(3)] == await _values(spill)
    assert [b"00", b"01"] == await _values(spill, limit=2)


async def test_what_was_forwarded_is_gone_and_offsets_go_on(spill: Spill) -> None:
    """A drained spill does not begin again at 0, or a crash could bring back another record under an old number."""
    await spill.append([row(b"1"), row(b"2")], within_s=WITHIN_S)
    await spill.forwarded(await spill.head(2))
    assert (0, 0, None) == (spill.rows, spill.bytes, spill.oldest_at)
    await spill.append([row(b"3")], within_s=WITHIN_S)
    (left,) = await spill.head(10)
    assert (2, b"3") == (left.offset, left.record.value)


async def test_it_knows_how_much_it_holds_and_since_when(spill: Spill, clock: ManualClock) -> None:
    """Rows, bytes, and the age of the oldest."""
    first_at = clock.now()
    await spill.append([row(b"x" * 1000)], within_s=WITHIN_S)
    clock.advance(60)
    await spill.append([row(b"y")], within_s=WITHIN_S)
    assert (2, first_at) == (spill.rows, spill.oldest_at)
    assert 1000 < spill.bytes < 1300
    await spill.forwarded(await spill.head(1))
    await spill.head(1)
    assert (1, first_at + 60_000) == (spill.rows, spill.oldest_at)
    assert spill.bytes < 300


async def test_the_next_process_finds_all_of_it(spill: Spill, claim: Claim, clock: ManualClock, tmp_path: Path) -> None:
    """What was not forwarded, how much it is, in order; a crash loses nothing that was committed."""
    await spill.append([row(b"%d" % n) for n in range(10)], within_s=WITHIN_S)
    await spill.forwarded(await spill.head(3))
    rows, held = spill.rows, spill.bytes
    await spill.close()
    (orphan,) = SpillFolder(tmp_path).orphans()
    assert claim.path == orphan.path
    again = Spill(orphan, Bounds(rows=0, bytes=0), clock=clock)
    await again.open()
    assert [b"%d" % n for n in range(3, 10)] == await _values(again)
    assert rows == again.rows
    assert abs(held - again.bytes) < 100
    await again.forwarded(await again.head(100))
    await again.close()
    assert [] == everything_in(tmp_path)


async def test_a_commit_that_nobody_waits_for_any_more_is_counted_when_it_is_done(spill: Spill) -> None:
    """It was told as perhaps not recorded; it is, so it is to be drained."""
    with pytest.raises(LogUnavailable, match="in time"):
        await spill.append([row(b"late")], within_s=0)
    assert not spill.is_settled
    while not spill.is_settled:  # noqa: ASYNC110 -- turns of the loop, until the disk has answered
        await asyncio.sleep(0)
    assert 1 == spill.rows
    assert [b"late"] == await _values(spill)


async def test_rows_that_somebody_deleted_are_not_waited_for(spill: Spill, claim: Claim) -> None:
    """The file knows better than our count."""
    await spill.append([row(b"1"), row(b"2")], within_s=WITHIN_S)
    await _delete(claim.path)
    assert [] == await _values(spill)
    assert (0, 0) == (spill.rows, spill.bytes)


async def test_what_no_gateway_put_there_is_not_forwarded(claim: Claim, clock: ManualClock) -> None:
    """A log that somebody copied into the folder stays what it is."""
    log = SqliteLog(claim.path, topics=Topics(interactions="spill"), partitions=1)
    await log.append([replace(row(b"a log's record"), topic="spill")])
    await log.close()
    spill = Spill(claim, ROOMY, clock=clock)
    await spill.open()
    with pytest.raises(SpillUnreadable):
        await spill.head(1)
    await spill.close()
    assert claim.path.exists()


async def test_a_file_that_is_no_spill_is_left_alone(claim: Claim, clock: ManualClock) -> None:
    """Neither read nor deleted."""
    await asyncio.to_thread(claim.path.write_bytes, b"somebody's notes" * 100)
    spill = Spill(claim, ROOMY, clock=clock)
    with pytest.raises(SpillUnreadable):
        await spill.open()
    await spill.close()
    assert 1600 == len(await asyncio.to_thread(claim.path.read_bytes))


async def _delete(path: Path) -> None:
    def delete() -> None:
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("DELETE FROM records")
        connection.close()

    await asyncio.to_thread(delete)
