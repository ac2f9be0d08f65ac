import asyncio
import threading
from pathlib import Path

import pytest

from gateway.spill.spill import Bounds
from shared.core.errors import LogUnavailable, RecordRefused
from shared.eventlog.port import MAX_RECORD_BYTES, NewRecord
from shared.eventlog.sqlite.file import Disk
from shared.observability.metrics import (
    APPEND_SECONDS,
    LOG_BREAKER_OPEN,
    MARKS,
    SPILL_BYTES,
    SPILL_OLDEST_SECONDS,
    SPILL_ROWS,
    SPILLED,
)
from tests.support.spilling import UnreliableLog, a_way, everything_in, row, spills_in, until

IN_TIME_S = 2.5


async def test_while_the_log_takes_records_nothing_is_spilled(tmp_path: Path) -> None:
    """And nothing is left in the folder at the end."""
    log = UnreliableLog()
    async with a_way(log, tmp_path) as way:
        await asyncio.gather(*(way.append(b"%d" % n) for n in range(100)))
        assert [b"%d" % n for n in range(100)] == await log.values()
        assert 0 == way.metrics.value(SPILLED, "spilled")
    assert [] == everything_in(tmp_path)


async def test_a_log_that_is_away_is_asked_once_and_everything_goes_to_the_spill(tmp_path: Path) -> None:
    """The numbers tell so; when it is back, all is in the log in the order of arrival, and the numbers are 0 again."""
    log = UnreliableLog("away")
    async with a_way(log, tmp_path) as way:
        for n in range(20):
            await way.append(b"%02d" % n)
        assert way.detour.is_open
        assert (1, 20, 20) == (
            way.metrics.value(LOG_BREAKER_OPEN),
            way.metrics.value(SPILL_ROWS, "own"),
            way.metrics.value(SPILLED, "spilled"),
        )
        assert 0 < way.metrics.value(SPILL_BYTES, "own") < 5_000
        assert 19 <= way.metrics.value(APPEND_SECONDS, "spilled")
        waited_s = way.metrics.value(SPILL_OLDEST_SECONDS)
        await until(lambda: way.metrics.value(SPILL_OLDEST_SECONDS) > waited_s + 1)
        log.mood = "well"
        await way.closed()
        assert [b"%02d" % n for n in range(20)] == await log.values()
        await until(lambda: way.metrics.value(SPILL_ROWS, "own") == 0)
        assert (0, 0, 0, 20) == (
            way.metrics.value(LOG_BREAKER_OPEN),
            way.metrics.value(SPILL_BYTES, "own"),
            way.metrics.value(SPILL_OLDEST_SECONDS),
            way.metrics.value(SPILLED, "forwarded"),
        )
        await way.append(b"20")
        assert 20 == way.metrics.value(SPILLED, "spilled")


@pytest.mark.parametrize("mood", ["hangs", "stubborn"])
async def test_a_log_that_hangs_does_not_hold_up_the_spill(tmp_path: Path, mood: str) -> None:
    """Not even one that goes on when it is cancelled; what it delivers later are repetitions."""
    log = UnreliableLog(mood)  # type: ignore[arg-type]  # both are moods
    async with a_way(log, tmp_path) as way:
        async with asyncio.timeout(IN_TIME_S):
            for n in range(10):
                await way.append(b"%d" % n)
        log.mood = "well"
        await way.closed()
        await log.deliver_late()
        log.released.set()
    values = await log.values()
    assert [b"%d" % n for n in range(10)] == list(dict.fromkeys(values))
    assert set() == {value for value in values if values.count(value) > 1} - log.doubtful


async def test_a_gateway_that_ends_says_how_many_records_it_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are on this machine's disk alone: whoever removes the machine should know."""
    async with a_way(UnreliableLog("away"), tmp_path) as way:
        for n in range(4):
            await way.append(b"%d" % n)
    [line] = [line for line in capsys.readouterr().out.splitlines() if "spill_left" in line]
    assert "4" in line


