"""From where on a log is followed."""

import pytest

from shared.core.errors import LogUnavailable
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord, Span
from tests.support.transfers import QuickClock, unheard
from worker.transfer.following import PROBE, begins, ends, follow, since
from worker.transfer.patience import Patience

BEGAN = 1_790_000_000_000


async def _log(times: list[int]) -> MemoryLog:
    log = MemoryLog(partitions=1)
    await log.append([NewRecord(topic="t", key="k", value=b"", headers=(), timestamp=BEGAN + at) for at in times])
    return log


async def _since(times: list[int], at: int) -> int:
    log = await _log(times)
    return await since(log, "t", 0, (await log.spans("t"))[0], BEGAN + at)


@pytest.mark.parametrize("at", [0, 1, 499, 500, 998, 999, 5_000])
async def test_nothing_younger_is_left_out(at: int) -> None:
    """And little older is read."""
    found = await _since([*range(1_000)], at)
    assert min(at, 1_000) - 2 * PROBE <= found <= min(at, 1_000)


async def test_a_record_that_claims_an_old_time_misleads_nobody() -> None:
    """Its neighbours know better: the platform may repeat an event hours later."""
    times = [0 if at % 5 == 0 else at for at in range(1_000)]
    assert await _since(times, 300) <= 300


async def test_an_empty_partition_begins_at_its_end() -> None:
    """There is nothing to be asked."""
    assert 7 == await since(MemoryLog(partitions=1), "t", 0, Span(begin=7, end=7), BEGAN)


async def test_only_what_is_new_is_seen_from_the_end_on() -> None:
    """Records that come together are told in the order of their times, where they are of several partitions."""
    log = MemoryLog(partitions=4)
    await log.append([NewRecord(topic="t", key="old", value=b"", headers=(), timestamp=BEGAN)])
    spans = {"t": await log.spans("t")}
    assert ends(spans)[("t", 0)] >= begins(spans)[("t", 0)]
    following = follow(log, ends(spans), clock=QuickClock(), patience=Patience(QuickClock(), tell=unheard))
    assert [] == await anext(following)
    await log.append(
        [
            NewRecord(topic="t", key=f"k{number}", value=b"", headers=(), timestamp=BEGAN + 10 - number)
            for number in range(10)
        ]
    )
    piece = await anext(following)
    await following.aclose()
    assert 10 == len(piece)
    for number in range(4):
        offsets = [one.offset for one in piece if one.partition == number]
        assert sorted(offsets) == offsets


async def test_an_outage_without_end_ends_it() -> None:
    """With the log's error."""
    log = await _log([1])
    log.available = False
    with pytest.raises(LogUnavailable):
        await anext(follow(log, {("t", 0): 0}, clock=QuickClock(), patience=Patience(QuickClock(), tell=unheard)))
