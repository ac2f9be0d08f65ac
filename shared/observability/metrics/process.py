"""Numbers of a process, and of several that share a port."""

from typing import Final

from shared.observability.metrics.metric import Metric

# Should be 0: a full disk, or somebody who stopped reading the lines.
LOG_LINES_LOST: Final = Metric(
    name="cardwire_log_lines_lost",
    kind="counter",
    meaning="Log lines of the process that nobody took: where they go to refused them, or stood still.",
)

# Fewer than CARDWIRE_PROCESSES: the others are being started again, or hang.
PROCESSES_UP: Final = Metric(
    name="cardwire_processes_up",
    kind="gauge",
    meaning="Processes of the gateway that showed their numbers for this page.",
)
# Each one is callbacks under way that their callers got no answer to.
PROCESSES_LOST: Final = Metric(
    name="cardwire_processes_lost",
    kind="counter",
    meaning="Processes of the gateway that ended unasked, and were started again.",
)
# Which of its needs a worker lacks; /readyz of a gateway says the same.
LACKS: Final = Metric(
    name="cardwire_worker_lacks",
    kind="gauge",
    meaning="1 while a worker is not ready, by what it lacks: starting, stalled, log_away, ledger_away, newer_record, "
    "too_much_failed, "
    "outbox_full.",
    labels=("lack",),
)