async def test_marks_are_spilled_behind_their_clicks(tmp_path: Path) -> None:
    """None is lost in an outage."""
    log = UnreliableLog("away")
    async with a_way(log, tmp_path) as way:
        await way.append(b"click")
        way.appender.mark(row(b"mark"))
        await until(lambda: way.metrics.value(MARKS, "appended") == 1)
        log.mood = "well"
        await way.closed()
    assert [b"click", b"mark"] == await log.values()


async def test_records_come_back_whole(tmp_path: Path) -> None:
    """Topic, key, value, headers and time, as if they had never been spilled."""
    log = UnreliableLog("away")
    odd = NewRecord(
        topic="other.topic",
        key="cli_a1:卡片",
        value=bytes(range(256)),
        headers=(("a", b""), ("a", b"\0\xff"), ("spill_topic", b"mine")),
        timestamp=1_234,
    )
    async with a_way(log, tmp_path) as way:
        await way.appender.append(odd, started=way.clock.monotonic())
        log.mood = "well"
        await way.closed()
    spans = await log.spans("other.topic")
    (back,) = [record for number in spans for record in await log.read("other.topic", number, 0, limit=10)]
    assert (odd.key, odd.value, odd.headers, odd.timestamp) == (back.key, back.value, back.headers, back.timestamp)


async def test_a_full_spill_refuses_and_takes_again_when_it_is_drained(tmp_path: Path) -> None:
    """Nobody is told more than is true."""
    log = UnreliableLog("away")
    async with a_way(log, tmp_path, bounds=Bounds(rows=3, bytes=1_000_000)) as way:
        for n in range(3):
            await way.append(b"%d" % n)
        assert not await way.appender.is_ready()
        with pytest.raises(LogUnavailable, match="full"):
            await way.append(b"too many")
        assert 1 == way.metrics.value(SPILLED, "refused")
        log.mood = "well"
        await way.closed()
        assert await way.appender.is_ready()
        await way.append(b"later")
    assert [b"0", b"1", b"2", b"later"] == await log.values()


async def test_bytes_are_bounded_too(tmp_path: Path) -> None:
    """Whichever bound is reached first."""
    log = UnreliableLog("away")
    async with a_way(log, tmp_path, bounds=Bounds(rows=1_000, bytes=10_000)) as way:
        await way.append(b"x" * 9_000)
        with pytest.raises(LogUnavailable, match="full"):
            await way.append(b"x" * 1_000)
        await way.append(b"x")


async def test_a_disk_that_is_full_is_told_and_recovers_by_itself(tmp_path: Path) -> None:
    """With the log away nothing can be promised; when it is back, nobody needs the disk."""
    log = UnreliableLog("away")
    async with a_way(log, tmp_path, disk=Disk(max_pages=40)) as way:
        told = [
            str(error)
            for _ in range(100)
            for error in await asyncio.gather(way.append(b"x" * 5_000), return_exceptions=True)
        ]
        taken = told.count("None")
        assert 5 < taken < 100
        assert "full" in told[-1]
        assert not await way.appender.is_ready()
        log.mood = "well"
        await way.closed()
        await way.append(b"after")
    assert taken + 1 == len(await log.values())


async def test_a_disk_that_takes_nothing_at_all_does_not_keep_the_breaker_open(tmp_path: Path) -> None:
    """Nothing was spilled, so there is nothing to drain: it is enough that the log is ready."""

    def broken() -> None:
        raise OSError("Input/output error")

    log = UnreliableLog("away")
    async with a_way(log, tmp_path, disk=Disk(before_commit=broken)) as way:
        with pytest.raises(LogUnavailable):
            await way.append(b"lost")
        log.mood = "well"
        await way.closed()
        await way.append(b"kept")
    assert [b"kept"] == await log.values()


