"""Records written by version 1 are read, and written, byte for byte for ever."""

from pathlib import Path

import pytest

from shared.core.codec import RECORD_TYPES, decode, encode
from tests.unit.core.golden import GOLDEN
from tests.vectors import RECORDS

FILES = sorted(RECORDS.glob("*.record"))


def _parts(file: Path) -> tuple[str, int, tuple[tuple[str, bytes], ...], bytes]:
    head, _, value = file.read_bytes().partition(b"\n\n")
    lines = [line.partition(b": ") for line in head.split(b"\n")]
    (_, _, key), (_, _, timestamp), *headers = lines
    return key.decode(), int(timestamp), tuple((name.decode(), text) for name, _, text in headers), value


def _golden(file: Path) -> str:
    return file.name.removesuffix(".v1.record")


@pytest.mark.parametrize("file", FILES, ids=_golden)
def test_a_golden_record_still_means_what_it_meant(file: Path) -> None:
    """Bytes of version 1 decode to the same event."""
    _, _, headers, value = _parts(file)
    assert GOLDEN[_golden(file)][0] == decode(headers, value)


@pytest.mark.parametrize("file", FILES, ids=_golden)
def test_a_golden_record_is_still_written_with_the_same_bytes(file: Path) -> None:
    """Key, headers, time and value of an event do not drift."""
    event, traceparent = GOLDEN[_golden(file)]
    record = encode(event, traceparent=traceparent)
    assert _parts(file) == (record.key, record.timestamp, record.headers, record.value)


def test_every_record_type_and_every_event_has_a_golden_file() -> None:
    """A new record type comes with its bytes."""
    types = {dict(_parts(file)[2])["ce_type"].decode() for file in FILES}
    assert set(RECORD_TYPES) == types
    assert set(GOLDEN) == {_golden(file) for file in FILES}
