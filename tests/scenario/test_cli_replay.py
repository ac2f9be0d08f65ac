"""`cardwire replay`, as an operator types it."""

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card
from shared.core.effects import RenameChat, SendText, UpdateCard
from shared.core.events import COMMAND_LINE, Operator, RequestReceived, request_event_id
from shared.core.ids import AppId, OpenId, TenantKey
from shared.feishu.limits import DAY_MS
from tests.scenario.handlers import BLANK
from tests.support.commands import run
from tests.support.documents import is_documented
from tests.support.facts import click, mark
from tests.support.world import Stack, World, files, services, world

pytestmark = pytest.mark.slow

SECRET = "what-nobody-is-to-see"


def _app() -> App:
    app = App()

    @app.on_action("follow_up")
    def follow_up(click: Interaction, _card: Card | None) -> list[UpdateCard | RenameChat]:
        return [UpdateCard({**BLANK, "by": click.event_id, "secret": SECRET}), RenameChat("跟进中")]

    @app.on_action("break")
    def break_it(click: Interaction, _card: Card | None) -> list[UpdateCard]:
        raise ValueError(click.value)

    return app


async def _clicked(running: World) -> tuple[str, str]:
    chat_id = await running.chat()
    message_id = running.simulator.platform.put_card(chat_id, json.dumps(BLANK)).message_id
    for event, action in (("e1", "follow_up"), ("e2", "follow_up"), ("e3", "break")):
        value = {"action": action, "note": SECRET}
        clicked = click(event, value=value, message_id=message_id, chat_id=chat_id, request_id=f"request-of-{event}")
        await running.append(clicked, mark(clicked))
        await running.quiet()
    return str(message_id), str(chat_id)


def _writes(running: World, request_id: str, *, to: str) -> RequestReceived:
    """Return a request of the command line for a text in a chat."""
    return RequestReceived(
        event_id=request_event_id(COMMAND_LINE, request_id),
        app_id=AppId(running.env["LARK_APP_ID"]),
        tenant_key=TenantKey(""),
        caller=COMMAND_LINE,
        request_id=request_id,
        effects=(SendText("done", to=to),),
        occurred_at=1,
        received_at=1,
    )


async def _replay(stack: Stack, folder: Path, *given: str) -> subprocess.CompletedProcess[str]:
    env = {name: text for name, text in stack.env().items() if name != "CARDWIRE_LEDGER"}
    ran = await asyncio.to_thread(run, "replay", *given, env=env, cwd=folder)
    assert (0, "") == (ran.returncode, ran.stderr)
    return ran


