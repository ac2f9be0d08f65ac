"""What an import refuses, goes on with, and compares."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from shared.core.errors import LogUnavailable
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import MAX_RECORD_BYTES, TOPICS, NewRecord, Record
from tests.support.testable_log import record
from tests.support.transfers import Heard, awkward, bring, export, held, story
from worker.transfer import manifest as manifests
from worker.transfer.refusals import NotAnExport, TransferRefused

ALL = (TOPICS.interactions, TOPICS.outcomes, TOPICS.dead)


class _Breaking(MemoryLog):
    """Ends the process, so to speak, at an append: what was appended before stays."""

    def __init__(self, *, after: int) -> None:
        super().__init__(partitions=3)
        self.after = after

    async def append(self, records: Sequence[NewRecord]) -> None:
        if self.after == 0:
            raise KeyboardInterrupt
        self.after -= 1
        await super().append(records)


@pytest.fixture
async def source() -> MemoryLog:
    """A log with a story, and with what no program of ours writes."""
    log = MemoryLog(partitions=3)
    await log.create(ALL)
    await log.append([*story(TOPICS, clicks=40), awkward(TOPICS.outcomes)])
    return log


@pytest.fixture
async def folder(source: MemoryLog, tmp_path: Path) -> Path:
    """Its export."""
    await export(source, TOPICS, tmp_path / "out")
    return tmp_path / "out"


async def test_an_import_tells_how_far_it_is(source: MemoryLog, folder: Path) -> None:
    """Each stage comes to its end."""
    target, heard = MemoryLog(partitions=3), Heard()
    done = await bring(target, TOPICS, folder, heard=heard)
    assert ["checking the files", "looking at what is there", "importing", "comparing"] == heard.stages
    assert [102, 0, 102, 102] == heard.totals == heard.steps
    assert (102, 0, []) == (done.new, done.repeated, heard.lines)
    assert await held(source, TOPICS) == await held(target, TOPICS)


@pytest.mark.parametrize("after", range(7))
async def test_a_broken_off_import_goes_on(source: MemoryLog, folder: Path, after: int) -> None:
    """Wherever it was, and once it is done it is done."""
    target = _Breaking(after=after)
    with pytest.raises(KeyboardInterrupt):
        await bring(target, TOPICS, folder)
    target.after = -1
    had = sum(map(len, (await held(target, TOPICS)).values()))
    done, again = await bring(target, TOPICS, folder), await bring(target, TOPICS, folder)
    assert (102 - had, 0, 0) == (done.new, done.repeated, again.new)
    assert await held(source, TOPICS) == await held(target, TOPICS)


async def test_what_is_there_twice_is_told(folder: Path) -> None:
    """An append may arrive after it was given up: its records have the same ids, and are no strangers."""
    target = MemoryLog(partitions=3)
    await bring(target, TOPICS, folder)
    span = (await target.spans(TOPICS.interactions))[0]
    late = await target.read(TOPICS.interactions, 0, span.end - 3, limit=3)
    await target.append(
        [
            NewRecord(topic=one.topic, key=one.key, value=one.value, headers=one.headers, timestamp=one.timestamp)
            for one in late
        ]
    )
    done = await bring(target, TOPICS, folder)
    assert (0, 3) == (done.new, done.repeated)


async def _refused(target: MemoryLog, folder: Path) -> str:
    with pytest.raises((TransferRefused, NotAnExport)) as refused:
        await bring(target, TOPICS, folder)
    assert 1 == len(str(refused.value).splitlines())
    return str(refused.value)


async def test_topics_with_other_records_are_refused(folder: Path) -> None:
    """Nothing is appended to anybody's log."""
    target = MemoryLog(partitions=3)
    await target.append([record(topic=TOPICS.outcomes)])
    before = await held(target, TOPICS)
    said = await _refused(target, folder)
    assert "of lark.card.outcomes.v1 holds a record that is not that of" in said
    assert {key: value for key, value in before.items() if value} == {
        key: value for key, value in (await held(target, TOPICS)).items() if value
    }


