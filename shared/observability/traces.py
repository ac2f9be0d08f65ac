"""
Spans of a click's way, for whoever collects traces: OpenTelemetry's, behind few lines of ours.

Off unless ``CARDWIRE_TRACES`` names a collector; then, and only then, OpenTelemetry is loaded (the extra ``otel``).
Spans are told when they are over, with the times that we know of them: deciding goes by batches, and an effect may wait
for a day. Nothing that a person typed, a card shows or a secret says is an attribute.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal

from shared.core.errors import ConfigError
from shared.core.json_text import EpochMs

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import TracerProvider

Name = Literal["callback", "request", "decide", "effect", "call"]

_NS: Final = 1_000_000
_EXPECTED: Final = (
    "CARDWIRE_TRACES is set, and OpenTelemetry is not installed: expected the extra, for example "
    "pip install 'cardwire[otel]'"
)


class Span:
    """A span that has begun."""

    def __init__(self, span: "OtelSpan") -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def end(self, at: EpochMs, **facts: str | int | None) -> None:
        """Tell of it: when it ended (ms), and what came of it."""
        self._span.set_attributes(_attributes(facts))
        self._span.end(end_time=at * _NS)


class Traces:
    """
    Tells of spans.

    Args:
        provider: Makes them; its ids come from `GivenIds`, where it is the SDK's.
    """

    def __init__(self, provider: "TracerProvider", ids: "GivenIds") -> None:
        self._provider, self._ids = provider, ids
        self._tracer = provider.get_tracer("cardwire")

    def begin(
        self, name: Name, *, parent: str | None, at: EpochMs, as_span: str | None = None, **facts: str | int | None
    ) -> Span:
        """
        Begin a span.

        Args:
            parent: The ``traceparent`` that it follows; without one, it begins a trace.
            at: When it began (ms).
            as_span: The ``traceparent`` that it is itself to have, where others know of it already.
        """
        self._ids.following = None if as_span is None else int(as_span.split("-")[2], 16)
        try:
            context = None if parent is None else _context(parent)
            begun = self._tracer.start_span(name, context=context, start_time=at * _NS, attributes=_attributes(facts))
        finally:
            self._ids.following = None
        return Span(begun)

    async def close(self) -> None:
        """Send what is not sent yet. Never raises."""
        shutdown = getattr(self._provider, "shutdown", None)
        if shutdown is not None:
            await asyncio.to_thread(shutdown)


class GivenIds:
    """Span ids: the one that is wanted next, else one of those that are drawn."""

    def __init__(self, drawn: Any) -> None:
        self._drawn = drawn
        self.following: int | None = None

    def __getattr__(self, name: str) -> Any:
        """Be like the SDK's in everything else."""
        return getattr(self._drawn, name)

    def generate_span_id(self) -> int:
        """Return the next one."""
        drawn: int = self._drawn.generate_span_id()
        return drawn if self.following is None else self.following


def open_traces(collector: str | None, service: str) -> Traces | None:
    """
    Return where a process tells of its spans, if it is to.

    Args:
        collector: Address of an OTLP collector (HTTP).
        service: What the process is called there.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    if collector is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(_EXPECTED) from error
    exporter = OTLPSpanExporter(endpoint=f"{collector.rstrip('/')}/v1/traces")
    return traces_to(BatchSpanProcessor(exporter), service)


def traces_to(processor: Any, service: str) -> Traces:
    """Return traces whose spans go to one of the SDK's processors."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

    ids: Any = GivenIds(RandomIdGenerator())
    provider = TracerProvider(resource=Resource.create({"service.name": service}), id_generator=ids)
    provider.add_span_processor(processor)
    return Traces(provider, ids)


def _context(parent: str) -> Any:
    from opentelemetry import trace  # noqa: PLC0415

    _, trace_id, span_id, flags = parent.split("-")
    remote = trace.SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(flags, 16)),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(remote))


def _attributes(facts: dict[str, str | int | None]) -> dict[str, str | int]:
    return {f"cardwire.{name}": value for name, value in facts.items() if value is not None}
