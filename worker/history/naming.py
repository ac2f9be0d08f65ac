"""Which records name an id (pure): what does not need not be decoded, where a whole topic is looked through for one."""

import json
from dataclasses import dataclass

from shared.eventlog.port import Record


@dataclass(frozen=True, slots=True)
class Naming:
    """An id as it stands in the JSON of records."""

    text: bytes

    @classmethod
    def of(cls, given: str) -> "Naming":
        """Return how records would name it; what is no text of UTF-8 is named by none."""
        # Without its quotes: it may be a part of a target.
        return cls(json.dumps(given, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"))

    def __call__(self, record: Record) -> bool:
        """Say whether a record names it, in whatever place."""
        return self.text in record.value
