"""What is a dead letter, and what is none: whoever looks finds what has to be mended, and nothing else."""

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import CallResult
from shared.core.decision import Card, Decision
from shared.core.effects import Call, UpdateCard
from shared.observability.metrics import DEAD_LETTERS
from tests.scenario.handlers import BLANK
from tests.scenario.test_redrives import dlq
from tests.support.commands import run
from tests.support.world import World, clock_of_now, files, world

DAY_S = 24 * 3600


def ending_app() -> App:
    """Return handlers whose effects end badly in several ways."""
    app = App()

    @app.on_action("late")
    def late(click: Interaction, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({**BLANK, "by": click.event_id}, on_expired=click.value["on_expired"])]

    @app.on_action("call")
    def call(click: Interaction, card: Card | None) -> list[Call]:
        return [Call("publish")]

    @app.call("publish", attempts=1)
    async def publish(args: object, *, idempotency_key: str) -> None:
        raise RuntimeError("no")

    @app.on_result("publish")
    def published(result: CallResult, card: Card | None) -> Decision:
        return Decision(effects=[UpdateCard({**BLANK, "failed": result.error is not None})], state="told")

    @app.on_action("large")
    def large(click: Interaction, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({**BLANK, "elements": [{"tag": "markdown", "content": "x" * 40_000}]})]

    return app


async def _clicked(running: World, value: dict[str, Any], *, days_old: int = 0) -> str:
    """Click a card of this age, of which our ledger knows nothing, and wait until everything is at rest."""
    now = running.clock.now() if running.clock is not None else 0
    chat_id = await running.chat()
    card = running.simulator.put_card(chat_id, BLANK, sent_at=now - days_old * DAY_S * 1000)
    await running.simulator.click(card, value)
    await running.quiet()
    return card


@pytest.mark.parametrize("on_expired", ["successor", "reply", "skip"])
async def test_a_card_past_its_time_is_no_dead_letter(tmp_path: Path, on_expired: str) -> None:
    """Its author has said what is done then; the platform's refusal is nobody's to mend."""
    async with world(files(tmp_path), ending_app(), clock=clock_of_now()) as running:
        await _clicked(running, {"action": "late", "on_expired": on_expired}, days_old=20)
        ends = Counter((one.kind, one.status, one.reason) for one in await running.outcomes() if one.final)
        assert 1 == ends["UpdateCard", "failed", "expired"]
        assert (on_expired != "skip") == any(kind in {"SendCard", "Reply"} for kind, _, _ in ends)
        assert [0] == [worker.metrics.value(DEAD_LETTERS, "effect") for worker in running.workers]
        assert (0, []) == (await dlq(running, "list", "--json", folder=tmp_path))[:2]
        (gone,) = await running.ledger.failures.effects()
        code, _, complaint = await dlq(running, "redrive", f"{gone.event_id}/1", folder=tmp_path)
        assert (1, True) == (code, f"{gone.event_id}/1 cannot be: the card is past its time" in complaint), complaint


async def test_a_call_whose_handler_was_told_is_no_dead_letter(tmp_path: Path) -> None:
    """It has decided already; whoever names it all the same is told why it stays. Its line says which card it is."""
    async with world(files(tmp_path), ending_app(), clock=clock_of_now()) as running:
        with capture_logs() as lines:
            card = await _clicked(running, {"action": "call"})
        (line,) = (line for line in lines if line["event"] == "call_failed")
        assert (running.env["LARK_APP_ID"], card, 1) == (line["app_id"], line["open_message_id"], line["index"])
        assert [0] == [worker.metrics.value(DEAD_LETTERS, "effect") for worker in running.workers]
        assert (0, []) == (await dlq(running, "list", "--json", folder=tmp_path))[:2]
        (gone,) = await running.ledger.failures.effects()
        code, shown, _ = await dlq(running, "show", gone.event_id, "--json", folder=tmp_path)
        assert (0, ["Call"]) == (code, [one["what"] for one in shown])
        code, _, complaint = await dlq(running, "redrive", gone.event_id, folder=tmp_path)
        assert (1, True) == (code, "cannot be: its handler was told of the failure" in complaint), complaint


async def test_a_card_that_is_too_large_is_a_dead_letter(tmp_path: Path) -> None:
    """No call was made, and the card stands as it was: somebody has to mend the handler, and is told."""
    with capture_logs() as lines:
        async with world(files(tmp_path), ending_app(), clock=clock_of_now()) as running:
            card = await _clicked(running, {"action": "large"})
            assert [1] == [worker.metrics.value(DEAD_LETTERS, "effect") for worker in running.workers]
            _, listed, _ = await dlq(running, "list", "--json", folder=tmp_path)
            assert [("effect", "UpdateCard", "too_large", card)] == [
                (one["kind"], one["what"], one["reason"], one["message_id"]) for one in listed
            ]
            assert listed[0]["stays"].startswith("it would be refused again: ")
            _, told, _ = await dlq(running, "redrive", "--all", "--json", folder=tmp_path)
            assert {"redriven": 0, "meant": 0, "left": 1} == told[-1]
            await asyncio.sleep(0)
    (line,) = (line for line in lines if line["event"] == "effect_performed")
    assert ("warning", "refused", "too_large") == (line["log_level"], line["status"], line["reason"])


@pytest.mark.parametrize("folder_is_there", [True, False])
@pytest.mark.parametrize("command", ["dlq list", "dlq redrive --all", "db prune", "pending", f"card om_{'0' * 32}"])
def test_looking_at_a_ledger_makes_none(tmp_path: Path, command: str, *, folder_is_there: bool) -> None:
    """A wrong path is told as such, and the next one who looks finds it as it was."""
    folder = tmp_path / "data"
    if folder_is_there:
        folder.mkdir()
    stack = {"CARDWIRE_LEDGER": f"sqlite:///{folder / 'ledger.db'}", "CARDWIRE_LOG": f"sqlite:///{folder / 'log.db'}"}
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    ran = run(*command.split(), env={**inherited, **stack}, cwd=tmp_path)
    assert 2 == ran.returncode
    expected = (
        f"cardwire: CARDWIRE_LEDGER names {folder / 'ledger.db'}, where no file is: expected the ledger of a worker"
    )
    assert ran.stderr.startswith(expected), ran.stderr
    assert 1 == len(ran.stderr.splitlines())
    assert [] == (list(folder.iterdir()) if folder_is_there else [])
    assert json.dumps([]) == json.dumps(ran.stdout.split())
