"""`cardwire verify`, as an operator types it."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.codec import encode
from shared.core.decision import Card
from shared.core.effects import RenameChat, UpdateCard
from shared.eventlog.open import open_log
from shared.eventlog.port import TOPICS, NewRecord
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
    def follow_up(_click: Interaction, _card: Card | None) -> list[UpdateCard | RenameChat]:
        return [UpdateCard({**BLANK, "secret": SECRET}), RenameChat("跟进中")]

    return app


async def _clicked(running: World) -> None:
    chat_id = await running.chat()
    message_id = running.simulator.platform.put_card(chat_id, json.dumps(BLANK)).message_id
    for number in range(3):
        clicked = click(
            f"e{number}", value={"action": "follow_up", "note": SECRET}, message_id=message_id, chat_id=chat_id
        )
        await running.append(clicked, mark(clicked))
    await running.quiet()


async def _verify(stack: Stack, folder: Path, *given: str) -> subprocess.CompletedProcess[str]:
    env = {name: text for name, text in stack.env().items() if name != "CARDWIRE_LEDGER"}
    return await asyncio.to_thread(run, "verify", *given, env=env, cwd=folder)


async def _with_one_decision_told_otherwise(running: World) -> None:
    """Tell a decision once more, with another state."""
    decided = next(one for one in await running.decisions() if one.event_id == "e1")
    forged = encode(replace(decided, state='{"note":"forged"}'))
    await running.event_log.append([NewRecord.of(running.topics.outcomes, forged)])


async def _proves_and_refutes(stack: Stack, folder: Path) -> None:
    async with world(stack, _app()) as running:
        await _clicked(running)
        honest = await _verify(stack, folder)
        for_programs = await _verify(stack, folder, "--json")
        await running.check()
        await _with_one_decision_told_otherwise(running)
        forged = await _verify(stack, folder)
        forged_for_programs = await _verify(stack, folder, "--json")
    assert (0, "") == (honest.returncode, honest.stderr), honest.stdout
    assert "3 decisions" in honest.stdout
    assert honest.stdout.endswith(": no violation\n")
    (told,) = map(json.loads, for_programs.stdout.splitlines())
    assert {"what": "verified", "violations": 0, "inputs": 6, "decisions": 3}.items() <= told.items()
    line, _ = forged.stdout.splitlines()
    assert (1, "") == (forged.returncode, forged.stderr)
    assert line.startswith("G3 decided_once  e1  outcomes ")
    violation, last = map(json.loads, forged_for_programs.stdout.splitlines())
    assert ("decided_once", "e1", 2) == (violation["rule"], violation["event_id"], len(violation["places"]))
    assert 1 == last["violations"]
    assert SECRET not in honest.stdout + forged.stdout + forged_for_programs.stdout


async def test_a_log_of_files_is_proved_or_refuted(tmp_path: Path) -> None:
    """Exit 0 with counts; with a decision told in two ways exit 1, and the line that says which and where."""
    await _proves_and_refutes(files(tmp_path), tmp_path)


@pytest.mark.kafka
@pytest.mark.postgres
async def test_a_log_on_kafka_is_proved_or_refuted(kafka: str, postgres_url: str, tmp_path: Path) -> None:
    """The same, without joining a group."""
    await _proves_and_refutes(services(kafka, postgres_url), tmp_path)


def _line(ran: subprocess.CompletedProcess[str], *, code: int) -> str:
    (line,) = ran.stderr.splitlines()
    assert (code, "") == (ran.returncode, ran.stdout)
    assert is_documented(line.removeprefix("cardwire: ")), line
    return line


def test_a_log_in_which_nothing_was_recorded(tmp_path: Path) -> None:
    """None is made by looking for it, and the exit code is not that of a broken promise."""
    assert "has no topic" in _line(run("verify", env={}, cwd=tmp_path), code=3)
    assert [] == list(tmp_path.iterdir())


async def _recorded(folder: Path, *records: NewRecord) -> None:
    log = open_log(f"sqlite:///{folder / 'log.db'}")
    await log.create([TOPICS.interactions])  # as a gateway does
    await log.append(records)
    await log.close()


@pytest.mark.parametrize("name", ["log.db", f"log.{TOPICS.outcomes}.db"], ids=["without outcomes", "without clicks"])
async def test_half_a_log_proves_nothing(name: str, tmp_path: Path) -> None:
    """A file that was not brought along is named, and so is the one that was taken for the whole log."""
    clicks, outcomes = TOPICS.interactions, TOPICS.outcomes
    await _recorded(tmp_path, NewRecord.of(clicks, encode(click("e1"))), NewRecord.of(outcomes, encode(click("e1"))))
    (alone := tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / name, alone)
    env = {"CARDWIRE_LOG": f"sqlite:///{alone / name}"}
    proved = await asyncio.to_thread(run, "verify", env=env, cwd=alone)
    told = await asyncio.to_thread(run, "replay", env=env, cwd=alone)
    line = _line(proved, code=3)
    assert f"the log has no topic {outcomes}: expected the log of a gateway and a worker, with all of its files" in line
    assert (0, proved.stderr) == (told.returncode, told.stderr)
    assert {"log.db", f"log.{outcomes}.db"} & {file.name for file in alone.iterdir()} == {name}


async def test_a_log_into_which_nothing_came_yet_is_no_alarm(tmp_path: Path) -> None:
    """A gateway has begun, and no worker has run: nothing was promised."""
    await _recorded(tmp_path)
    ran = await asyncio.to_thread(run, "verify", env={"CARDWIRE_LOG": f"sqlite:///{tmp_path / 'log.db'}"}, cwd=tmp_path)
    assert (0, "0 records read: no violation\n", "") == (ran.returncode, ran.stdout, ran.stderr)


def test_a_log_that_is_away(tmp_path: Path) -> None:
    """One line, and nothing is proved."""
    ran = run("verify", env={"CARDWIRE_LOG": "kafka://127.0.0.1:1"}, cwd=tmp_path)
    assert "expected a log that answers" in _line(ran, code=3)


def test_a_log_that_is_none(tmp_path: Path) -> None:
    """The setting is named."""
    ran = run("verify", env={"CARDWIRE_LOG": "redis://somewhere"}, cwd=tmp_path)
    assert "CARDWIRE_LOG" in _line(ran, code=2)
