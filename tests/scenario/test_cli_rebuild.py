"""`cardwire rebuild`, as an operator types it: also killed, and typed again."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.recorded import recorded
from shared.eventlog.open import open_log
from shared.eventlog.port import TOPICS
from tests.support.commands import PATIENCE_S, environment, run, started
from tests.support.dump import Dump, dump
from worker.ledger.engine import Database

pytestmark = pytest.mark.slow

CLICKS = 4_000
RECORDS = 2 * CLICKS
"""Of each topic."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of thousands of clicks, decided and performed."""
    folder = tmp_path_factory.mktemp("recorded")
    asyncio.run(_record(folder))
    return folder


async def _record(folder: Path) -> None:
    log = open_log(f"sqlite:///{folder / 'log.db'}", topics=TOPICS)
    records = recorded(CLICKS, cards=50, topics=TOPICS)
    while piece := list(itertools.islice(records, 4_000)):
        await log.append(piece)
    await log.close()


def settings(log: Path, folder: Path) -> dict[str, str]:
    """Return the environment of a rebuild from ``log`` into a folder of its own, with handlers that nobody has."""
    return environment(folder, CARDWIRE_LOG=f"sqlite:///{log / 'log.db'}", CARDWIRE_APP="of_last_year:app")


def rows(folder: Path) -> Dump:
    """Return what the ledger in a folder holds."""

    async def read() -> Dump:
        database = Database(f"sqlite:///{folder / 'ledger.db'}", None)
        try:
            return await dump(database)
        finally:
            await database.close()

    return asyncio.run(read())


