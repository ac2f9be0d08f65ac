"""What our topics are made with, and what of others' topics will do."""

from dataclasses import replace

import pytest

from shared.core.errors import RecordRefused
from shared.core.secret import Secret
from shared.eventlog.fit import refuse_unfit
from shared.eventlog.kafka.options import KafkaOptions, connection
from shared.eventlog.kafka.topics import TopicState, differences, wanted
from shared.settings.sections import KafkaSecurity
from tests.support.event_logs import record

OPTIONS = KafkaOptions()
GOOD = wanted(OPTIONS, brokers=3)


def _with(**settings: str) -> TopicState:
    renamed = {name.replace("_", "."): value for name, value in settings.items()}
    return replace(GOOD, settings={**GOOD.settings, **renamed})


@pytest.mark.parametrize(("brokers", "copies", "in_sync"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (9, 3, 2)])
def test_copies_follow_the_number_of_brokers(brokers: int, copies: int, in_sync: int) -> None:
    """Three copies, two of which must have a record, where there are brokers for them; else what there is."""
    state = wanted(OPTIONS, brokers=brokers)
    assert (copies, str(in_sync)) == (state.replication_factor, state.settings["min.insync.replicas"])


def test_copies_can_be_set() -> None:
    """A deployment's own numbers win."""
    state = wanted(KafkaOptions(replication_factor=2, min_insync_replicas=2), brokers=5)
    assert (2, "2") == (state.replication_factor, state.settings["min.insync.replicas"])


def test_a_topic_as_wanted_has_no_differences() -> None:
    """So has one with more than is needed."""
    assert [] == list(differences("t", GOOD, GOOD))
    more = _with(retention_ms="-1", max_message_bytes="9000000", min_insync_replicas="3", segment_ms="1")
    assert [] == list(differences("t", replace(more, replication_factor=5), GOOD))


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (None, "t: missing; run `cardwire topics create`"),
        (replace(GOOD, partitions=6), "t: 6 partitions, expected 12"),
        (replace(GOOD, replication_factor=1), "t: replication factor 1, expected 3"),
        (_with(retention_ms="604800000"), "t: retention.ms=604800000, expected 2851200000"),
        (_with(max_message_bytes="1000"), "t: max.message.bytes=1000, expected 1010000"),
        (_with(min_insync_replicas="1"), "t: min.insync.replicas=1, expected 2"),
        (_with(cleanup_policy="compact"), "t: cleanup.policy=compact, expected delete"),
        (_with(message_timestamp_type="CreateTime"), "t: message.timestamp.type=CreateTime, expected LogAppendTime"),
    ],
)
def test_what_will_not_do_has_a_line(found: TopicState | None, line: str) -> None:
    """The line tells what is there and what is expected."""
    assert [line] == list(differences("t", found, GOOD))


def test_security_becomes_the_clients_arguments() -> None:
    """SASL over TLS, with the password revealed only there."""
    security = KafkaSecurity(
        tls=True,
        ca=None,
        certificate=None,
        key=None,
        mechanism="SCRAM-SHA-512",
        username="cardwire",
        password=Secret("hunter2"),
    )
    found = connection("a:1,b:2", security)
    assert ("a:1,b:2", "SASL_SSL") == (found["bootstrap_servers"], found["security_protocol"])
    assert ("SCRAM-SHA-512", "cardwire", "hunter2") == (
        found["sasl_mechanism"],
        found["sasl_plain_username"],
        found["sasl_plain_password"],
    )
    assert "hunter2" not in repr(security)


def test_the_size_of_a_record_counts_key_headers_and_value_as_bytes() -> None:
    """The limit is one of bytes on the wire, and the error does not show what is in the record."""
    fits = record(0, key="键", value=b"secret", headers=[("n", b"v")])
    refuse_unfit([fits], 3 + 6 + 2)
    with pytest.raises(RecordRefused, match="11 bytes; the log takes 10") as caught:
        refuse_unfit([fits], 10)
    assert "secret" not in str(caught.value)
