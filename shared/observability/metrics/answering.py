"""Numbers of callbacks and requests, from their arrival to their answer."""

from typing import Final

from shared.observability.metrics.metric import ANSWER_BUCKETS, Metric

# How people are served: by kind of callback, and what they were told.
CALLBACKS: Final = Metric(
    name="cardwire_callbacks",
    kind="counter",
    meaning="Callbacks answered, by app, kind and outcome: recorded, not_recorded, answered (a link preview, recorded "
    "behind its answer if at all), parked, ignored, verified, rejected.",
    labels=("app_id", "kind", "outcome"),
)
# Who tried to get in and why not: an attack, or a wrong key.
REFUSALS: Final = Metric(
    name="cardwire_callback_refusals",
    kind="counter",
    meaning="Callbacks refused, by the app whose path they came to, and by cause.",
    labels=("app_id", "cause"),
)
# Nobody's mistake on a public address, or a wrong one in the console.
PATHS_UNKNOWN: Final = Metric(
    name="cardwire_paths_unknown",
    kind="counter",
    meaning="Requests at the port for callbacks that asked for a path which the gateway does not have.",
)
# Programs that ask. `not_recorded`: the log was away; `busy`: too many at once.
REQUESTS: Final = Metric(
    name="cardwire_requests",
    kind="counter",
    meaning="Requests of programs, by caller (unknown: nobody's token) and outcome: accepted, refused, busy, "
    "not_recorded.",
    labels=("caller", "outcome"),
)
# The promise that people feel: from the request's first byte to the answer's last.
ANSWER_SECONDS: Final = Metric(
    name="cardwire_answer_seconds",
    kind="histogram",
    meaning="Seconds from the start of a request to its answer written.",
    labels=("kind",),
    buckets=ANSWER_BUCKETS,
)
# The log's part of it.
APPEND_SECONDS: Final = Metric(
    name="cardwire_append_seconds",
    kind="histogram",
    meaning="Seconds that one append of a group of records took, by outcome: ok, refused, unavailable; spilled is the "
    "commit of a group to the spill instead.",
    labels=("outcome",),
    buckets=ANSWER_BUCKETS,
)
# Load: at its bound of 4096, callbacks are answered "may not have been recorded".
APPENDS_IN_FLIGHT: Final = Metric(
    name="cardwire_appends_in_flight",
    kind="gauge",
    meaning="Records that callers wait for to be durable.",
)
# Effects wait for marks; without them each waits three seconds.
MARKS: Final = Metric(
    name="cardwire_marks",
    kind="counter",
    meaning="Answered marks, by outcome: appended, or lost (effects then wait 3 s).",
    labels=("outcome",),
)
# The caller had gone: it was too slow a gateway, or a bad line.
UNDELIVERED: Final = Metric(
    name="cardwire_answers_undelivered",
    kind="counter",
    meaning="Answers whose caller had gone before they were written.",
)
# User code that was too slow for an answer; at `busy` no predicate is asked at all.
ANSWERS_DEFAULTED: Final = Metric(
    name="cardwire_answers_defaulted",
    kind="counter",
    meaning="Callbacks answered with nothing because a predicate or an answer function was late, failed, or could not "
    "be asked (busy).",
    labels=("reason",),
)
# Previews are asked for again; a handler that counts them counts too few.
PREVIEWS_LOST: Final = Metric(
    name="cardwire_previews_lost",
    kind="counter",
    meaning="Link previews that were answered, and that the log then did not take.",
)
