"""Numbers of the worker's second stage: from effects to what became of them."""

from typing import Final

from shared.observability.metrics.metric import ANSWER_BUCKETS, EFFECT_BUCKETS, Metric

# What became of the effects.
EFFECTS: Final = Metric(
    name="cardwire_effects",
    kind="counter",
    meaning="Effects that came to an end or to a failed attempt, by kind and status.",
    labels=("kind", "status"),
)
# Waiting for the platform.
CALL_SECONDS: Final = Metric(
    name="cardwire_call_seconds",
    kind="histogram",
    meaning="Seconds that one call of the platform took, by API.",
    labels=("api",),
    buckets=ANSWER_BUCKETS,
)
# What people wait for.
CLICK_TO_UPDATE_SECONDS: Final = Metric(
    name="cardwire_click_to_update_seconds",
    kind="histogram",
    meaning="Seconds from the gateway's receipt of a click to the platform's acceptance of an effect, by kind.",
    labels=("kind",),
    buckets=EFFECT_BUCKETS,
)
# Which limit holds work back.
BUDGET_WAIT_SECONDS: Final = Metric(
    name="cardwire_budget_wait_seconds",
    kind="histogram",
    meaning="Seconds that a call waited for the platform's rate limit, by API.",
    labels=("api",),
    buckets=EFFECT_BUCKETS,
)
# Should be 0; each one is calls that were not made.
BREAKER_OPEN: Final = Metric(
    name="cardwire_platform_breaker_open",
    kind="gauge",
    meaning="1 while calls of an app are held back because the platform cannot be reached.",
    labels=("app_id",),
)
