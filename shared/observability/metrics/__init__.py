"""
The numbers of all processes, named in one place: here is the list, the declarations stand by stage.

A name is a promise to other people's dashboards: it is never reused with another meaning. Labels come from closed
lists, so that nobody outside can make them grow. docs/reference/metrics.md is generated from here.
"""

from typing import Final

from shared.observability.metrics.answering import (
    ANSWER_SECONDS,
    ANSWERS_DEFAULTED,
    APPEND_SECONDS,
    APPENDS_IN_FLIGHT,
    CALLBACKS,
    MARKS,
    PATHS_UNKNOWN,
    PREVIEWS_LOST,
    REFUSALS,
    REQUESTS,
    UNDELIVERED,
)
from shared.observability.metrics.connecting import (
    FRAMES_UNDER_WAY,
    LAST_FRAME_AGE,
    LONG_CONNECTION_UP,
    LONG_CONNECTIONS_LOST,
)
from shared.observability.metrics.deciding import (
    DEAD_LETTERS,
    DECIDE_SECONDS,
    DECISIONS,
    FENCED,
    HANDLER_SUSPENDED,
    LAG,
    LATE,
    LOST,
    MARKS_SEEN,
    STUCK_THREADS,
)
from shared.observability.metrics.keeping import RETENTION_LAST, RETENTION_OLDEST, RETENTION_ROWS
from shared.observability.metrics.metric import ANSWER_BUCKETS, EFFECT_BUCKETS, Metric, Together
from shared.observability.metrics.performing import (
    ANSWERED_TO_EFFECT_SECONDS,
    BREAKER_OPEN,
    BUDGET_USE,
    BUDGET_WAIT_SECONDS,
    CALL_SECONDS,
    CALLS_UNDER_WAY,
    CLICK_TO_UPDATE_SECONDS,
    EFFECT_DELAY_SECONDS,
    EFFECTS,
    LEASES_LOST,
    OLDEST_DUE_SECONDS,
    PUT_OFF,
    STUCK_CALLS,
    TOKEN_USES,
)
from shared.observability.metrics.process import (
    LACKS,
    LOG_LINES_LOST,
    PROCESSES_LOST,
    PROCESSES_UP,
)
from shared.observability.metrics.registry import Metrics
from shared.observability.metrics.spilling import (
    LOG_BREAKER_OPEN,
    SPILL_BYTES,
    SPILL_OLDEST_SECONDS,
    SPILL_ROWS,
    SPILLED,
)
from shared.observability.metrics.telling import (
    OUTBOX,
    RELAYED,
)

__all__ = [
    "ANSWERED_TO_EFFECT_SECONDS",
    "ANSWERS_DEFAULTED",
    "ANSWER_BUCKETS",
    "ANSWER_SECONDS",
    "APPENDS_IN_FLIGHT",
    "APPEND_SECONDS",
    "BREAKER_OPEN",
    "BUDGET_USE",
    "BUDGET_WAIT_SECONDS",
    "CALLBACKS",
    "CALLS_UNDER_WAY",
    "CALL_SECONDS",
    "CLICK_TO_UPDATE_SECONDS",
    "DEAD_LETTERS",
    "DECIDE_SECONDS",
    "DECISIONS",
    "EFFECTS",
    "EFFECT_BUCKETS",
    "EFFECT_DELAY_SECONDS",
    "FENCED",
    "FRAMES_UNDER_WAY",
    "GATEWAY_METRICS",
    "GROUP_METRICS",
    "HANDLER_SUSPENDED",
    "LACKS",
    "LAG",
    "LAST_FRAME_AGE",
    "LATE",
    "LEASES_LOST",
    "LOG_BREAKER_OPEN",
    "LOG_LINES_LOST",
    "LONG_CONNECTIONS_LOST",
    "LONG_CONNECTION_UP",
    "LOST",
    "MARKS",
    "MARKS_SEEN",
    "OLDEST_DUE_SECONDS",
    "OUTBOX",
    "PATHS_UNKNOWN",
    "PREVIEWS_LOST",
    "PROCESSES_LOST",
    "PROCESSES_UP",
    "PUT_OFF",
    "REFUSALS",
    "RELAYED",
    "REQUESTS",
    "RETENTION_LAST",
    "RETENTION_OLDEST",
    "RETENTION_ROWS",
    "SPILLED",
    "SPILL_BYTES",
    "SPILL_OLDEST_SECONDS",
    "SPILL_ROWS",
    "STUCK_CALLS",
    "STUCK_THREADS",
    "TOKEN_USES",
    "UNDELIVERED",
    "WORKER_METRICS",
    "Metric",
    "Metrics",
    "Together",
]

GATEWAY_METRICS: Final = (
    CALLBACKS,
    REFUSALS,
    PATHS_UNKNOWN,
    REQUESTS,
    ANSWER_SECONDS,
    APPEND_SECONDS,
    APPENDS_IN_FLIGHT,
    MARKS,
    LOG_BREAKER_OPEN,
    SPILL_ROWS,
    SPILL_BYTES,
    SPILL_OLDEST_SECONDS,
    SPILLED,
    UNDELIVERED,
    ANSWERS_DEFAULTED,
    LONG_CONNECTION_UP,
    LONG_CONNECTIONS_LOST,
    LAST_FRAME_AGE,
    FRAMES_UNDER_WAY,
    PREVIEWS_LOST,
    LOG_LINES_LOST,
)
"""What the gateway's ``/metrics`` shows."""

GROUP_METRICS: Final = (PROCESSES_UP, PROCESSES_LOST)
"""What ``/metrics`` of a gateway with several processes shows besides."""

WORKER_METRICS: Final = (
    LACKS,
    LAG,
    DECISIONS,
    DECIDE_SECONDS,
    LATE,
    MARKS_SEEN,
    LOST,
    FENCED,
    HANDLER_SUSPENDED,
    STUCK_THREADS,
    EFFECTS,
    CLICK_TO_UPDATE_SECONDS,
    EFFECT_DELAY_SECONDS,
    ANSWERED_TO_EFFECT_SECONDS,
    OLDEST_DUE_SECONDS,
    CALL_SECONDS,
    BUDGET_WAIT_SECONDS,
    BUDGET_USE,
    PUT_OFF,
    CALLS_UNDER_WAY,
    STUCK_CALLS,
    TOKEN_USES,
    LEASES_LOST,
    BREAKER_OPEN,
    DEAD_LETTERS,
    OUTBOX,
    RELAYED,
    RETENTION_ROWS,
    RETENTION_LAST,
    RETENTION_OLDEST,
    LOG_LINES_LOST,
)
"""What the worker's ``/metrics`` shows."""
