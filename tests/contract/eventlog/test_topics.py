"""The contract of the log, topics: one test per law, for every back end."""

import time

import pytest

from shared.core.errors import LogUnavailable
from shared.eventlog.open import OpenedLog
from shared.eventlog.port import PARTITIONS, Span
from tests.contract.eventlog.words import GROUP, at_the_beginning, everything, numbers_of
from tests.support.event_logs import APPEND_TIMEOUT_S, Backend, record


async def test_creating_topics_again_leaves_them_as_they_are(backend: Backend, log: OpenedLog) -> None:
    """`create` makes what is missing, with all partitions, and keeps what is there."""
    await log.append([record(1, topic=backend.topics.interactions)])
    await log.create([backend.topics.interactions, backend.topics.dead])
    assert [1] == numbers_of(await everything(log, backend.topics.interactions))
    assert dict.fromkeys(range(PARTITIONS), Span(begin=0, end=0)) == await log.spans(backend.topics.dead)


async def test_differences_name_the_missing_topics(backend: Backend, log: OpenedLog) -> None:
    """Topics that `create` made are as they should be; one that is missing has a line."""
    made = [backend.topics.interactions, backend.topics.outcomes]
    await log.create(made)
    assert [] == list(await log.differences(made))
    (line,) = await log.differences([*made, backend.topics.dead])
    assert line.startswith(f"{backend.topics.dead}: missing")


async def test_pruning_leaves_what_is_young_and_makes_no_topic(backend: Backend, log: OpenedLog) -> None:
    """Nothing goes before its time, whoever deletes what is old."""
    await log.create([backend.topics.interactions])
    await log.append([record(1, topic=backend.topics.interactions)])
    for topic in (backend.topics.interactions, backend.topics.dead):
        assert [0, 0] == [await log.prune(topic, dry=dry) for dry in (True, False)]
    assert [1] == numbers_of(await everything(log, backend.topics.interactions))
    assert {} == await log.spans(backend.topics.dead)


@pytest.mark.features(makes_topics=False)
async def test_where_topics_are_made_by_hand_a_missing_one_is_refused(backend: Backend) -> None:
    """Appending to it and consuming it fail in time and say which command makes it."""
    log = backend.open()
    started = time.monotonic()
    with pytest.raises(LogUnavailable, match="cardwire topics create"):
        await log.append([record(1, topic=backend.topics.interactions)])
    with pytest.raises(LogUnavailable, match="cardwire topics create"):
        await log.consume(backend.topics.interactions, group=GROUP)
    assert time.monotonic() - started < 2 * APPEND_TIMEOUT_S
    assert not await log.ready()


@pytest.mark.features(makes_topics=True)
async def test_where_topics_make_themselves_nothing_need_be_created(backend: Backend) -> None:
    """The first record, or the first consumer, makes the topic."""
    log = backend.open()
    await log.append([record(1, topic=backend.topics.interactions)])
    assert [1] == numbers_of(await everything(log, backend.topics.interactions))
    consumer = await at_the_beginning(log, backend.topics.outcomes)
    await log.append([record(2, topic=backend.topics.outcomes)])
    assert [2] == numbers_of(await consumer.take(1))