async def test_a_disk_that_hangs_holds_nobody_up_for_long(tmp_path: Path) -> None:
    """Later callers are told at once; what was handed to the disk goes to the log when it has come round."""
    comes_round = threading.Event()

    def hang() -> None:
        comes_round.wait(10)

    log = UnreliableLog("away")
    async with a_way(log, tmp_path, disk=Disk(before_commit=hang), spill_s=0.05) as way:
        with pytest.raises(LogUnavailable, match="in time"):
            await way.append(b"first")
        with pytest.raises(LogUnavailable, match="not answered yet"):
            await way.append(b"second")
        assert not await way.appender.is_ready()
        comes_round.set()
        log.mood = "well"
        await way.closed()
        assert b"first" in await log.values()


async def test_the_disk_has_the_logs_share_as_well_while_the_breaker_is_open(tmp_path: Path) -> None:
    """A slow disk that loses the click over which the log hangs takes the next ones: nobody waits for the log now."""
    comes_round = threading.Event()

    def slow() -> None:
        comes_round.wait(10)

    log = UnreliableLog("hangs")
    async with a_way(log, tmp_path, disk=Disk(before_commit=slow), budget_s=1.0, spill_s=0.05) as way:
        with pytest.raises(LogUnavailable, match="in time"):
            await way.append(b"first")
        comes_round.set()
        await until(lambda: way.spill.is_settled)
        comes_round.clear()
        second = asyncio.create_task(way.append(b"second"))
        await asyncio.sleep(0.2)
        comes_round.set()
        await second


async def test_a_record_that_no_log_takes_is_refused_and_takes_none_along(tmp_path: Path) -> None:
    """Also while everything goes to the spill."""
    log = UnreliableLog("away")
    async with a_way(log, tmp_path) as way:
        told = await asyncio.gather(
            way.append(b"1"), way.append(b"x" * (MAX_RECORD_BYTES + 1)), way.append(b"2"), return_exceptions=True
        )
        assert [type(None), RecordRefused, type(None)] == [type(each) for each in told]
        log.mood = "well"
        await way.closed()
    assert [b"1", b"2"] == await log.values()


async def test_the_breaker_closes_while_records_never_cease(tmp_path: Path) -> None:
    """One turn is enough; nothing passes what was spilled."""
    log = UnreliableLog("away")
    stop = False

    async def go_on(card: str) -> None:
        n = 0
        while not stop:
            await way.append(b"%s %06d" % (card.encode(), n), card=card)
            n += 1

    async with a_way(log, tmp_path) as way:
        going = [asyncio.create_task(go_on(f"om_{n}")) for n in range(20)]
        await until(lambda: way.metrics.value(SPILLED, "spilled") > 500)
        log.mood = "well"
        await way.closed()
        stop = True
        await asyncio.gather(*going)
    for n in range(20):
        of_card = [value for value in await log.values() if value.startswith(b"om_%d " % n)]
        assert sorted(of_card) == of_card


async def test_a_log_that_fails_in_the_last_moment_keeps_the_breaker_open(tmp_path: Path) -> None:
    """It answers, then hangs over the rest: the turn is given back, and nothing is lost or passed."""
    log = UnreliableLog("away")
    async with a_way(log, tmp_path) as way:
        for n in range(5):
            await way.append(b"%d" % n)
        log.next_moods.extend(["forgetful", "hangs", "half", "hangs"])
        log.mood = "well"
        await way.closed()
        await way.append(b"5")
        await log.deliver_late()
    assert [b"%d" % n for n in range(6)] == list(dict.fromkeys(await log.values()))


async def test_an_end_in_an_outage_leaves_the_spill_for_the_next(tmp_path: Path) -> None:
    """Marks that were waiting are in it; offsets go on, and the next gateway deletes what it has drained."""
    log = UnreliableLog("away")
    async with a_way(log, tmp_path) as way:
        await way.append(b"click")
        way.appender.mark(row(b"mark"))
    assert 1 == len(spills_in(tmp_path))
    async with a_way(log, tmp_path) as way:
        await way.append(b"other", card="om_2")
        log.mood = "well"
        await until(lambda: len(spills_in(tmp_path)) == 1)
        await way.closed()
        assert 0 == way.metrics.value(SPILL_ROWS, "orphan")
    assert {b"click", b"mark", b"other"} == set(await log.values())
    assert [] == everything_in(tmp_path)
