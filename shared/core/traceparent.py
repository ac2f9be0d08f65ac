"""
Trace context, as text (pure).

A trace goes through the log and the ledger as its ``traceparent``. Spans that are told later than others refer to them
are derived, like all of our ids, so that whoever needs one need not have been told of it. Specification:
https://www.w3.org/TR/trace-context/#traceparent-header
"""

import hashlib
import re
from typing import Final

_FORM: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def valid_traceparent(given: str | None) -> str | None:
    """Return a ``traceparent`` as it was given, or ``None`` if it is none of version 00."""
    return given if given is not None and _FORM.fullmatch(given) else None


def deciding_span(traceparent: str, event_id: str) -> str:
    """
    Return the ``traceparent`` of the span in which an event is decided.

    Args:
        traceparent: Of the event's record.
    """
    version, trace_id, _, flags = traceparent.split("-")
    digest = hashlib.sha256(f"{trace_id}/{event_id}/decided".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{version}-{trace_id}-{digest[:16]}-{flags}"
