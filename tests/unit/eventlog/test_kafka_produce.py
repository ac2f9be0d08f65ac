"""The produce request, beside the one that aiokafka would write."""

import pytest
from aiokafka.errors import NotLeaderForPartitionError
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v3, ProduceResponse_v7
from aiokafka.record.default_records import DefaultRecordBatch

from shared.eventlog.kafka.produce import ALL, BATCH_BYTES, Produce, batch_of, errors_of
from tests.support.event_logs import record

TIMEOUT_MS = 1_000


@pytest.mark.parametrize("version", [3, 7])
def test_it_is_the_request_that_aiokafka_would_write(version: int) -> None:
    """Byte for byte, in both versions, for several partitions of several topics."""
    batches = {(topic, number): batch_of([record(number)])[0] for topic in ("a", "überall") for number in (0, 11)}
    topics = [(topic, [(number, bytes(batches[topic, number])) for number in (0, 11)]) for topic in ("a", "überall")]
    theirs = ProduceRequest(transactional_id=None, required_acks=ALL, timeout=TIMEOUT_MS, topics=topics)
    versions = {Produce.API_KEY: (version, version)}
    ours = Produce(batches, timeout_ms=TIMEOUT_MS).prepare(versions)
    assert version == ours.API_VERSION
    assert theirs.prepare(versions).encode() == ours.encode()


def test_a_batch_holds_records_as_they_are() -> None:
    """Keys, values, headers and times come back in order."""
    records = [record(number, value=b"%d" % number) for number in range(3)]
    batch, count = batch_of(records)
    read = list(DefaultRecordBatch(bytes(batch)))
    assert len(records) == count
    assert [(each.key, each.value, each.headers, each.timestamp) for each in records] == [
        (each.key.decode(), each.value, tuple(each.headers), each.timestamp) for each in read
    ]


def test_a_batch_takes_what_there_is_room_for() -> None:
    """What does not fit is left for the next one, and a record larger than a batch has one of its own."""
    large = record(0, value=b"x" * (2 * BATCH_BYTES))
    half = record(1, value=b"x" * (BATCH_BYTES // 2))
    assert 1 == batch_of([large, half])[1]
    assert 1 == batch_of([half, half])[1]
    assert 2 == batch_of([half, record(2)])[1]


def test_the_answer_says_what_became_of_each_partition() -> None:
    """In both versions, whatever else they tell."""
    old = ProduceResponse_v3(topics=[("a", [(0, 0, 5, -1), (1, 6, -1, -1)])], throttle_time_ms=0)
    new = ProduceResponse_v7(topics=[("a", [(0, 0, 5, -1, 0), (1, 6, -1, -1, -1)])], throttle_time_ms=0)
    for answer in (old, new):
        told = dict(errors_of(answer))
        assert told["a", 0] is None
        assert isinstance(told["a", 1], NotLeaderForPartitionError)