def told(env: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Rebuild to the end and return what the command says."""
    done = run("rebuild", "--json", env=env, cwd=folder)
    assert (0, "") == (done.returncode, done.stderr)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def whole(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ledger that one uninterrupted run makes."""
    folder = tmp_path_factory.mktemp("whole")
    said = told(settings(log, folder), folder)
    assert ({"outcomes": RECORDS, "inputs": RECORDS}, False) == (said["records"], said["resumed"])
    assert {"claims": CLICKS, "cards": 50, "faces": 50, "effects": CLICKS}.items() <= said["rows"].items()
    assert {0} == set(said["not_restored"].values())
    assert 20 < said["peak_rss_mb"] < 1_000
    return folder


@pytest.mark.parametrize("percent", [2, 30, 60, 90])
def test_killed_at_any_moment_it_goes_on_and_makes_the_same_ledger(
    log: Path, whole: Path, tmp_path: Path, percent: int
) -> None:
    """SIGKILL while it folds or joins; nothing is read twice that was stored, and no row is another."""
    env = settings(log, tmp_path)
    with started("rebuild", "--json", env=env, cwd=tmp_path) as first:
        _wait_for(tmp_path / "ledger.db", 2 * RECORDS * percent // 100)
        first.stop(signal.SIGKILL)
    stored = _stored(tmp_path / "ledger.db")
    said = told(env, tmp_path)
    assert said["resumed"]
    assert 2 * RECORDS - stored == sum(said["records"].values())
    assert rows(whole) == rows(tmp_path)


def _wait_for(ledger: Path, records: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while _stored(ledger) < records:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _stored(ledger: Path) -> int:
    """Return how many records a rebuild has stored so far: every offset here begins at 0."""
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(ledger)) as connection:
        return int(connection.execute("SELECT coalesce(sum(next), 0) FROM rebuilds").fetchone()[0])
    return 0


def test_two_at_a_time_make_one_ledger(log: Path, whole: Path, tmp_path: Path) -> None:
    """One of them ends with a line, whichever; what is left is what one alone makes."""
    env = settings(log, tmp_path)
    with started("rebuild", env=env, cwd=tmp_path) as first:
        _wait_for(tmp_path / "ledger.db", 1)
        second = run("rebuild", env=env, cwd=tmp_path)
        codes = sorted((first.process.wait(PATIENCE_S), second.returncode))
        lines = [first.err.read_text(), second.stderr]
    assert [0, 1] == codes
    (line,) = (line for text in lines for line in text.splitlines() if "cardwire:" in line)
    assert any(saying in line for saying in ("another `cardwire rebuild` is at work", "is not empty"))
    assert rows(whole) == rows(tmp_path)


def test_a_ledger_that_holds_something_is_refused_in_one_line(log: Path, whole: Path, tmp_path: Path) -> None:
    """It names what is there, and where an empty one can lie."""
    shutil.copy(whole / "ledger.db", tmp_path / "ledger.db")
    done = run("rebuild", env=settings(log, tmp_path), cwd=tmp_path)
    assert (1, "") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert "is not empty, it holds positions, claims, cards, faces, effects" in line
    beside = tmp_path / "ledger-rebuilt.db"
    assert "with `cardwire run` stopped, move ledger.db* elsewhere" in line
    assert f"for example CARDWIRE_LEDGER=sqlite:///{beside}, and the same one for `cardwire run`" in line


@pytest.mark.parametrize("command", [("rebuild",), ("db", "upgrade"), ("pending",)])
@pytest.mark.parametrize("name", ["log.db", "log.lark.card.outcomes.v1.db"])
def test_the_log_itself_is_never_taken_for_a_ledger(
    log: Path, tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    """No command that opens a ledger writes a table into the log; it ends with one line."""
    env = {**settings(log, tmp_path), "CARDWIRE_LEDGER": f"sqlite:///{log / name}"}
    done = run(*command, env=env, cwd=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert f"CARDWIRE_LEDGER names {log / name}, which is a Cardwire log: expected a file of the ledger's own" in line
    with contextlib.closing(sqlite3.connect(log / name)) as connection:
        tables = {each for (each,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {"records", "partitions"} == tables


def test_beside_a_worker_that_reads_the_log_it_refuses_at_once(log: Path, tmp_path: Path) -> None:
    """The line names the process, and no ledger is made; the files of groups whose workers ended hinder nobody."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in log.glob("log*.db"):
        shutil.copy(file, folder)
    done = asyncio.run(_beside_consumer(folder, settings(folder, tmp_path), tmp_path))
    assert (1, "") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert f"a worker, process {os.getpid()}, reads this log: stop it first" in line
    assert not (tmp_path / "ledger.db").exists()
    assert 2 * RECORDS == sum(told(settings(folder, tmp_path), tmp_path)["records"].values())


async def _beside_consumer(folder: Path, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Return what a rebuild says while a consumer of another group than the usual one reads the log."""
    log = open_log(f"sqlite:///{folder / 'log.db'}", topics=TOPICS)
    await log.consume(TOPICS.interactions, group="other")
    done = await asyncio.to_thread(run, "rebuild", env=env, cwd=cwd)
    await log.close()
    return done


@pytest.mark.parametrize("command", [("rebuild",), ("db", "upgrade")])
def test_a_ledger_in_a_folder_that_is_not_there_is_refused(log: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    """One line, with the file; no folder is made for what may be a slip."""
    file = tmp_path / "away" / "ledger.db"
    done = run(*command, env={**settings(log, tmp_path), "CARDWIRE_LEDGER": f"sqlite:///{file}"}, cwd=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert f"CARDWIRE_LEDGER names {file}, whose folder is not there: expected a file in a folder that is" in line
    assert not file.parent.exists()


def test_without_a_log_no_ledger_is_made(tmp_path: Path) -> None:
    """Also where both settings name one file, which is not there yet."""
    for ledger in ("ledger.db", "log.db"):
        env = environment(tmp_path, CARDWIRE_LEDGER=f"sqlite:///{tmp_path / ledger}")
        done = run("rebuild", env=env, cwd=tmp_path)
        assert (1, "") == (done.returncode, done.stdout)
        (line,) = done.stderr.splitlines()
        assert "the log has no topic" in line
        assert not list(tmp_path.glob("*.db*"))


@pytest.mark.postgres
def test_a_database_without_tables_is_told_of_the_command_that_makes_them(
    log: Path, tmp_path: Path, postgres_url: str
) -> None:
    """On PostgreSQL nothing is made by itself."""
    env = {**settings(log, tmp_path), "CARDWIRE_LEDGER": postgres_url}
    done = run("rebuild", env=env, cwd=tmp_path)
    assert 1 == done.returncode
    assert "run `cardwire db upgrade`" in done.stderr


def test_for_people_it_says_what_was_read_what_is_there_and_what_is_not(log: Path, tmp_path: Path) -> None:
    """Five lines; the last says what to do next."""
    done = run("rebuild", env=settings(log, tmp_path), cwd=tmp_path)
    assert 0 == done.returncode
    lines = done.stdout.splitlines()
    assert [
        f"read      {RECORDS:,} what was decided and done + {RECORDS:,} what came in",
        "lost      nothing that the log can tell",
    ] == [lines[0], lines[2]]
    assert "The ledger is whole: start the workers." == lines[-1]
