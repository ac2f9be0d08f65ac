"""A ledger that an older program began, and what is decided on it after an upgrade."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import SendText, UpdateCard
from simulator.faults import FaultRule
from tests.scenario.handlers import BLANK, PATCH, SEND, counted
from tests.support import facts, old_ledgers
from tests.support.commands import run
from tests.support.dump import dump
from tests.support.world import Stack, World, files, world
from worker.ledger.open import open_ledger


class Mood:
    """Whether the handler of what is broken fails."""

    fails = True


def handlers(mood: Mood) -> App:
    """Return handlers that count, one of them by hundreds and only when it is well."""
    app = App()

    @app.on_action("count")
    def count(click: Interaction, card: Card | None) -> Decision:
        n = counted(card) + 1
        return Decision(state=n, effects=[UpdateCard({**BLANK, "n": n})])

    @app.on_action("broken")
    def broken(click: Interaction, card: Card | None) -> Decision:
        if mood.fails:
            raise ValueError
        n = counted(card) + 100
        return Decision(state=n, effects=[UpdateCard({**BLANK, "n": n})])

    @app.on_action("text")
    def text(click: Interaction, card: Card | None) -> list[SendText]:
        return [SendText("hello")]

    return app


async def cards(running: World) -> list[tuple[int, str]]:
    """Return version and state of every card."""
    return [(row["version"], row["state"].decode()) for row in (await dump(running.ledger.database)).cards]


async def clicked_before(running: World) -> str:
    """Count three times, fail once in between, and leave a text that the platform does not take yet."""
    card = running.simulator.put_card(await running.chat(), BLANK)
    async with running.worker():
        for action in ("count", "count", "broken", "count"):
            await running.simulator.click(card, {"action": action})
            await running.quiet()
        running.simulator.faults.set(1, [FaultRule(path="/open-apis/im/v1/messages", kind="429", p=1.0, ms=1_000)])
        await running.simulator.click(card, {"action": "text"})
        await running.until(lambda: bool(running.calls(SEND)))
    running.simulator.faults.set(1, [])
    return card


async def as_of_0002(running: World, url: str) -> None:
    """Put a ledger of schema 0002 with the same rows in the place of a world's, and upgrade it."""
    await old_ledgers.make(url, "0002", await old_ledgers.rows_of(running.stack.ledger))
    running.stack = replace(running.stack, ledger=url)
    running.env = {**running.env, **running.stack.env()}
    running.ledger = open_ledger(url)
    running.closing.push_async_callback(running.ledger.close)
    await running.ledger.upgrade()


async def test_what_failed_before_an_upgrade_is_redriven_on_the_card_as_it_is(
    either_ledger: Stack, tmp_path: Path
) -> None:
    """Its card counts on, what was pending is performed, and the ledger holds what was told."""
    mood = Mood()
    before = files(tmp_path)
    async with world(
        replace(before, ledger=f"sqlite:///{tmp_path / 'before.db'}"), handlers(mood), workers=0
    ) as running:
        card = await clicked_before(running)
        await as_of_0002(running, either_ledger.ledger)
        assert ["pending"] == [
            row["status"] for row in (await dump(running.ledger.database)).effects if row["kind"] == "SendText"
        ]
        mood.fails = False
        await running.start_worker()
        await running.quiet()
        assert [(4, "3")] == await cards(running)
        await running.check()
        path = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        env = {**path, **running.stack.env()}
        done = await asyncio.to_thread(run, "dlq", "redrive", "--card", card, env=env, cwd=tmp_path)
        assert (0, "1 are tried again by the workers, 0 cannot be\n") == (done.returncode, done.stdout)
        await running.quiet()
        assert [(5, "103")] == await cards(running)
        assert {"succeeded"} == {row["status"] for row in (await dump(running.ledger.database)).effects}
        assert 4 == len(running.calls(PATCH))
        assert [] == await running.ledger.failures.inputs()
        await running.check()


async def test_a_redrive_that_names_no_card_changes_none(either_ledger: Stack, tmp_path: Path) -> None:
    """One that was asked for before its letter knew its card is refused; asked for again, it is done."""
    mood = Mood()
    async with world(either_ledger, handlers(mood)) as running:
        card = running.simulator.put_card(await running.chat(), BLANK)
        for action in ("count", "broken"):
            await running.simulator.click(card, {"action": action})
            await running.quiet()
        mood.fails = False
        (failed,) = await running.ledger.failures.inputs()
        for message_id, found in ((None, (1, "1")), ("om_other", (1, "1")), (card, (2, "101"))):
            await running.append(facts.redrive(failed.event_id, 1, message_id=message_id, app_id=failed.app_id))
            await running.quiet()
            assert [found] == await cards(running)
        await running.check()
