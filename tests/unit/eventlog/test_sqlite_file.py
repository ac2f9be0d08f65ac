"""The embedded log's files: made once, recognised, pruned, and honest about what is wrong with them."""

import asyncio
import contextlib
import resource
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.clock import ManualClock
from shared.core.errors import LogUnavailable
from shared.eventlog.port import RETENTION_MS, TOPICS, Span
from shared.eventlog.sqlite.file import Disk, Size
from shared.eventlog.sqlite.log import SqliteLog
from tests.support.event_logs import record

TOPIC = TOPICS.interactions
DAY_S = 24 * 3600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log that is not there yet, in a folder that is not there either."""
    return tmp_path / "new" / "log.db"


async def _append(path: Path, count: int = 1, **settings: object) -> None:
    log = SqliteLog(path, **settings)  # type: ignore[arg-type] # only some tests set some
    try:
        await log.append([record(number, key=f"key-{number}") for number in range(count)])
    finally:
        await log.close()


async def test_opening_reads_and_writes_nothing(path: Path) -> None:
    """A log that was only opened leaves no trace, and is not ready to be read either."""
    log = SqliteLog(path)
    assert {} == await log.spans(TOPIC)
    await log.close()
    assert not path.parent.exists()


@pytest.mark.slow
async def test_processes_that_start_together_make_one_log(path: Path) -> None:
    """Four processes begin with nothing at the same moment: one makes the file, all append to it."""
    program = (
        "import asyncio, sys; from pathlib import Path; from shared.eventlog.sqlite.log import SqliteLog\n"
        "from tests.support.event_logs import record\n"
        "async def main():\n"
        "    log = SqliteLog(Path(sys.argv[1]), append_timeout_s=20, busy_ms=19_000)\n"
        "    await log.append([record(int(sys.argv[2]))]); await log.close()\n"
        "asyncio.run(main())\n"
    )
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path), str(number))
        for number in range(4)
    ]
    assert [0] * 4 == [await process.wait() for process in started]
    log = SqliteLog(path)
    assert 4 == sum(span.end for span in (await log.spans(TOPIC)).values())
    await log.close()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("PRAGMA user_version = 99", "newer Cardwire.*upgrade"),
        ("DELETE FROM partitions WHERE partition > 5", "has 6 partitions, not 12"),
    ],
)
async def test_a_file_of_another_make_is_refused(path: Path, change: str, complaint: str) -> None:
    """A newer file, or one with other partitions, is not touched, and the line says what it is."""
    await _append(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    with pytest.raises(LogUnavailable, match=complaint):
        await _append(path)


async def test_a_strangers_database_is_refused(path: Path) -> None:
    """The ledger's file, say, is not filled with records by a slip in the settings."""
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE claims (event_id TEXT)")
    with pytest.raises(LogUnavailable, match=r"not a Cardwire log.*CARDWIRE_LOG=sqlite:///"):
        await _append(path)


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """SQLite's own words come as an unavailable log."""
    path.parent.mkdir()
    await asyncio.to_thread(path.write_bytes, b"no database at all, and long enough to be read as one" * 100)
    with pytest.raises(LogUnavailable, match="not a database"):
        await _append(path)


async def test_a_folder_that_cannot_be_made_is_an_unavailable_log(tmp_path: Path) -> None:
    """A path under a file fails in a line, not in a traceback from a thread."""
    (tmp_path / "file").write_text("")
    log = SqliteLog(tmp_path / "file" / "log.db")
    with pytest.raises(LogUnavailable):
        await log.append([record(1)])
    assert not await log.ready()
    await log.close()


async def test_a_full_disk_is_an_unavailable_log_and_later_appends_succeed(path: Path) -> None:
    """What does not fit raises and is not there; when there is room again, the same log goes on."""
    log = SqliteLog(path)
    await log.append([record(1)])
    with _files_of_at_most(200_000), pytest.raises(LogUnavailable):
        await log.append([record(number, value=b"x" * 1000) for number in range(1000)])
    await log.append([record(2)])
    ends = {span.end for span in (await log.spans(TOPIC)).values()}
    assert {0, 2} == ends
    await log.close()


async def test_records_older_than_the_retention_go_and_offsets_do_not_come_again(path: Path) -> None:
    """After 33 days a record is deleted with the next commits; the partition's end stays where it was."""
    clock = ManualClock()
    log = SqliteLog(path, clock=clock)
    await log.append([record(number) for number in range(3)])
    clock.advance(RETENTION_MS / 1000 - 60)
    await log.append([record(3)])
    assert [Span(begin=0, end=4)] == [span for span in (await log.spans(TOPIC)).values() if span.end]
    clock.advance(120)
    await log.append([record(4)])
    await log.append([record(5)])
    assert [Span(begin=3, end=6)] == [span for span in (await log.spans(TOPIC)).values() if span.end]
    await log.close()


async def test_a_long_backlog_is_deleted_a_little_at_a_time(path: Path) -> None:
    """No append waits for the deletion of a month of records."""
    clock = ManualClock()
    log = SqliteLog(path, clock=clock)
    await log.append([record(number) for number in range(1200)])
    remaining = []
    for _ in range(4):
        clock.advance(RETENTION_MS / 1000 + 61)
        await log.append([record(0)])
        await log.create([TOPIC])  # the thread has come to an end with what follows the append
        remaining.append(sum(span.end - span.begin for span in (await log.spans(TOPIC)).values()))
    assert [701, 202, 1, 1] == remaining
    await log.close()


