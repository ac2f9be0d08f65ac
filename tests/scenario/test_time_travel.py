"""Time travel over a whole recorded story, as a developer types it."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.clock import ManualClock
from tests.scenario.test_events import pushed
from tests.scenario.travelers import BLANK, app
from tests.support import facts
from tests.support.commands import run
from tests.support.world import ENCRYPTED, Stack, World, clock_of_now, files, world

pytestmark = pytest.mark.slow

STORY = Path(__file__).with_name("travelers.py").read_text()
BOTH = {**ENCRYPTED, "LARK_CALLBACKS": "both"}
SECRET = "ou_ada"


async def _diff(running: World, folder: Path, *options: str, code: str = STORY) -> subprocess.CompletedProcess[str]:
    """Travel through a world's log with handlers of this text."""
    (folder / "traveling.py").write_text(code)
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    env = {**inherited, **running.stack.env(), "CARDWIRE_APP": "nowhere:app"}
    return await asyncio.to_thread(run, "diff", "--app", "traveling:app", *options, env=env, cwd=folder)


def _lines(ran: subprocess.CompletedProcess[str]) -> list[Any]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


async def _press(running: World, card: str, *values: dict[str, Any], who: str = "ou_ada") -> None:
    for value in values:
        await running.simulator.click(card, value, open_id=who)
        await running.quiet()


async def _has_decided(running: World, handler: str) -> bool:
    return handler in {decided.handler for decided in await running.decisions()}


async def _play(running: World, clock: ManualClock) -> dict[str, str]:
    """Play the whole story; return its cards by what is done with them."""
    chat_id = await running.chat()
    names = ("count", "race", "vote", "publish", "watch", "tell", "broken", "parked")
    cards = {name: running.simulator.put_card(chat_id, BLANK) for name in names}
    await _press(running, cards["count"], *[{"action": "count"}] * 3, {"action": "unheard of"})
    for style in ("new", "legacy"):
        await running.simulator.click(cards["count"], {"action": "count"}, style=style)
    for who in ("ou_ada", "ou_bob", "ou_cyd"):
        await _press(running, cards["race"], {"action": "take"}, who=who)
        await _press(running, cards["vote"], {"action": "approve"}, who=who)
    await _press(running, cards["publish"], {"action": "publish", "n": 1})
    await pushed(running, "events", schema="p1", type="out_approval", event={"instance_code": "7"})
    await running.quiet()
    await _press(running, cards["tell"], {"action": "tell", "to": cards["count"]}, {"action": "send"})
    await _press(running, cards["count"], {"action": "count"})
    sent = running.simulator.platform.chats[chat_id].message_ids[-1]  # type: ignore[index]
    await _press(running, sent, {"action": "count"}, {"action": "count"})
    await _press(running, cards["broken"], {"action": "break"}, {"action": "count"})
    await _press(running, cards["parked"], *({"action": "press", "n": n} for n in (2, 3, 4)))
    failed = [one for one in await running.decisions() if one.result == "failed"]
    for one in failed:
        await running.append(facts.redrive(one.event_id, 1, message_id=one.message_id, app_id=one.app_id))
        await running.quiet()
    twice = facts.click(
        "twice", value={"action": "count"}, message_id=cards["count"], app_id=running.env["LARK_APP_ID"]
    )
    await running.append(twice, facts.mark(twice), twice)
    await running.quiet()
    await running.simulator.click(cards["watch"], {"action": "watch"})
    await running.until(lambda: _has_decided(running, "watch"))
    clock.advance(3601)
    await running.quiet()
    return {**cards, "sent": sent}


async def test_handlers_decide_their_own_story_as_they_did(stack: Stack, tmp_path: Path) -> None:
    """Races, twins, duplicates, calls, reminders, requests, sent cards, redrives: no difference, exit code 0."""
    clock = clock_of_now()
    async with world(stack, app, credentials=BOTH, clock=clock) as running:
        await _play(running, clock)
        decisions = await running.decisions()
        before = (await running.events(running.topics.interactions), await running.events(running.topics.outcomes))
        ran = await _diff(running, tmp_path, "--json")
        again = (await running.events(running.topics.interactions), await running.events(running.topics.outcomes))
        calls = len(running.calls())
    lines = _lines(ran)
    assert [] == [line for line in lines if line["what"] == "difference"]
    summary = lines[-1]
    assert (0, "", 0) == (ran.returncode, ran.stderr, summary["differing"])
    assert len(decisions) == summary["compared"] + sum(summary["as_recorded"].values())
    assert {"twin": 1} == summary["as_recorded"]
    assert (1, 0, 0, 0) == (summary["duplicates"], summary["undecided"], summary["unread"], summary["inputless"])
    assert before == again
    assert calls == len(running.calls())


CHANGES = {
    "approve": ("vote", "quorum=2", "quorum=3"),
    "take": ("race", 'was late"', 'came late"'),
    "tell": ("tell", '"text": "好"', '"text": "不好"'),
    "press": ("parked", 'click.value["n"] % 2:', 'click.value["n"] % 2 and click.value["n"] != 3:'),
    "break_it": ("broken", "raise RuntimeError(click", "raise ValueError(click"),
    "escalate": ("watch", '{**BLANK, "escalated": True}', '{**BLANK, "escalated": 1}'),
    "published": ("nothing", 'to="ou_boss"', 'to="ou_chief"'),
    "count": (
        "sent",
        "counted(card) + 1\n",
        'counted(card) + (2 if card and "header" in (card.content or {}) else 1)\n',
    ),
}
"""Of each handler, the card (or ``nothing``) whose decisions change with its code, and the change."""


async def test_each_changed_branch_is_found_on_its_card_and_on_no_other(tmp_path: Path) -> None:
    """Whoever votes, comes late, is told of, stands still, fails, is reminded, came back, or was sent by us."""
    clock, code = clock_of_now(), STORY
    for _, before, after in CHANGES.values():
        assert before in code
        code = code.replace(before, after)
    async with world(files(tmp_path), app, credentials=BOTH, clock=clock) as running:
        cards = {**await _play(running, clock), "nothing": None}
        ran = await _diff(running, tmp_path, "--json", code=code)
    causes = [one for one in _lines(ran) if one["what"] == "difference" and one["why"] != "follows"]
    found = {(one["handler"], one.get("message_id")) for one in causes}
    assert (1, {(handler, cards[card]) for handler, (card, *_) in CHANGES.items()}) == (ran.returncode, found)
