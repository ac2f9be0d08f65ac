"""docs/howto/requests.md, typed as it stands."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from shared.core.effects import REQUESTABLE
from tests.scenario.handlers import BLANK, PATCH, SEND, app_of_stories
from tests.support.documents import ROOT
from tests.support.facts import APP
from tests.support.world import ENCRYPTED, files, world

HOWTO: Final = (ROOT / "docs" / "howto" / "requests.md").read_text()
(FILE,) = re.findall(r"In `callers\.toml`:\n\n```toml\n(.*?)^```", HOWTO, re.MULTILINE | re.DOTALL)
DRAW, EXPORT, SEND_IT, FROM_A_SHELL, _FIND_IT, UPDATE_IT = re.findall(
    r"^```sh\n(.*?)^```", HOWTO, re.MULTILINE | re.DOTALL
)

EXAMPLE_APP: Final = "cli_a1b2c3d4e5f6"

needs_tools = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="curl or openssl is not installed"
)


async def _typed(commands: str, folder: Path, **env: str) -> str:
    """Run commands in a shell; return what they print."""
    command = ["bash", "-euo", "pipefail", "-c", commands]
    known = {"PATH": os.environ["PATH"], **env}
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env=known, check=False, capture_output=True, text=True
    )
    assert (0, "") == (ran.returncode, ran.stderr)
    return str(ran.stdout)


@needs_tools
async def test_a_program_sends_a_card_and_updates_it_by_the_document(tmp_path: Path) -> None:
    """Each command as it stands, with the addresses of this test; the answers are those shown."""
    digest = (await _typed(DRAW, tmp_path)).strip()
    (tmp_path / "callers.toml").write_text(_with(FILE, {"PUT-THE-DIGEST-HERE": digest, EXAMPLE_APP: APP}))
    settings = dict(re.findall(r"^export (\w+)=(\S+)$", EXPORT, re.MULTILINE))
    callers = settings["CARDWIRE_CALLERS"].replace("$PWD", str(tmp_path))
    given = {"CARDWIRE_CALLERS": callers, "CARDWIRE_REQUESTS_PORT": "0"}
    assert settings.keys() == given.keys()
    async with world(files(tmp_path), app_of_stories(), credentials={**ENCRYPTED, **given}) as running:
        chat_id = await running.chat()
        port = f"http://127.0.0.1:{settings['CARDWIRE_REQUESTS_PORT']}"
        ours = {port: running.gateway.requests_url, EXAMPLE_APP: APP, "oc_1": chat_id}
        answer = json.loads(await _typed(_with(SEND_IT, ours), tmp_path))
        shown = re.findall(r"^```json\n(.*?)^```", HOWTO, re.MULTILINE | re.DOTALL)
        assert [answer] == [json.loads(block) for block in shown]
        await running.quiet()
        (sent,) = await running.outcomes()
        message_id = str(sent.sent_message_id)
        assert (answer["id"], "succeeded") == (sent.event_id, sent.status)
        again = {"om_1": message_id, **{example: mine for example, mine in ours.items() if example != "oc_1"}}
        assert "req/billing/invoice-1042-paid" in await _typed(_with(UPDATE_IT, again), tmp_path)
        await running.quiet()
        card = running.simulator.platform.message(message_id).card
        assert card is not None
        assert "Invoice 1042 is paid" in card.text
        assert 1 == len(running.calls(PATCH))
        (tmp_path / "card.json").write_text(json.dumps(BLANK))
        typed = _with(FROM_A_SHELL, {"cardwire ": f"{sys.executable} -P -m cardwire ", "oc_1": chat_id})
        env = {"LARK_APP_ID": running.env["LARK_APP_ID"], "CARDWIRE_LOG": running.stack.log}
        assert "req/cli/invoice-1043: recorded\n" == await _typed(typed, tmp_path, **env)
        await running.quiet()
        assert 2 == len(running.calls(SEND))


def _with(commands: str, ours: Mapping[str, str]) -> str:
    for example, mine in ours.items():
        assert example in commands
        commands = commands.replace(example, mine)
    return commands


def test_the_document_names_every_effect_that_can_be_asked_for() -> None:
    """In its table, and in its example nothing else."""
    assert set(REQUESTABLE) == set(re.findall(r"^\| `([A-Z]\w+)` \|", HOWTO, re.MULTILINE))
    assert set(tomllib.loads(FILE)["callers"]["billing"]["effects"]) <= set(REQUESTABLE)
