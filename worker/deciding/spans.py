"""The spans of a batch that was committed: one for each input that came with a trace."""

from collections.abc import Iterable

from shared.core.events import Decided
from shared.core.json_text import EpochMs
from shared.core.traceparent import deciding_span
from shared.observability.traces import Traces


def trace_decisions(
    traces: Traces, decisions: Iterable[tuple[str | None, Decided]], *, began: EpochMs, at: EpochMs
) -> None:
    """
    Tell of decisions.

    Args:
        decisions: Each with the ``traceparent`` of its input's record, if it has one.
        began: When the batch was read; `at` when it was stored (ms, ledger's clock).
    """
    for traceparent, decided in decisions:
        if traceparent is not None:
            traces.begin(
                "decide",
                parent=traceparent,
                at=began,
                as_span=deciding_span(traceparent, decided.event_id),
                app_id=decided.app_id,
                event_id=decided.event_id,
                open_message_id=decided.message_id,
            ).end(at, handler=decided.handler, result=decided.result, effects=len(decided.effects))
