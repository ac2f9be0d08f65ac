"""Numbers of what a gateway keeps while the log is away."""

from typing import Final

from shared.observability.metrics.metric import Metric

# Should be 0; while it is 1, clicks live on this machine's disk.
LOG_BREAKER_OPEN: Final = Metric(
    name="cardwire_log_breaker_open",
    kind="gauge",
    meaning="1 while the gateway keeps its records from the log and puts them into its spill.",
    together="largest",
)
# Should be 0 soon after the log is back. `orphan`: the file being drained of those that crashed gateways left.
SPILL_ROWS: Final = Metric(
    name="cardwire_spill_rows",
    kind="gauge",
    meaning="Records that wait in spill files, by whose they are: own, orphan.",
    labels=("whose",),
)
SPILL_BYTES: Final = Metric(
    name="cardwire_spill_bytes",
    kind="gauge",
    meaning="Bytes of those records.",
    labels=("whose",),
)
SPILL_OLDEST_SECONDS: Final = Metric(
    name="cardwire_spill_oldest_seconds",
    kind="gauge",
    meaning="Seconds since the oldest record of the own spill was put there; 0 when it is empty.",
    together="largest",
)
# `refused` is what people were told to be perhaps not recorded; `rejected` needs a person.
SPILLED: Final = Metric(
    name="cardwire_spill_records",
    kind="counter",
    meaning="Records put into the spill (spilled), not taken by it (refused), brought from it into the log "
    "(forwarded), and parked because the brokers refuse them for good (rejected).",
    labels=("outcome",),
)
