"""What a front end received, and what it is to write: the two ends of the pipeline."""

from typing import Final, Literal

from msgspec.structs import replace

from gateway.admission import CallbackHeaders
from shared.core.errors import CallbackRejected
from shared.core.events import CARD_ACTIONS, InteractionReceived
from shared.core.value import Value
from shared.eventlog.port import NewRecord
from shared.feishu.answer import not_recorded, render
from shared.observability.traces import Span

REJECTED: Final = b'{"error":"rejected"}'
"""The one body of every refusal: who is not let in learns nothing from it."""

UNAVAILABLE: Final = b'{"error":"unavailable"}'

Outcome = Literal["recorded", "not_recorded", "answered", "parked", "ignored", "verified", "rejected"]
"""What became of a callback; ``answered``: a link preview, which is recorded behind its answer, if at all."""


class Arrival(Value, frozen=True, kw_only=True):
    """
    A request as a front end received it.

    Attributes:
        body: Raw bytes, exactly as on the wire.
        started: When the request began, by the clock's `monotonic`: budgets count from here.
    """

    body: bytes
    headers: CallbackHeaders
    started: float


class Reply(Value, frozen=True, kw_only=True):
    """
    What the front end is to write; then it calls `Gate.answered`.

    Attributes:
        status: HTTP status.
        body: JSON, always.
        received: What was recorded, if anything was; less the action and the body.
        later: What is still to be recorded, once the answer is written.
        cause: Why not, in a few words of ours.
        hint: Which setting could be the matter.
        trace: The trace that it is part of, if there is one.
    """

    status: int
    body: bytes
    outcome: Outcome
    kind: str = "unknown"
    received: InteractionReceived | None = None
    later: NewRecord | None = None
    cause: str | None = None
    hint: str | None = None
    request_id: str | None = None
    started: float
    trace: "Trace | None" = None


class Trace(Value, frozen=True, kw_only=True):
    """A callback's trace: as its records name it, and our span of it, if we tell of any."""

    traceparent: str
    span: Span | None = None


def reply_to(
    arrival: Arrival,
    body: bytes,
    outcome: Outcome,
    *,
    status: int = 200,
    kind: str = "unknown",
    received: InteractionReceived | None = None,
    cause: str | None = None,
) -> Reply:
    """Return the reply to an arrival; ``received`` is what was made of it, if anything was."""
    return Reply(
        status=status,
        body=body,
        outcome=outcome,
        kind=kind,
        received=received,
        cause=cause,
        request_id=arrival.headers.request_id,
        started=arrival.started,
    )


def rejected(error: CallbackRejected, headers: CallbackHeaders, started: float) -> Reply:
    """Return the reply of a refusal: a status, the uniform body, and the cause for our own eyes."""
    return Reply(
        status=error.http_status,
        body=REJECTED,
        outcome="rejected",
        cause=error.cause,
        hint=error.hint,
        request_id=headers.request_id,
        started=started,
    )


def unrecorded(received: InteractionReceived, cause: str, arrival: Arrival) -> Reply:
    """Return the reply to an interaction that neither log nor spill has taken."""
    if received.kind in CARD_ACTIONS:
        # Card callbacks are never repeated: the person must know.
        body = render(not_recorded(), received.kind)
        return reply_to(arrival, body, "not_recorded", kind=received.kind, received=received, cause=cause)
    return reply_to(
        arrival, UNAVAILABLE, "not_recorded", status=503, kind=received.kind, received=received, cause=cause
    )


def trace_of(trace: Trace | None) -> str | None:
    """Return the ``traceparent`` of records, if there is a trace."""
    return None if trace is None else trace.traceparent


def traced(reply: Reply, trace: Trace | None) -> Reply:
    """Return a reply with its trace, if there is one."""
    return reply if trace is None else replace(reply, trace=trace)
