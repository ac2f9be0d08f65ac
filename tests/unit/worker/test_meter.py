"""What happened is counted under the names that dashboards know."""

from typing import Any

import pytest

from shared.core.events import EffectOutcome
from shared.core.ids import AppId, EventId, Target, TenantKey
from shared.observability.metrics import (
    ANSWERED_TO_EFFECT_SECONDS,
    CLICK_TO_UPDATE_SECONDS,
    DEAD_LETTERS,
    DECIDE_SECONDS,
    DECISIONS,
    EFFECT_DELAY_SECONDS,
    EFFECTS,
    HANDLER_SUSPENDED,
    LAG,
    LATE,
    TOKEN_USES,
)
from worker.ledger.decided import HandlerKey
from worker.ledger.leased import Head
from worker.meter import Meter

AT = 1_750_000_000_000


def head(**fields: Any) -> Head:
    """Return an effect that was received, marked and due."""
    given: dict[str, Any] = {"due": AT, "received_at": AT - 700, "marked_at": AT - 300, "k": 0, **fields}
    return Head(
        app_id=AppId("cli_a"),
        event_id=EventId("e1"),
        index=1,
        tenant_key=TenantKey("t"),
        message_id=None,
        kind="UpdateCard",
        target=Target("message:om_1"),
        audience="*",
        coalesce="card",
        order=1,
        occurred_at=AT - 900,
        decided_at=AT - 600,
        attempts=0,
        begun_at=None,
        **given,
    )


def outcome(status: str = "succeeded", **fields: Any) -> EffectOutcome:
    """Return what became of it."""
    given: dict[str, Any] = {"k": 1, "started_at": AT + 50, "finished_at": AT + 90, **fields}
    return EffectOutcome(
        event_id=EventId("e1"),
        app_id=AppId("cli_a"),
        tenant_key=TenantKey("t"),
        index=1,
        kind="UpdateCard",
        target=Target("message:om_1"),
        status=status,  # type: ignore[arg-type]  # as the test says
        **given,
    )


def _sum(meter: Meter, name: str) -> float:
    """Return the sum of a histogram, whatever its labels."""
    lines = meter.metrics.exposition().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}_sum"))


def test_a_batch_is_counted_by_result_and_measured_from_receipt() -> None:
    """Dead letters by what they are, late clicks by themselves."""
    meter = Meter()
    meter.decided({"decided": 3, "failed": 2, "parked": 1}, marks=4, late=2, after_s=[0.25, 0.5, 0.75])
    metrics = meter.metrics
    assert [3, 2, 1] == [metrics.value(DECISIONS, result) for result in ("decided", "failed", "parked")]
    assert [2, 1, 0] == [metrics.value(DEAD_LETTERS, kind) for kind in ("handler", "undecodable", "effect")]
    assert (2, 3, 1.5) == (metrics.value(LATE), metrics.value(DECIDE_SECONDS), _sum(meter, "cardwire_decide_seconds"))


def test_a_success_is_measured_from_its_click_its_mark_and_its_time() -> None:
    """Three waits that people have, and only one of them is wanted."""
    meter = Meter()
    meter.outcome(head(), outcome())
    assert [1, 1, 1] == [
        meter.metrics.value(CLICK_TO_UPDATE_SECONDS, "UpdateCard"),
        meter.metrics.value(EFFECT_DELAY_SECONDS, "UpdateCard"),
        meter.metrics.value(ANSWERED_TO_EFFECT_SECONDS),
    ]
    assert [0.79, 0.05, 0.35] == [
        pytest.approx(_sum(meter, f"cardwire_{name}_seconds"))
        for name in ("click_to_update", "effect_delay", "answered_to_effect")
    ]


def test_an_outcome_without_a_call_has_no_delay() -> None:
    """It was superseded, or refused."""
    meter = Meter()
    meter.outcome(head(), outcome("superseded", started_at=None))
    assert 0 == meter.metrics.value(EFFECT_DELAY_SECONDS, "UpdateCard")
    assert 1 == meter.metrics.value(EFFECTS, "UpdateCard", "superseded")


def test_only_a_final_failure_is_a_dead_letter() -> None:
    """What is tried again is not lost."""
    meter = Meter()
    meter.outcome(head(), outcome("failed", final=False))
    assert (1, 0) == (
        meter.metrics.value(EFFECTS, "UpdateCard", "retried"),
        meter.metrics.value(DEAD_LETTERS, "effect"),
    )
    meter.outcome(head(k=1), outcome("failed", k=2))
    assert 1 == meter.metrics.value(DEAD_LETTERS, "effect")
    assert 1 == meter.metrics.value(ANSWERED_TO_EFFECT_SECONDS)


def test_calls_by_a_token_are_counted_by_what_was_left() -> None:
    """At none, the next update goes another way."""
    meter = Meter()
    for left in (1, 0, 1):
        meter.outcome(head(), outcome(uses_left=left))
    assert (2, 1) == (meter.metrics.value(TOKEN_USES, "1"), meter.metrics.value(TOKEN_USES, "0"))


def test_what_is_over_is_shown_no_more() -> None:
    """A partition that went to another worker, a suspension that ended."""
    meter = Meter()
    meter.lag({0: 5, 1: 0})
    meter.lag({1: 7})
    meter.suspended([HandlerKey(AppId("cli_a"), "follow_up")])
    assert 1 == meter.metrics.value(HANDLER_SUSPENDED, "cli_a", "follow_up")
    meter.suspended([])
    shown = meter.metrics.exposition().decode()
    assert 'cardwire_lag_records{partition="1"} 7.0' in shown
    assert 'cardwire_lag_records{partition="0"}' not in shown
    assert (0, 0) == (meter.metrics.value(LAG, "0"), meter.metrics.value(HANDLER_SUSPENDED, "cli_a", "follow_up"))