async def test_a_log_that_grows_fast_shrinks_as_fast(path: Path) -> None:
    """Where more is old than goes at once, some goes every second in which something is appended."""
    clock = ManualClock()
    log = SqliteLog(path, clock=clock)
    await log.append([record(number) for number in range(1200)])
    clock.advance(RETENTION_MS / 1000 + 61)
    for number in range(3):
        await log.append([record(number)])
        await log.create([TOPIC])  # the thread has come to an end with what follows the append
        clock.advance(1)
    assert [3] == [span.end - span.begin for span in (await log.spans(TOPIC)).values() if span.end]
    await log.close()


async def test_a_topic_that_nobody_writes_to_is_pruned_when_somebody_asks(path: Path) -> None:
    """Commits let old records go; where none come, `prune` does, a little at a time, and a dry one only counts."""
    clock = ManualClock()
    log = SqliteLog(path, clock=clock)
    await log.append([record(number, topic=TOPICS.dead) for number in range(600)])
    clock.advance(RETENTION_MS / 1000 - 60)
    await log.append([record(600, topic=TOPICS.dead)])
    assert 0 == await log.prune(TOPICS.dead)
    clock.advance(61)
    assert [600, 600] == [await log.prune(TOPICS.dead, dry=True) for _ in range(2)]
    assert [500, 100, 0] == [await log.prune(TOPICS.dead) for _ in range(3)]
    assert [Span(begin=600, end=601)] == [span for span in (await log.spans(TOPICS.dead)).values() if span.end]
    await log.close()


async def test_pruning_makes_no_file(path: Path) -> None:
    """Who only looks after a log that is not there leaves no trace of it."""
    log = SqliteLog(path)
    assert (0, 0) == (await log.prune(TOPIC), await log.prune(TOPIC, dry=True))
    await log.close()
    assert not path.parent.exists()


async def test_a_killed_consumer_leaves_the_door_open(path: Path) -> None:
    """The lock of a consumer that was killed is gone with its process."""
    program = (
        "import asyncio, sys; from pathlib import Path; from shared.eventlog.sqlite.log import SqliteLog\n"
        "async def main():\n"
        "    await SqliteLog(Path(sys.argv[1])).consume(sys.argv[2], group='g')\n"
        "    print('reading', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), TOPIC, stdout=asyncio.subprocess.PIPE
    )
    assert other.stdout is not None
    assert b"reading\n" == await other.stdout.readline()
    log = SqliteLog(path)
    with pytest.raises(LogUnavailable, match=rf"process {other.pid}\)"):
        await log.consume(TOPIC, group="g")
    other.send_signal(signal.SIGKILL)
    await other.wait()
    await log.consume(TOPIC, group="g")
    await log.close()


@contextlib.contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """Let this process write no file beyond ``size``, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_is_forgotten_is_gone_and_offsets_go_on(path: Path) -> None:
    """A log whose records are all gone does not begin again at 0, not even for the next process."""
    log = SqliteLog(path, partitions=1)
    await log.append([record(number) for number in range(5)])
    await log.forget(TOPIC, 0, before=3)
    assert [3, 4] == [found.offset for found in await log.read(TOPIC, 0, 0, limit=10)]
    await log.forget(TOPIC, 0, before=5)
    await log.close()
    again = SqliteLog(path, partitions=1)
    assert {0: Span(begin=5, end=5)} == await again.spans(TOPIC)
    await again.append([record(5)])
    assert {0: Span(begin=5, end=6)} == await again.spans(TOPIC)
    await again.close()


async def test_only_the_partition_that_is_named_forgets(path: Path) -> None:
    """And records behind the offset stay."""
    log = SqliteLog(path)
    await log.append([record(number, key=f"key-{number}") for number in range(40)])
    before = await log.spans(TOPIC)
    (number, span), *_ = ((number, span) for number, span in before.items() if span.end > 1)
    await log.forget(TOPIC, number, before=1)
    assert {**before, number: Span(begin=1, end=span.end)} == await log.spans(TOPIC)
    await log.close()


async def test_its_size_is_told(path: Path) -> None:
    """Records, and the bytes of what they hold."""
    log = SqliteLog(path)
    assert Size(rows=0, bytes=0) == await log.size(TOPIC)
    await log.append([record(1, key="卡片", value=b"x" * 100), record(2, value=b"y" * 50, headers=[("h", b"z" * 30)])])
    size = await log.size(TOPIC)
    assert 2 == size.rows
    assert 186 < size.bytes < 250
    await log.close()


async def test_a_disk_of_so_many_pages_is_full_and_can_be_emptied(path: Path) -> None:
    """Deleting makes room; nothing that was acknowledged is lost by it."""
    log = SqliteLog(path, partitions=1, disk=Disk(max_pages=50))
    acknowledged = 0
    with contextlib.suppress(LogUnavailable):
        while True:
            await log.append([record(acknowledged, value=b"x" * 3_000)])
            acknowledged += 1
    assert 10 < acknowledged < 50
    assert {0: Span(begin=0, end=acknowledged)} == await log.spans(TOPIC)
    await log.forget(TOPIC, 0, before=acknowledged - 1)
    await log.append([record(acknowledged, value=b"x" * 3_000)])
    assert {0: Span(begin=acknowledged - 1, end=acknowledged + 1)} == await log.spans(TOPIC)
    await log.close()


async def test_what_is_done_before_commits_holds_up_commits_alone(path: Path) -> None:
    """A hook for tests of slow disks: called once for each commit of records, and an error of it is the disk's."""
    calls: list[str] = []
    log = SqliteLog(path, disk=Disk(before_commit=lambda: calls.append("commit")))
    await log.create([TOPIC])
    await log.append([record(1)])
    await log.forget(TOPIC, 0, before=1)
    assert ["commit"] == calls
    await log.close()

    def broken() -> None:
        raise OSError(5, "Input/output error")

    log = SqliteLog(path, disk=Disk(before_commit=broken))
    with pytest.raises(LogUnavailable, match="Input/output error"):
        await log.append([record(2)])
    await log.close()
