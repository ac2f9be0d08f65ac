"""Numbers of what goes for its age."""

from typing import Final

from shared.observability.metrics.metric import Metric

RETENTION_ROWS: Final = Metric(
    name="cardwire_retention_rows",
    kind="counter",
    labels=("table",),
    meaning="Rows of the ledger, and records of a SQLite log, deleted for their age by the hourly sweep; a topic is "
    "`log_interactions`, `log_outcomes` or `log_dead`.",
)
# Of the worker that swept last; the others show what they did themselves. Look at the largest.
RETENTION_LAST: Final = Metric(
    name="cardwire_retention_last_run_timestamp_seconds",
    kind="gauge",
    meaning="When this worker last swept ledger and log to their end (Unix time); one of the fleet does, every hour.",
)
RETENTION_OLDEST: Final = Metric(
    name="cardwire_retention_oldest_seconds",
    kind="gauge",
    labels=("table",),
    meaning="How old the oldest row was that stayed, by the table's own time.",
)
