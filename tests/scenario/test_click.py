"""`cardwire click`: press the demo's button in a running deployment, and tell what became of it."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import cardwire.demo
from cardwire import App, Card, Interaction, RenameChat
from tests.support.commands import run
from tests.support.world import World, files, world

pytestmark = pytest.mark.slow

OTHERS = 1_000
AT_ONCE = 20


async def _click(running: World, folder: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command beside a world that runs in this process."""
    env = {"LARK_DOMAIN": running.simulator.url, "CARDWIRE_LOG": running.stack.log, **settings}
    return await asyncio.to_thread(run, "click", *options, env=env, cwd=folder)


def _without_the_card() -> App:
    app = App()

    @app.on_action("follow_up")
    def follow_up(_click: Interaction, _card: Card | None) -> list[RenameChat]:
        return [RenameChat("跟进中")]

    return app


async def test_a_click_is_told_from_the_press_to_the_changed_card(tmp_path: Path) -> None:
    """In the order in which it happened; exit code 0, and nothing on standard error."""
    async with world(files(tmp_path), cardwire.demo.app) as running:
        ran = await _click(running, tmp_path)
    assert (0, "") == (ran.returncode, ran.stderr)
    words = (
        "clicked",
        "received",
        "answered",
        "decided",
        "updated",
        "card  待处理 → 跟进中",
        "chat  支付告警 → 跟进中",
    )
    places = [ran.stdout.index(word) for word in words]
    assert sorted(places) == places


async def test_a_program_reads_a_line_for_each_step_and_one_for_the_result(tmp_path: Path) -> None:
    """JSON lines; every step names the same event."""
    async with world(files(tmp_path), cardwire.demo.app) as running:
        ran = await _click(running, tmp_path, "--json")
    *steps, result = map(json.loads, ran.stdout.splitlines())
    assert 0 == ran.returncode
    assert {"card": "跟进中", "chat": "跟进中"} == result
    assert ["clicked", "received", "answered", "decided", "updated", "updated"] == [step["what"] for step in steps]
    assert 1 == len({step["event_id"] for step in steps})


async def test_handlers_that_do_something_else_end_it_with_what_is_missing(tmp_path: Path) -> None:
    """The timeline is told all the same; exit code 1."""
    async with world(files(tmp_path), _without_the_card()) as running:
        ran = await _click(running, tmp_path)
    assert 1 == ran.returncode
    assert ["cardwire click: the card still reads 待处理, expected 跟进中"] == ran.stderr.splitlines()
    assert "follow_up: RenameChat" in ran.stdout


async def test_a_click_without_a_handler_is_told_as_ignored_and_not_waited_for(tmp_path: Path) -> None:
    """What nobody decided changes nothing, and that is known at once."""
    async with world(files(tmp_path), App()) as running:
        began = asyncio.get_running_loop().time()
        ran = await _click(running, tmp_path)
        took_s = asyncio.get_running_loop().time() - began
    assert 1 == ran.returncode
    assert "ignored" in ran.stdout
    line = "no handler of this deployment is for its button, follow_up: expected those of examples/followup"
    assert [f"cardwire click: {line}"] == ran.stderr.splitlines(), "one line, instead of everything that follows"
    assert took_s < 15, "it waited for what cannot come"


async def test_a_click_that_gets_no_good_answer_says_what_the_person_saw(tmp_path: Path) -> None:
    """An address that leads nowhere: the answer's status, and the client's error, before what follows from them."""
    async with world(files(tmp_path), cardwire.demo.app) as running:
        running.simulator.callback_url = f"{running.gateway.url}/nowhere"
        ran = await _click(running, tmp_path)
    assert 1 == ran.returncode
    told = "cardwire click: the click got the answer 404: the person's client shows error 200671"
    assert told == ran.stderr.splitlines()[0]


async def test_other_peoples_clicks_are_neither_told_nor_in_the_way(tmp_path: Path) -> None:
    """A log with a thousand clicks of others, and more that arrive meanwhile."""
    async with world(files(tmp_path), cardwire.demo.app, limits="none") as running:
        await _others(running, OTHERS)
        meanwhile = asyncio.create_task(_others(running, OTHERS // 10))
        ran = await _click(running, tmp_path, "--json")
        await meanwhile
        assert len(await running.events(running.topics.interactions)) > 2 * OTHERS
    *steps, _ = map(json.loads, ran.stdout.splitlines())
    assert (0, "") == (ran.returncode, ran.stderr)
    assert ["by ou_ada"] == [step["detail"] for step in steps if step["what"] == "clicked"]
    assert 6 == len(steps)


async def _others(running: World, number: int) -> None:
    """Click a card in another chat, a few people at a time."""
    message_id = running.simulator.put_card(await running.chat(), cardwire.demo.alert_card("另一条告警"))
    action: dict[str, Any] = {"action": "follow_up", "alert": "另一条告警"}
    for _ in range(0, number, AT_ONCE):
        await asyncio.gather(*(running.simulator.click(message_id, action) for _ in range(AT_ONCE)))
