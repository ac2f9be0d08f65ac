"""Numbers of the worker's first stage: from records to decisions."""

from typing import Final

from shared.observability.metrics.metric import Metric

# What became of the inputs.
DECISIONS: Final = Metric(
    name="cardwire_decisions",
    kind="counter",
    meaning="Inputs, by result: decided, ignored, refused, failed, twin, counted, duplicate, parked.",
    labels=("result",),
)
# Marks that arrived; compare with the gateway's.
MARKS_SEEN: Final = Metric(name="cardwire_marks_seen", kind="counter", meaning="Answered marks read from the log.")
# Clicks that nobody will ever decide: retention was shorter than an outage.
LOST: Final = Metric(
    name="cardwire_records_lost_to_retention",
    kind="counter",
    meaning="Records that retention deleted before they were decided, found at start.",
)
# Rebalances under load: harmless in small numbers.
FENCED: Final = Metric(
    name="cardwire_batches_fenced",
    kind="counter",
    meaning="Batches dropped because another worker had moved a position.",
)
# User code that never came back.
STUCK_THREADS: Final = Metric(name="cardwire_stuck_threads", kind="gauge", meaning="Threads hanging in handlers.")
