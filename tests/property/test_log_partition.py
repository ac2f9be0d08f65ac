"""The partitioner is Kafka's, for any key and any number of partitions."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from shared.eventlog.partition import partition_of


@given(key=st.text(st.characters(exclude_categories=["Cs"])), partitions=st.integers(1, 64))
def test_a_key_goes_where_kafkas_default_partitioner_sends_it(key: str, partitions: int) -> None:
    """Records appended by us and by aiokafka under one key meet in one partition."""
    everyone = list(range(partitions))
    assert DefaultPartitioner()(key.encode(), everyone, everyone) == partition_of(key, partitions)