async def test_a_log_that_went_on_after_its_import_is_refused(folder: Path) -> None:
    """Somebody clicked there meanwhile."""
    target = MemoryLog(partitions=3)
    await bring(target, TOPICS, folder)
    await target.append(story(TOPICS, clicks=1, first=1_000))
    assert "holds a record that is not that of" in await _refused(target, folder)


async def test_another_number_of_partitions_is_refused(folder: Path) -> None:
    """Both numbers are named: a card's history would be torn apart."""
    said = await _refused(MemoryLog(partitions=4), folder)
    assert "the log has 4 partitions of lark.card.interactions.v1, the folder 3" in said


async def test_an_export_that_was_broken_off_is_refused(folder: Path) -> None:
    """Its parts may not fit together."""
    found = manifests.load(folder)
    assert found is not None
    manifests.save(folder, msgspec.structs.replace(found, finished=None))
    assert f"run `cardwire log export {folder}` again" in await _refused(MemoryLog(partitions=3), folder)


async def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    """As is one that does not exist."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert "where no exported log is" in await _refused(MemoryLog(), folder)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    text = bytearray(path.read_bytes())
    text[len(text) // 2] ^= 1
    path.write_bytes(text)


def _swap(path: Path) -> None:
    """Put another partition's file in its place."""
    path.write_bytes((path.parent / "interactions-01.jsonl.zst").read_bytes())


@pytest.mark.parametrize("damage", [_cut, _flip, Path.unlink, _swap])
async def test_a_damaged_file_is_refused_before_anything_is_appended(
    damage: Callable[[Path], None], folder: Path
) -> None:
    """The line names it."""
    damage(folder / "interactions-02.jsonl.zst")
    target = MemoryLog(partitions=3)
    said = await _refused(target, folder)
    assert str(folder / "interactions-02.jsonl.zst") in said
    assert {} == await target.spans(TOPICS.interactions)


async def test_what_stands_behind_the_end_of_a_file_is_not_read(source: MemoryLog, folder: Path) -> None:
    """It belongs to an export that did not come to its end."""
    with (folder / "interactions-00.jsonl.zst").open("ab") as file:
        file.write(os.urandom(100))
    target = MemoryLog(partitions=3)
    await bring(target, TOPICS, folder)
    assert await held(source, TOPICS) == await held(target, TOPICS)


async def test_records_that_another_program_put_elsewhere_are_refused(tmp_path: Path) -> None:
    """Appended again, they would lie in another partition."""

    class Elsewhere(MemoryLog):
        async def read(self, topic: str, partition: int, offset: int, *, limit: int) -> Sequence[Record]:
            return await super().read(topic, 1 - partition, offset, limit=limit)

    log = Elsewhere(partitions=2)
    await log.append([record(f"cli_a:om_{number}", topic=topic) for topic in ALL for number in range(20)])
    await export(log, TOPICS, tmp_path / "out")
    assert "has a key of another partition" in await _refused(MemoryLog(partitions=2), tmp_path / "out")


async def test_a_record_that_the_log_never_takes_is_refused(tmp_path: Path) -> None:
    """Trying again cannot help."""
    log = MemoryLog(partitions=1, max_record_bytes=2 * MAX_RECORD_BYTES)
    await log.append([record(topic=topic, value=bytes(MAX_RECORD_BYTES + 1)) for topic in ALL])
    await export(log, TOPICS, tmp_path / "out")
    assert "the log takes 1000000: expected a log that takes" in await _refused(
        MemoryLog(partitions=1), tmp_path / "out"
    )


async def test_a_log_that_is_away_from_the_beginning_is_not_waited_for(folder: Path) -> None:
    """Its address is probably wrong, or it has not been started."""
    target = MemoryLog(partitions=3)
    target.available = False
    with pytest.raises(LogUnavailable):
        await bring(target, TOPICS, folder)
