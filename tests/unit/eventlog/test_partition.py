"""The partitioner agrees with Kafka's."""

import pytest
from aiokafka.partitioner import murmur2 as theirs

from shared.eventlog.partition import murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_the_java_client(data: bytes, expected: int) -> None:
    """The examples of Apache Kafka's own UtilsTest (clients/src/test/java/org/apache/kafka/common/utils) come out."""
    assert expected & 0xFFFFFFFF == murmur2(data)


def test_every_remainder_of_length_is_hashed_like_aiokafka_does() -> None:
    """Lengths that are no multiple of four are padded by nothing."""
    data = bytes(range(255, 215, -1))
    assert [theirs(data[:length]) for length in range(40)] == [murmur2(data[:length]) for length in range(40)]


def test_keys_spread_over_all_partitions() -> None:
    """Neighbouring message ids do not crowd on a few partitions."""
    counts = [0] * 12
    for number in range(1200):
        counts[partition_of(f"cli_a1:om_{number:032x}", 12)] += 1
    assert min(counts) > 60
