"""What processes say about themselves: log lines without secrets, and numbers."""

from shared.observability.logs import Level, Style, configure_logs, flush_logs, log_lines_lost, release_logs, say
from shared.observability.metrics import Metric, Metrics
from shared.observability.redact import redact

__all__ = [
    "Level",
    "Metric",
    "Metrics",
    "Style",
    "configure_logs",
    "flush_logs",
    "log_lines_lost",
    "redact",
    "release_logs",
    "say",
]
