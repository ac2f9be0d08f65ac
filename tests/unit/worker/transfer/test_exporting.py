"""What an export refuses, goes on with, and leaves behind."""

import json
from pathlib import Path

import pytest

from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import TOPICS, NewRecord, Topics
from tests.support.transfers import Heard, bring, digest_of, export, held, story
from worker.transfer.folder import LOCK, exporting_into
from worker.transfer.manifest import FORMAT, Manifest, load
from worker.transfer.refusals import NotAnExport, TransferRefused

ALL = (TOPICS.interactions, TOPICS.outcomes, TOPICS.dead)


async def _log(records: list[NewRecord] | None = None, *, partitions: int = 3) -> MemoryLog:
    log = MemoryLog(partitions=partitions)
    await log.create(ALL)
    await log.append(records or [])
    return log


async def test_a_manifest_says_what_is_there(tmp_path: Path) -> None:
    """Topics, partitions, offsets, counts, digests; for programs, in JSON."""
    records = story(TOPICS, clicks=20)
    await export(await _log(records, partitions=1), TOPICS, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (FORMAT, "0.0.test", ["interactions", "outcomes", "dead"], list(ALL)) == (
        found["format"], found["cardwire"], [one["role"] for one in found["topics"]],
        [one["topic"] for one in found["topics"]],
    )  # fmt: skip
    (part,) = found["topics"][0]["partitions"]
    inputs = [one for one in records if one.topic == TOPICS.interactions]
    assert (0, 0, 40, 40, digest_of(inputs)) == tuple(
        part[name] for name in ("partition", "begin", "end", "records", "sha256")
    )
    assert found["began"] < found["finished"] or found["began"] == found["finished"]


async def test_a_second_export_adds_what_is_new(tmp_path: Path) -> None:
    """The folder is then the same as one made at once."""
    log = await _log(story(TOPICS, clicks=20))
    first = await export(log, TOPICS, tmp_path / "out")
    more = story(TOPICS, clicks=15, first=20)
    await log.append(more)
    heard = Heard()
    second = await export(log, TOPICS, tmp_path / "out", heard=heard)
    again = await export(log, TOPICS, tmp_path / "out")
    at_once = await export(log, TOPICS, tmp_path / "other")
    assert (len(more), 0) == (second.new, again.new)
    assert ([len(more)], [len(more)]) == (heard.totals, heard.steps)
    assert _digests(at_once.manifest) == _digests(second.manifest) == _digests(again.manifest)
    assert _digests(first.manifest) != _digests(second.manifest)
    target = await _log()
    assert second.manifest.records == (await bring(target, TOPICS, tmp_path / "out")).new
    assert await held(log, TOPICS) == await held(target, TOPICS)


def _digests(manifest: Manifest) -> list[str]:
    return [part.sha256 for topic in manifest.topics for part in topic.partitions]


async def test_records_that_retention_took_before_are_not_missed(tmp_path: Path) -> None:
    """A log begins where it begins; offsets are those of the new log afterwards."""
    log = await _log(story(TOPICS, clicks=30), partitions=1)
    log.forget(TOPICS.interactions, 0, before=10)
    done = await export(log, TOPICS, tmp_path / "out")
    part = done.manifest.topics[0].partitions[0]
    assert (10, 60, 50) == (part.begin, part.end, part.records)
    target = await _log(partitions=1)
    await bring(target, TOPICS, tmp_path / "out")
    assert await held(log, TOPICS) == await held(target, TOPICS)


async def test_a_gap_at_the_end_is_passed_once(tmp_path: Path) -> None:
    """Offsets that nobody is ever given are no new records."""
    log = await _log(story(TOPICS, clicks=3), partitions=1)
    log.skip(TOPICS.interactions, 0, offsets=2)
    first = await export(log, TOPICS, tmp_path / "out")
    assert 8 == first.manifest.topics[0].partitions[0].end
    assert 0 == (await export(log, TOPICS, tmp_path / "out")).new


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != LOCK}


async def _refused(log: MemoryLog, folder: Path, topics: Topics = TOPICS) -> str:
    """Return why a folder is refused; nothing of it may have changed."""
    before = _files(folder)
    with pytest.raises((TransferRefused, NotAnExport)) as refused:
        await export(log, topics, folder)
    assert before == _files(folder)
    return str(refused.value)


