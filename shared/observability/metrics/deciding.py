"""Numbers of the worker's first stage: from records to decisions."""

from typing import Final

from shared.observability.metrics.metric import EFFECT_BUCKETS, Metric

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
# Clicks that wait for a worker. A partition that nobody has is shown by nobody: compare the number of series.
LAG: Final = Metric(
    name="cardwire_lag_records",
    kind="gauge",
    meaning="Records of a partition of this worker's that are not decided yet.",
    labels=("partition",),
)
# The first half of what people wait for.
DECIDE_SECONDS: Final = Metric(
    name="cardwire_decide_seconds",
    kind="histogram",
    meaning="Seconds from the gateway's receipt of an input to its decision being stored.",
    buckets=EFFECT_BUCKETS,
)
# Clicks that were overtaken: an outage of the log, or a gateway whose line is slow.
LATE: Final = Metric(
    name="cardwire_clicks_late",
    kind="counter",
    meaning="Clicks decided well after a newer one of their card; their card update was dropped unless state was new.",
)
# Should be 0: user code that hangs. Its clicks fail meanwhile, and are kept.
HANDLER_SUSPENDED: Final = Metric(
    name="cardwire_handler_suspended",
    kind="gauge",
    meaning="1 while a handler is not called by any worker because it missed its deadline again and again; `app_id` is "
    "empty where all apps have the same handlers.",
    labels=("app_id", "handler"),
)
# Each is for a person to look at.
DEAD_LETTERS: Final = Metric(
    name="cardwire_dead_letters",
    kind="counter",
    meaning="What was put aside, by kind: undecodable (a record), handler (a click or a request that failed), effect "
    "(one that ended without success, so that somebody has to mend something).",
    labels=("kind",),
)
