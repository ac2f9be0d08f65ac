"""Records into a partition: what was not acknowledged is looked for first, and outages are waited out."""

from collections.abc import Sequence

import pytest

from shared.core.errors import LogRefused, LogUnavailable
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord
from tests.support.testable_log import record
from tests.support.transfers import Heard, QuickClock
from worker.transfer.appending import APPEND_BYTES, MOST, Appending, groups
from worker.transfer.patience import Patience

TOPIC = "t"


class _Unsure(MemoryLog):
    """Takes, of its first appends, only so many records each, and acknowledges none of them."""

    def __init__(self, *taken: int, error: type[LogUnavailable] = LogUnavailable) -> None:
        super().__init__(partitions=1)
        self.calls = 0
        self._taken = list(taken)
        self._error = error

    async def append(self, records: Sequence[NewRecord]) -> None:
        self.calls += 1
        if not self._taken:
            await super().append(records)
            return
        await super().append(records[: self._taken.pop(0)])
        raise self._error("gone")


def _records(count: int) -> list[NewRecord]:
    return [record(value=str(number).encode()) for number in range(count)]


async def _append(log: MemoryLog, records: Sequence[NewRecord], *, patience_s: float = 60) -> Heard:
    heard = Heard()
    heard.stage("importing", len(records))
    patience = Patience(QuickClock(), tell=heard.say, patience_s=patience_s)
    span = (await log.spans(TOPIC)).get(0)
    appending = Appending(event_log=log, place=(TOPIC, 0), end=span.end if span else 0, patience=patience, told=heard)
    await appending.append(iter(records))
    return heard


@pytest.mark.parametrize("taken", [(0,), (1,), (3,), (7,), (0, 0), (2, 2, 2), (7, 0)])
async def test_what_was_not_acknowledged_is_there_once(taken: tuple[int, ...]) -> None:
    """None, some or all of an append may have arrived; the rest follows, and nothing twice."""
    log, records = _Unsure(*taken), _records(7)
    await log.create([TOPIC])
    await log.append([]) if not taken else None
    heard = await _append(log, records)
    found = await log.read(TOPIC, 0, 0, limit=100)
    assert [one.value for one in records] == [one.value for one in found]
    assert ([7], [7]) == (heard.totals, heard.steps)


async def test_it_goes_on_behind_what_the_partition_holds() -> None:
    """Records that were there before are no part of what is looked for."""
    log = _Unsure()
    await log.create([TOPIC])
    await log.append(_records(3))
    log._taken = [2]  # noqa: SLF001 (a fake of this file)
    await _append(log, _records(4))
    assert [b"0", b"1", b"2", b"0", b"1", b"2", b"3"] == [one.value for one in await log.read(TOPIC, 0, 0, limit=100)]


async def test_an_outage_is_told_and_waited_out() -> None:
    """Longer each time, and from the beginning again after it."""
    log = _Unsure(0, 0, 0)
    await log.create([TOPIC])
    heard = await _append(log, _records(2))
    assert [f"gone: trying again in {pause} s" for pause in ("0.5", "0.5", "0.5")] == heard.lines


async def test_an_outage_without_end_is_given_up() -> None:
    """The same command goes on later."""
    log = _Unsure(*[0] * 1_000)
    await log.create([TOPIC])
    log.available = False
    with pytest.raises(LogUnavailable):
        await _append(log, _records(2))


async def test_who_is_not_let_in_need_not_wait() -> None:
    """A wrong password is no outage."""
    log = _Unsure(0, error=LogRefused)
    await log.create([TOPIC])
    with pytest.raises(LogRefused):
        await _append(log, _records(2))
    assert 1 == log.calls


def test_groups_are_bounded_by_number_and_by_size() -> None:
    """Small records go many at a time, large ones few."""
    small = [len(group) for group in groups(iter(_records(2 * MOST + 1)))]
    assert [MOST, MOST, 1] == small
    large = [record(value=bytes(APPEND_BYTES // 2)) for _ in range(5)]
    assert [2, 2, 1] == [len(group) for group in groups(iter(large))]