async def test_a_folder_of_another_log_is_refused(tmp_path: Path) -> None:
    """Its newest record is not this log's: nothing is added to it."""
    await export(await _log(story(TOPICS, clicks=20)), TOPICS, tmp_path)
    other = await _log(story(TOPICS, clicks=30, first=100))
    assert "holds another log (partition 0 of lark.card.interactions.v1: the record at" in await _refused(
        other, tmp_path
    )


async def test_a_folder_that_knows_more_than_the_log_is_refused(tmp_path: Path) -> None:
    """A topic that was made again is another log."""
    await export(await _log(story(TOPICS, clicks=20)), TOPICS, tmp_path)
    assert "the folder ends at" in await _refused(await _log(story(TOPICS, clicks=2)), tmp_path)


async def test_a_folder_that_the_log_does_not_join_on_to_is_refused(tmp_path: Path) -> None:
    """What retention took between two exports would be missing in the middle."""
    log = await _log(story(TOPICS, clicks=20), partitions=1)
    await export(log, TOPICS, tmp_path)
    await log.append(story(TOPICS, clicks=20, first=20))
    log.forget(TOPICS.interactions, 0, before=45)
    assert "ends at 40 of partition 0 of lark.card.interactions.v1, and the log keeps nothing older than 45" in (
        await _refused(log, tmp_path)
    )


async def test_a_folder_of_other_partitions_or_topics_is_refused(tmp_path: Path) -> None:
    """Each says what it is not."""
    await export(await _log(story(TOPICS, clicks=5)), TOPICS, tmp_path)
    wider = await _log(story(TOPICS, clicks=5), partitions=4)
    assert "holds 3 partitions of lark.card.interactions.v1, the log 4" in await _refused(wider, tmp_path)
    prefixed = Topics.prefixed("other.")
    renamed = MemoryLog(partitions=3)
    await renamed.create([prefixed.interactions, prefixed.outcomes, prefixed.dead])
    assert f"not {prefixed.interactions}" in await _refused(renamed, tmp_path, prefixed)


async def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    """Somebody's photographs are no place for a log."""
    (tmp_path / "holiday.jpg").write_bytes(b"")
    assert "holds something else (holiday.jpg)" in await _refused(await _log(), tmp_path)


async def test_a_log_that_is_not_there_makes_no_folder(tmp_path: Path) -> None:
    """The line says which topic is missing."""
    with pytest.raises(TransferRefused, match="has no topic"):
        await export(MemoryLog(), TOPICS, tmp_path / "out")
    assert {} == _files(tmp_path)


async def test_two_exports_into_one_folder_are_one_too_many(tmp_path: Path) -> None:
    """They would write into each other's files."""
    with exporting_into(tmp_path):
        assert "is being exported into by another process" in await _refused(await _log(), tmp_path)


async def test_a_shortened_file_is_refused(tmp_path: Path) -> None:
    """What the manifest counts must be there."""
    log = await _log(story(TOPICS, clicks=20), partitions=1)
    await export(log, TOPICS, tmp_path)
    path = tmp_path / "interactions-00.jsonl.zst"
    path.write_bytes(path.read_bytes()[:-1])
    assert "is shorter than its manifest says" in await _refused(log, tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not that of an exported log"),
        ("[]", "is not that of an exported log"),
        ('{"format": 1}', "is not that of an exported log"),
        (
            '{"format": 1, "cardwire": "0", "began": "", "topics": []}',
            "its topics are not interactions, outcomes, dead",
        ),
        ('{"format": 2}', "was written by a newer Cardwire (format 2, this one reads 1)"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(text: str, says: str, tmp_path: Path) -> None:
    """In one line."""
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises((TransferRefused, NotAnExport)) as refused:
        load(tmp_path)
    assert says in str(refused.value)
    assert 1 == len(str(refused.value).splitlines())


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Tokens are a part of the log: also where the folder was there, and the files were too open."""
    log = await _log(story(TOPICS, clicks=5))
    await export(log, TOPICS, tmp_path)
    _open_up(tmp_path)
    await log.append(story(TOPICS, clicks=5, first=5))
    await export(log, TOPICS, tmp_path)
    await export(log, TOPICS, tmp_path / "a" / "new")
    assert {0o600} == _modes(tmp_path)
    assert 0o700 == (tmp_path / "a" / "new").stat().st_mode & 0o777


def _modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.glob("*.*") if path.name != LOCK}


def _open_up(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o644)
