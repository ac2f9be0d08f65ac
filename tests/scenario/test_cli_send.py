"""`cardwire send`, as people type it."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scenario.handlers import BLANK, SEND, app_of_stories
from tests.support.apps import ALERTS, BILLING, write_apps
from tests.support.commands import run
from tests.support.documents import is_documented
from tests.support.world import World, files, world


async def _send(running: World, folder: Path, *given: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command beside a world that runs in this process."""
    (folder / "card.json").write_text(json.dumps(BLANK))
    env = {"LARK_APP_ID": running.env["LARK_APP_ID"], "CARDWIRE_LOG": running.stack.log, **settings}
    return await asyncio.to_thread(run, "send", *given, env=env, cwd=folder)


async def test_a_card_is_sent_once_for_each_id(tmp_path: Path) -> None:
    """It prints the id; with the same id, it is recorded again and sent once; without one, each is another card."""
    async with world(files(tmp_path), app_of_stories()) as running:
        chat_id = await running.chat()
        first = await _send(running, tmp_path, "card.json", "--to", chat_id, "--request-id", "r1")
        again = await _send(running, tmp_path, "card.json", "--to", chat_id, "--request-id", "r1", "--json")
        await running.quiet()
        assert (0, "", "req/cli/r1: recorded\n") == (first.returncode, first.stderr, first.stdout)
        assert {"id": "req/cli/r1"} == json.loads(again.stdout)
        assert 1 == len(running.calls(SEND))
        others = [await _send(running, tmp_path, "card.json", "--to", chat_id, "--json") for _ in range(2)]
        await running.quiet()
        assert 2 == len({json.loads(each.stdout)["id"] for each in others})
        assert 3 == len(running.calls(SEND))
        await running.check()


async def test_which_message_it_became_is_told_by_the_id_that_was_printed(tmp_path: Path) -> None:
    """The card's story, before anybody has clicked it, and the request's own."""
    async with world(files(tmp_path), app_of_stories()) as running:
        chat_id = await running.chat()
        sent = await _send(running, tmp_path, "card.json", "--to", chat_id)
        await running.quiet()
        (message_id,) = running.simulator.platform.chat(chat_id).message_ids
        printed = sent.stdout.partition(": ")[0]
        env = {"CARDWIRE_LOG": running.stack.log, "CARDWIRE_LEDGER": running.stack.ledger}
        for command in (("card", printed), ("replay", "--event", printed)):
            told = await asyncio.to_thread(run, *command, env=env, cwd=tmp_path)
            assert message_id in told.stdout, told.stderr


async def test_one_of_several_apps_sends_by_its_name(tmp_path: Path) -> None:
    """Which one is told; the line names them if it is not."""
    async with world(files(tmp_path), app_of_stories()) as running:
        chat_id = await running.chat()
        told = {
            "LARK_APP_ID": "",
            "CARDWIRE_APPS": str(write_apps(tmp_path / "a.toml", {"alerts": ALERTS, "bill": BILLING})),
        }
        sent = await _send(running, tmp_path, "card.json", "--to", chat_id, "--name", "alerts", **told)
        await running.quiet()
        assert (0, "") == (sent.returncode, sent.stderr)
        assert 1 == len(running.calls(SEND))
        nameless = await _send(running, tmp_path, "card.json", "--to", chat_id, **told)
        assert (2, "cardwire: --name is missing: expected one of alerts, bill, for example --name alerts\n") == (
            nameless.returncode,
            nameless.stderr,
        )


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            ["none.json", "--to", "oc_1"],
            "the card none.json cannot be used (No such file or directory): expected a file",
        ),
        (
            ["list.json", "--to", "oc_1"],
            "the card list.json cannot be used (it is no JSON object): expected a file with",
        ),
        (["card.json", "--to", "oc 1"], "--to is malformed: expected a chat, a person or an address, for example --to"),
        (["card.json", "--to", "o", "--request-id", ""], "--request-id is malformed: expected letters, digits, dots"),
        (["card.json", "--to", "o", "--name", "x"], "--name is no app: expected none, because there is one app"),
    ],
)
def test_what_cannot_be_sent_is_one_line(tmp_path: Path, given: list[str], line: str) -> None:
    """Exit code 2, and nothing recorded."""
    (tmp_path / "card.json").write_text("{}")
    (tmp_path / "list.json").write_text("[]")
    env: dict[str, Any] = {"LARK_APP_ID": "cli_a", "CARDWIRE_LOG": f"sqlite:///{tmp_path / 'log.db'}"}
    ran = run("send", *given, env=env, cwd=tmp_path)
    assert (2, "") == (ran.returncode, ran.stdout)
    (told,) = ran.stderr.splitlines()
    assert told.startswith(f"cardwire: {line}")
    assert is_documented(told.removeprefix("cardwire: "))
    assert not (tmp_path / "log.db").exists()


def test_beside_run_no_log_need_be_named(tmp_path: Path) -> None:
    """The one in the data folder is meant, if there is one."""
    (tmp_path / "card.json").write_text("{}")
    missing = run("send", "card.json", "--to", "oc_1", env={"LARK_APP_ID": "cli_a"}, cwd=tmp_path)
    assert missing.stderr.startswith("cardwire: CARDWIRE_LOG is missing")
    (tmp_path / "cardwire-data").mkdir()
    (tmp_path / "cardwire-data" / "log.db").touch()
    sent = run("send", "card.json", "--to", "oc_1", env={"LARK_APP_ID": "cli_a"}, cwd=tmp_path)
    assert (0, "") == (sent.returncode, sent.stderr)
