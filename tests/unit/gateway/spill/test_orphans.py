import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.spill.folder import SpillFolder
from gateway.spill.spill import Spill
from shared.clock import SystemClock
from shared.core.errors import RecordRefused
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord, Topics
from shared.eventlog.sqlite.log import SqliteLog
from shared.observability.metrics import SPILL_ROWS, SPILLED
from tests.support.spilling import ROOMY, TOPIC, UnreliableLog, a_way, everything_in, row, spills_in, until


async def _left_behind(folder: Path, *values: bytes) -> Path:
    """Leave a spill as a crashed gateway does."""
    claim = SpillFolder(folder).claim_new(SystemClock())
    spill = Spill(claim, ROOMY, clock=SystemClock())
    await spill.open()
    if values:
        await spill.append([row(value) for value in values], within_s=2)
    await spill.close()
    return claim.path


async def test_what_a_crashed_gateway_left_is_drained_and_deleted(tmp_path: Path) -> None:
    """Oldest file first, each in its order."""
    await _left_behind(tmp_path, b"1", b"2")
    await _left_behind(tmp_path, b"3")
    log = UnreliableLog()
    async with a_way(log, tmp_path) as way:
        await until(lambda: len(spills_in(tmp_path)) == 1)
        assert 3 == way.metrics.value(SPILLED, "forwarded")
    assert [b"1", b"2", b"3"] == await log.values()
    assert [] == everything_in(tmp_path)


async def test_an_orphan_keeps_nobodys_breaker_open(tmp_path: Path) -> None:
    """A log that takes single records, and no orphan: clicks go straight to it."""

    class Choosy(UnreliableLog):
        async def append(self, records: list[NewRecord]) -> None:  # type: ignore[override]  # it is given lists
            if records[0].value == b"old":
                await asyncio.sleep(3600)
            await super().append(records)

    await _left_behind(tmp_path, b"old")
    log = Choosy()
    async with a_way(log, tmp_path) as way:
        await until(lambda: way.metrics.value(SPILL_ROWS, "orphan") == 1)
        await way.append(b"new", card="om_2")
        assert not way.detour.is_open
    assert [b"new"] == await log.values()
    assert 1 == len(spills_in(tmp_path))


async def test_gateways_that_start_at_once_drain_each_file_once(tmp_path: Path) -> None:
    """No record is forwarded twice."""
    for n in range(6):
        await _left_behind(tmp_path, b"%d" % n)
    log = UnreliableLog()
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(a_way(log, tmp_path))
        await until(lambda: len(spills_in(tmp_path)) == 3)
    assert [b"%d" % n for n in range(6)] == sorted(await log.values())


async def test_a_file_that_is_left_while_we_run_is_found_too(tmp_path: Path) -> None:
    """Of a gateway that was stopped in an outage, for one."""
    log = UnreliableLog()
    async with a_way(log, tmp_path):
        await until(lambda: len(spills_in(tmp_path)) == 1)
        await _left_behind(tmp_path, b"left later")
        await until(lambda: len(spills_in(tmp_path)) == 1)
    assert [b"left later"] == await log.values()


async def test_a_file_that_cannot_be_read_blocks_no_other(tmp_path: Path) -> None:
    """It stays for a person to look at."""
    strange = await _left_behind(tmp_path, b"1")
    await asyncio.to_thread(strange.write_bytes, b"not a database" * 1000)
    await _left_behind(tmp_path, b"2")
    log = UnreliableLog()
    async with a_way(log, tmp_path):
        await until(lambda: len(spills_in(tmp_path)) == 2)
    assert [b"2"] == await log.values()
    assert [strange] == spills_in(tmp_path)


class Particular(MemoryLog):
    """A log whose brokers take no record with ``bad`` in it, and judge calls as a whole."""

    async def append(self, records: list[NewRecord]) -> None:  # type: ignore[override]  # it is given lists
        if any(b"bad" in record.value for record in records):
            raise RecordRefused("too large for the topic")
        await super().append(records)


async def test_what_is_refused_for_good_is_parked_and_what_is_beside_it_goes_on(tmp_path: Path) -> None:
    """With its topic and the reason, in one file for all gateways, where a person finds it."""
    await _left_behind(tmp_path, *(b"%02d bad" % n if n % 7 == 3 else b"%02d" % n for n in range(30)))
    log = Particular()
    async with a_way(log, tmp_path) as way:
        await until(lambda: len(spills_in(tmp_path)) == 1)
        assert (26, 4) == (way.metrics.value(SPILLED, "forwarded"), way.metrics.value(SPILLED, "rejected"))
    spans = await log.spans(TOPIC)
    kept = [record.value for number in spans for record in await log.read(TOPIC, number, 0, limit=100)]
    assert [b"%02d" % n for n in range(30) if n % 7 != 3] == kept
    parked = SqliteLog(tmp_path / "spill_rejected.db", topics=Topics(interactions="spill_rejected"), partitions=1)
    found = await parked.read("spill_rejected", 0, 0, limit=100)
    await parked.close()
    assert [b"%02d bad" % n for n in (3, 10, 17, 24)] == [record.value for record in found]
    assert {TOPIC.encode()} == {dict(record.headers)["spill_topic"] for record in found}
    assert {b"too large for the topic"} == {dict(record.headers)["rejected_reason"] for record in found}
