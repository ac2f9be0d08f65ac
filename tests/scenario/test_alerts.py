"""Whoever is to be woken is woken: outages are played, and the alert's own expression is asked."""

from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import Reminder
from shared.core.decision import Card
from shared.core.effects import Remind
from simulator.faults import FaultRule
from tests.scenario.handlers import BLANK, COUNT, app_of_stories
from tests.support.alerting import holds
from tests.support.dump import dump
from tests.support.world import World, clock_of_now, files, world

ALERT = "CardwireNothingGoesOn"
FOR_S = 300
"""As long as the expression has to hold before anybody is woken."""


async def _held(running: World, *, from_s: int = 90, for_s: int = FOR_S) -> list[bool]:
    """Let an outage last; return, for each time that Prometheus would look, whether the expression held."""
    assert running.clock is not None
    (worker,), clock = running.workers, running.clock
    began, seen = clock.now(), []
    for at_s in range(from_s, from_s + for_s, 15):
        until = began + at_s * 1000
        await running.until(lambda until=until: clock.now() >= until, patience_s=60)  # type: ignore[misc]
        seen.append(holds(ALERT, worker.metrics.exposition().decode()))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drop_before", "500", "wrong secret"])
async def test_an_outage_of_the_platform_fires_the_alert_until_it_is_over(tmp_path: Path, kind: str) -> None:
    """Every attempt puts off what is due; how long people wait does not become less by that."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_of_stories(), clock=clock, workers=0) as running:
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(4)]
        if kind == "wrong secret":
            env = {"LARK_APP_SECRET": "not-the-one"}
        else:
            env = {}
            running.simulator.faults.set(1, [FaultRule(path="/open-apis/*", kind=kind, p=1.0)])  # type: ignore[arg-type]
        with capture_logs() as lines:
            async with running.worker(env):
                for card in cards:
                    await running.simulator.click(card, COUNT)
                held = await _held(running)
                assert {True} == set(held)
                if kind != "wrong secret":
                    running.simulator.faults.set(1, [])
                    await running.quiet(patience_s=60)
                    (worker,) = running.workers
                    await running.until(lambda: not holds(ALERT, worker.metrics.exposition().decode()))
        told = [line for line in lines if line["event"].startswith("platform_calls_")]
        began = [line for line in told if line["event"] == "platform_calls_held_back"]
        assert 1 == len(began), told
        assert ["since" in began[0], began[0]["app_id"]] == [True, running.env["LARK_APP_ID"]]
        if kind == "wrong secret":
            assert (10014, "LARK_APP_SECRET: ") == (began[0]["code"], began[0]["hint"][:17])
            assert "LARK_APP_ID" in began[0]["hint"]
        else:
            assert "hint" not in began[0]
            assert {"drop_before": None, "500": 500}[kind] == began[0].get("http_status")
            assert ["platform_calls_go_on"] == [line["event"] for line in told[1:]]


@pytest.mark.slow
async def test_one_card_that_the_platform_refuses_again_and_again_fires_the_alert(tmp_path: Path) -> None:
    """No breaker opens for it, and back-off leaves nothing due: it counts from when it was wanted."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_of_stories(), clock=clock) as running:
        chat_id = await running.chat()
        bad, good = [running.simulator.put_card(chat_id, BLANK) for _ in range(2)]
        running.simulator.faults.set(1, [FaultRule(path=f"/open-apis/im/v1/messages/{bad}", kind="500", p=1.0)])
        await running.simulator.click(good, COUNT)
        await running.simulator.click(bad, COUNT)
        assert {True} == set(await _held(running))
        (worker,) = running.workers
        assert "cardwire_platform_breaker_open{" not in worker.metrics.exposition().decode().replace(
            f'cardwire_platform_breaker_open{{app_id="{running.env["LARK_APP_ID"]}"}} 0.0', ""
        )


@pytest.mark.slow
async def test_what_is_put_off_on_purpose_wakes_nobody(tmp_path: Path) -> None:
    """A reminder of tomorrow waits, and nobody waits for it."""
    app = App()

    @app.on_action("count")
    def count(click: Interaction, card: Card | None) -> list[Remind]:
        return [Remind(timedelta(days=1), key="escalate")]

    @app.on_reminder("escalate")
    def escalate(reminder: Reminder, card: Card | None) -> None:
        return None

    async with world(files(tmp_path), app, clock=clock_of_now()) as running:
        chat_id = await running.chat()
        await running.simulator.click(running.simulator.put_card(chat_id, BLANK), COUNT)
        assert {False} == set(await _held(running, for_s=60))
        assert ["pending"] == [row["status"] for row in (await dump(running.ledger.database)).effects]
