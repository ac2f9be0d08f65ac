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
    meaning="Seconds that one call of the platform took, by API; `other`: one that only handlers call.",
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
    meaning="Seconds that a call waited for the platform's rate limit, by API (or `other`).",
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
# The second half of what people wait for, less what was decided to be waited for.
EFFECT_DELAY_SECONDS: Final = Metric(
    name="cardwire_effect_delay_seconds",
    kind="histogram",
    meaning="Seconds from an effect's being due to its call, by kind.",
    labels=("kind",),
    buckets=EFFECT_BUCKETS,
)
# Never below the settle gap: a client would paint the answer over the update.
ANSWERED_TO_EFFECT_SECONDS: Final = Metric(
    name="cardwire_answered_to_effect_seconds",
    kind="histogram",
    meaning="Seconds from the answered mark to the first call of an effect that waited for it.",
    buckets=EFFECT_BUCKETS,
)
# At 1 in sum over all workers, work waits for the platform's limit.
BUDGET_USE: Final = Metric(
    name="cardwire_budget_use",
    kind="gauge",
    meaning="This worker's calls as a share of an API's limit: in the last minute, and in the busiest second of it.",
    labels=("app_id", "api", "window"),
)
# Growing: the pumps stand still, or what they try fails again and again.
OLDEST_DUE_SECONDS: Final = Metric(
    name="cardwire_oldest_due_seconds",
    kind="gauge",
    meaning="Seconds for which the longest waiting target of the ledger is due, or an effect is wanted that was tried "
    "in vain; every worker shows the same.",
)
# A worker that was frozen, or calls that take longer than a lease.
LEASES_LOST: Final = Metric(
    name="cardwire_leases_lost",
    kind="counter",
    meaning="Targets whose lease was over before their outcome was stored.",
)
# Targets given back because their call would have come too early.
PUT_OFF: Final = Metric(
    name="cardwire_calls_put_off",
    kind="counter",
    meaning="Calls put off, by reason: rate_limit (more than 2 s ahead), silence (the platform wants none of the API), "
    "calls_full (64 of your own functions are under way).",
    labels=("reason",),
)
# At their bounds for long, what is due waits for what hangs.
CALLS_UNDER_WAY: Final = Metric(
    name="cardwire_calls_under_way",
    kind="gauge",
    meaning="Calls under way, with those that wait for a rate limit: of the platform (at most CARDWIRE_CONCURRENCY), "
    "of your own functions (at most 64).",
    labels=("of",),
)
# Each is a function that blocks its loop, or goes on when it is cancelled.
STUCK_CALLS: Final = Metric(
    name="cardwire_stuck_call_threads",
    kind="gauge",
    meaning="Threads hanging in functions of App.call; with more than 8, no function is called and the worker ends.",
)
# At 0 a card's next update cannot go by its token.
TOKEN_USES: Final = Metric(
    name="cardwire_card_token_uses",
    kind="counter",
    meaning="Calls by a card's update token, by how many uses it had left afterwards.",
    labels=("left",),
)
