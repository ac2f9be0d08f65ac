"""
A log moved from any back end to any other.

Real: every back end, its files or its broker, and the folder in between. The oracle: what each partition holds, read
from both, and the digests of both. Ids, keys, headers and their order are compared; times are the back end's own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.core.errors import CardwireError
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import NewRecord, Topics
from tests.support.event_logs import Backend, KafkaBackend, MemoryBackend, SqliteBackend, until
from tests.support.transfers import Heard, QuickClock, awkward, bring, export, held, story, unheard
from worker.transfer.exporting import Exported
from worker.transfer.following import begins, follow
from worker.transfer.importing import import_log
from worker.transfer.manifest import Manifest
from worker.transfer.patience import Patience

KINDS = ("memory", "sqlite", "kafka")
PAIRS = [
    pytest.param((source, target), marks=pytest.mark.kafka if "kafka" in {source, target} else ())
    for source in KINDS
    for target in KINDS
]
MANY = 20_000


@pytest.fixture
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Backend, Backend]]:
    """Two storages of this test's own."""
    found = [_backend(kind, request, tmp_path / name) for kind, name in zip(request.param, ("a", "b"), strict=True)]
    yield found[0], found[1]
    for each in found:
        await each.close()


def _backend(kind: str, request: pytest.FixtureRequest, folder: Path) -> Backend:
    match kind:
        case "memory":
            return MemoryBackend()
        case "sqlite":
            return SqliteBackend(folder)
        case _:
            return KafkaBackend(request.getfixturevalue("kafka"))


async def _opened(backend: Backend, records: Callable[[Topics], Sequence[NewRecord]] = lambda _: ()) -> OpenedLog:
    """Return a log with its topics, and with these records."""
    log, topics = backend.open(), backend.topics
    await log.create([topics.interactions, topics.outcomes, topics.dead])
    new = records(topics)
    for at in range(0, len(new), 500):
        await log.append(new[at : at + 500])
    return log


def _digests(manifest: Manifest) -> Sequence[tuple[int, str]]:
    return [(part.records, part.sha256) for topic in manifest.topics for part in topic.partitions]


@pytest.mark.parametrize("pair", PAIRS, indirect=True)
async def test_a_log_is_the_same_after_its_journey(pair: tuple[Backend, Backend], tmp_path: Path) -> None:
    """Partition by partition: keys, headers with their order and duplicates, values, also those that are no text."""
    source, target = pair
    old = await _opened(source, lambda topics: [*story(topics, clicks=60), awkward(topics.outcomes)])
    new = await _opened(target)
    done = await export(old, source.topics, tmp_path / "out")
    brought = await bring(new, target.topics, tmp_path / "out")
    back = await export(new, target.topics, tmp_path / "back")
    assert (152, 152, 0) == (done.manifest.records, brought.new, brought.repeated)
    assert await held(old, source.topics) == await held(new, target.topics)
    assert _digests(done.manifest) == _digests(back.manifest)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize("pair", [("sqlite", "kafka"), ("kafka", "sqlite")], indirect=True)
async def test_many_records_are_the_same_after_their_journey(pair: tuple[Backend, Backend], tmp_path: Path) -> None:
    """Several frames, several appends, several reads of each partition; and what was recorded meanwhile follows."""
    source, target = pair
    old = await _opened(source, lambda topics: story(topics, clicks=MANY * 2 // 5))
    new = _patient(target)
    await new.create([target.topics.interactions, target.topics.outcomes, target.topics.dead])
    await export(old, source.topics, tmp_path / "out")
    first = await bring(new, target.topics, tmp_path / "out")
    await old.append(story(source.topics, clicks=100, first=MANY))
    done: Exported = await export(old, source.topics, tmp_path / "out")
    second = await bring(new, target.topics, tmp_path / "out")
    back = await export(new, target.topics, tmp_path / "back")
    await new.close()
    assert (MANY + 1, 251) == (first.new, second.new)
    assert _digests(done.manifest) == _digests(back.manifest)


def _patient(backend: Backend) -> OpenedLog:
    """Return a log as the command opens it."""
    return open_log(backend.url, topics=backend.topics, append_timeout_s=30)


@pytest.mark.kafka
@pytest.mark.parametrize("pair", [("memory", "kafka")], indirect=True)
async def test_topics_that_nobody_made_are_refused(pair: tuple[Backend, Backend], tmp_path: Path) -> None:
    """Where topics are made on purpose, the line names the command."""
    source, target = pair
    await export(await _opened(source, lambda topics: story(topics, clicks=2)), source.topics, tmp_path / "out")
    with pytest.raises(CardwireError, match="run `cardwire topics create`"):
        await bring(target.open(), target.topics, tmp_path / "out")
    await _opened(target)  # to be deleted


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_an_outage_amid_an_import_is_waited_out(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Nothing is lost, what is told twice is known, and somebody hears of it."""
    backend = SqliteBackend(tmp_path / "b") if kind == "sqlite" else _breakable(request)
    source = MemoryBackend()
    old = await _opened(source, lambda topics: story(topics, clicks=3_000))
    await export(old, source.topics, tmp_path / "out")
    heard = Heard()
    await _opened(backend)
    importing = asyncio.create_task(_slowly(backend, tmp_path / "out", heard))
    await until(lambda: "importing" in heard.stages)
    async with backend.outage():
        await until(lambda: bool(heard.lines) or importing.done())
    done = await importing
    log = backend.open()
    back = await export(log, backend.topics, tmp_path / "back")
    await backend.close()
    assert 7_501 == done
    assert heard.lines, "the outage came too late"
    assert 7_501 <= back.manifest.records


def _breakable(request: pytest.FixtureRequest) -> KafkaBackend:
    broker = request.getfixturevalue("kafka_broker")
    return KafkaBackend(broker.bootstrap, broker)


async def _slowly(backend: Backend, folder: Path, heard: Heard) -> int:
    """Import by the clock on the wall."""
    return (await import_log(backend.open(), backend.topics, folder, clock=SystemClock(), told=heard)).new


@pytest.mark.parametrize(
    "pair",
    [pytest.param((kind, "memory"), marks=pytest.mark.kafka if kind == "kafka" else ()) for kind in KINDS],
    indirect=True,
)
async def test_what_is_appended_is_seen_by_who_follows(pair: tuple[Backend, Backend]) -> None:
    """From the beginning, in each partition's order, nothing twice; then what comes."""
    backend, _ = pair
    log = await _opened(backend, lambda topics: story(topics, clicks=30))
    topics = backend.topics
    spans = {name: await log.spans(name) for name in (topics.interactions, topics.outcomes)}
    seen: list[tuple[str, int, int]] = []
    following = follow(log, begins(spans), clock=QuickClock(), patience=Patience(QuickClock(), tell=unheard))
    async for piece in following:
        seen += [(one.topic, one.partition, one.offset) for one in piece]
        if len(seen) == 75:
            await log.append(story(topics, clicks=2, first=30))
        if len(seen) == 80:
            break
    await following.aclose()
    assert len(seen) == len(set(seen))
    places = {(topic, number) for topic, number, _ in seen}
    offsets = {place: [at for topic, number, at in seen if (topic, number) == place] for place in places}
    assert [] == [place for place, found in offsets.items() if found != [*range(len(found))]]
