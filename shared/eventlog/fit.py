"""Records that no log would ever take are refused before anything of their call is written."""

from collections.abc import Sequence
from typing import Final

from shared.core.errors import RecordRefused
from shared.eventlog.port import NewRecord

MAX_TIMESTAMP: Final = 2**63 - 1
"""Both Kafka and SQLite keep 64 bits."""


def refuse_unfit(records: Sequence[NewRecord], max_record_bytes: int) -> None:
    """
    Return if every record may be appended.

    Raises:
        RecordRefused: One is larger than ``max_record_bytes``, its key or a header's name is no Unicode text, or its
            timestamp no time after 1970. The error says how large, never what it holds.
    """
    for record in records:
        try:
            size = _size(record)
        except UnicodeEncodeError as error:
            raise RecordRefused(f"a record for {record.topic} has a key or header that is not Unicode text") from error
        if size > max_record_bytes:
            raise RecordRefused(f"a record for {record.topic} has {size} bytes; the log takes {max_record_bytes}")
        if not 0 <= record.timestamp <= MAX_TIMESTAMP:
            raise RecordRefused(f"a record for {record.topic} has no possible timestamp (ms since 1970)")


def _size(record: NewRecord) -> int:
    size = len(record.key.encode()) + len(record.value)
    for name, value in record.headers:
        size += (len(name) if name.isascii() else len(name.encode())) + len(value)
    return size
