"""The contract of the log, what is refused: one test per law, for every back end."""

import asyncio

import pytest

from shared.core.errors import RecordRefused
from shared.eventlog.open import OpenedLog
from shared.eventlog.port import MAX_RECORD_BYTES, NewRecord
from tests.contract.eventlog.words import (
    at_the_beginning,
    everything,
    numbers_of,
)
from tests.support.event_logs import Backend, record


async def test_a_record_that_is_too_large_is_refused_and_others_are_not(backend: Backend, log: OpenedLog) -> None:
    """The caller learns that trying again is no use, at once; appends of others beside it succeed."""
    topic = backend.topics.interactions
    large = record(0, topic=topic, value=b"x" * (MAX_RECORD_BYTES + 1))
    results = await asyncio.gather(
        log.append([record(1, topic=topic)]),
        log.append([large]),
        log.append([record(2, topic=topic)]),
        return_exceptions=True,
    )
    assert [None, RecordRefused, None] == [result and type(result) for result in results]
    assert [1, 2] == numbers_of(await everything(log, topic))


async def test_the_largest_record_is_taken(backend: Backend, log: OpenedLog) -> None:
    """A record of exactly the permitted size is appended, read and consumed."""
    topic = backend.topics.interactions
    new = record(0, topic=topic, key="k", value=b"x" * (MAX_RECORD_BYTES - 1))
    await log.append([new])
    consumer = await at_the_beginning(log, topic)
    assert [new.value] == [each.value for each in await consumer.take(1)]


@pytest.mark.parametrize(
    "unfit",
    [
        pytest.param(record(0, key="lone \ud800 surrogate"), id="key"),
        pytest.param(record(0, headers=[("\udfff", b"")]), id="header"),
        pytest.param(record(-1_790_000_000_001), id="before 1970"),
        pytest.param(record(2**63), id="no such time"),
    ],
)
async def test_a_record_that_no_log_can_hold_is_refused(backend: Backend, log: OpenedLog, unfit: NewRecord) -> None:
    """What cannot be stored everywhere is stored nowhere, and nothing of its call is."""
    with pytest.raises(RecordRefused):
        await log.append([record(1), unfit])
    assert [] == await everything(log, backend.topics.interactions)
