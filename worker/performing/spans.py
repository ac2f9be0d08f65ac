"""The spans of a turn: one for each outcome of an effect that came with a trace, and within it one for its call."""

from shared.core.events import EffectOutcome
from shared.core.traceparent import deciding_span
from shared.feishu.api_names import shown_api
from shared.observability.traces import Traces
from worker.ledger.leased import Head
from worker.performing.turn import Result


def trace_outcomes(traces: Traces, came_to: Result, api: str | None) -> None:
    """
    Tell of outcomes.

    Args:
        api: What was called, if anything was.
    """
    for head, outcome in came_to.outcomes:
        if head.traceparent is not None:
            _trace(traces, head, outcome, head.traceparent, api)


def _trace(traces: Traces, head: Head, outcome: EffectOutcome, traceparent: str, api: str | None) -> None:
    began = outcome.finished_at if outcome.started_at is None else outcome.started_at
    effect = traces.begin(
        "effect",
        parent=deciding_span(traceparent, head.event_id),
        at=began,
        app_id=head.app_id,
        event_id=head.event_id,
        open_message_id=head.message_id,
        index=head.index,
        kind=head.kind,
    )
    if outcome.started_at is not None and api is not None:
        called = traces.begin("call", parent=effect.traceparent, at=began, api=shown_api(api))
        called.end(outcome.finished_at, code=outcome.code, http_status=outcome.http_status, log_id=outcome.log_id)
    effect.end(outcome.finished_at, status=outcome.status, reason=outcome.reason, k=outcome.k)