def _lines(ran: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


async def _tells(stack: Stack, folder: Path) -> None:
    async with world(stack, _app()) as running:
        message_id, chat_id = await _clicked(running)
        await running.append(*(_writes(running, name, to=to) for name, to in (("here", chat_id), ("there", "oc_2"))))
        await running.quiet()
        timeline = await _replay(stack, folder, "--card", message_id)
        table = await _replay(stack, folder, "--as", "table", "--from", "2025-01-01")
        for_programs = await _replay(stack, folder, "--chat", chat_id, "--json")
        spoken = await _replay(stack, folder, "--card", message_id, "--json", "--show-values")
        shown = await _replay(stack, folder, "--event", "e2", "--show-values")
        asked = await _replay(stack, folder, "--request-id", "request-of-e3", "--json")
    assert SECRET not in timeline.stdout + table.stdout + for_programs.stdout + asked.stdout
    told = " ".join(timeline.stdout.split())
    for words in (
        message_id, "card_action, by ou_1, button", "the answer was delivered", "follow_up: decided (version 1, Update",
        "break_it: failed", "succeeded", "3 events, of ",
    ):  # fmt: skip
        assert words in told
    assert ["e1", "e2", "e3"] == [one["event_id"] for one in _lines(for_programs) if one["what"] == "received"]
    asked_for = [
        (one["what"], one.get("status")) for one in _lines(for_programs) if one.get("event_id") == "req/cli/here"
    ]
    assert [("requested", None), ("decided", None), ("outcome", "succeeded")] == asked_for
    assert "req/cli/there" not in for_programs.stdout
    assert 2 == table.stdout.count("UpdateCard succeeded, RenameChat")
    (_, changed, *_) = [one for one in _lines(spoken) if one["what"] == "decided"]
    assert [{"path": "/by", "was": "e1", "now": "e2"}] == changed["changes"]
    assert SECRET in shown.stdout
    assert {"e3"} == {one["event_id"] for one in _lines(asked) if "event_id" in one}


async def test_a_log_of_files_is_told(tmp_path: Path) -> None:
    """By card, chat, event, request and time; as a table, a timeline and JSON lines."""
    await _tells(files(tmp_path), tmp_path)


@pytest.mark.kafka
@pytest.mark.postgres
async def test_a_log_on_kafka_is_told(kafka: str, postgres_url: str, tmp_path: Path) -> None:
    """The same, without joining a group."""
    await _tells(services(kafka, postgres_url), tmp_path)


def _line(ran: subprocess.CompletedProcess[str], *, code: int) -> str:
    (line,) = ran.stderr.splitlines()
    assert (code, "") == (ran.returncode, ran.stdout)
    assert is_documented(line.removeprefix("cardwire: ")), line
    return line


async def test_options_say_whose_story_is_told(tmp_path: Path) -> None:
    """A person by each of three ids, an app, a time, and all that is given at once."""
    ada = Operator(open_id=OpenId("ou_9"), user_id="ada", union_id="on_9")
    now = time.time_ns() // 1_000_000
    days = {"first": 9, "hers": 6, "theirs": 3}
    at: dict[str, dict[str, Any]] = {
        event: {"occurred_at": now - ago * DAY_MS, "received_at": now - ago * DAY_MS} for event, ago in days.items()
    }
    told: dict[tuple[str, ...], set[str]] = {
        ("--operator", "ada"): {"hers"},
        ("--operator", "on_9"): {"hers"},
        ("--operator", "ou_1", "--from", "7d"): {"theirs"},
        ("--app", "cli_other"): {"theirs"},
        ("--from", "7d", "--to", "4d"): {"hers"},
    }
    async with world(files(tmp_path), _app(), workers=0) as running:
        await running.append(
            click("first", **at["first"]),
            click("hers", operator=ada, **at["hers"]),
            click("theirs", app_id=AppId("cli_other"), **at["theirs"]),
        )
        for given, events in told.items():
            lines = _lines(await _replay(running.stack, tmp_path, *given, "--json"))
            assert events == {one["event_id"] for one in lines if one["what"] == "received"}, given


async def test_a_card_that_nobody_knows(tmp_path: Path) -> None:
    """One line, exit code 1; a time in which nothing happened is no mistake."""
    async with world(files(tmp_path), _app(), workers=0) as running:
        await running.append(click("e1"))
        env = {"CARDWIRE_LOG": running.stack.log}
        unknown = await asyncio.to_thread(run, "replay", "--card", "om_unknown", env=env, cwd=tmp_path)
        long_ago = await asyncio.to_thread(run, "replay", "--to", "2001-01-01", env=env, cwd=tmp_path)
    assert "tells nothing of the card om_unknown" in _line(unknown, code=1)
    assert (0, "0 events, of 1 records\n") == (long_ago.returncode, long_ago.stdout)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--from", "yesterday"), "--from is malformed: expected a time or how long ago"),
        (("--to", "1d", "--from", "2h"), "--from is not before --to: expected a period"),
        (("--from", "2999-01-01"), "--from is still to come: expected a time that has been"),
        (("--as", "essay"), "--as is malformed: expected timeline or table"),
        (("--card", "oc_1"), "--card is a chat's id: expected a card's"),
        (("--chat", "om_1"), "--chat is a card's id: expected a chat's id"),
        (("--operator", "oc_1"), "--operator is a chat's id: expected a person's"),
        (("--event", "om_1"), "--event is a card's id: expected an event's id"),
    ],
)
def test_an_option_that_is_wrong(given: tuple[str, ...], told: str, tmp_path: Path) -> None:
    """It is named, with an example."""
    assert told in _line(run("replay", *given, env={}, cwd=tmp_path), code=2)


@pytest.mark.parametrize(
    ("log", "code", "told"),
    [
        ("kafka://127.0.0.1:1", 1, "expected a log that answers"),
        ("redis://somewhere", 2, "CARDWIRE_LOG"),
        ("sqlite:///not-there.db", 1, "has no topic"),
    ],
)
def test_a_log_that_is_away(log: str, code: int, told: str, tmp_path: Path) -> None:
    """One line; none is made by looking for it."""
    assert told in _line(run("replay", env={"CARDWIRE_LOG": log}, cwd=tmp_path), code=code)
    assert [] == list(tmp_path.iterdir())
