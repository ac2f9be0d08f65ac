"""`cardwire log`, as an operator types it."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.core.codec import encode
from shared.core.events import Action
from shared.core.json_text import json_text
from shared.eventlog.open import open_log
from shared.eventlog.port import TOPICS, NewRecord
from tests.support.commands import COMMAND, PATIENCE_S, run, started
from tests.support.documents import is_documented
from tests.support.facts import click, mark
from tests.support.transfers import Heard, digest_of, held, story
from worker.transfer.importing import import_log

pytestmark = pytest.mark.slow

TYPED = "what-somebody-typed-5b1e"
TOKEN = "c-a-token-77aa"


def _env(folder: Path, name: str = "log", **settings: str) -> dict[str, str]:
    inherited = {each: os.environ[each] for each in ("PATH", "PYTHONPATH") if each in os.environ}
    return {**inherited, "CARDWIRE_LOG": f"sqlite:///{folder / name}.db", **settings}


async def _append(folder: Path, records: list[NewRecord], name: str = "log") -> None:
    log = open_log(f"sqlite:///{folder / name}.db", append_timeout_s=30)
    await log.create([TOPICS.interactions, TOPICS.outcomes, TOPICS.dead])
    await log.append(records)
    await log.close()


def _filled(folder: Path, clicks: int, *, first: int = 0) -> None:
    asyncio.run(_append(folder, story(TOPICS, clicks=clicks, first=first)))


async def _held(folder: Path, name: str) -> object:
    log = open_log(f"sqlite:///{folder / name}.db")
    found = await held(log, TOPICS)
    await log.close()
    return found


# ---------------------------------------------------------------- export and import


def test_a_log_is_exported_and_imported(tmp_path: Path) -> None:
    """For people in words, with what to do next; for programs as JSON, with counts and digests."""
    _filled(tmp_path, 100)
    exported = run("log", "export", "out", env=_env(tmp_path), cwd=tmp_path)
    imported = run("log", "import", "out", env=_env(tmp_path, "new"), cwd=tmp_path)
    again = run("log", "import", "out", "--json", env=_env(tmp_path, "new"), cwd=tmp_path)
    assert [(0, "")] * 3 == [(each.returncode, each.stderr) for each in (exported, imported, again)]
    assert exported.stdout.startswith("251 records are in out, 251 of them new\n")
    assert [
        "251 records of out are in the log, 251 of them new: counts and digests are equal",
        "the log keeps them as if they had been recorded now: their 33 days begin anew",
        "next: cardwire rebuild",
    ] == imported.stdout.splitlines()
    told = json.loads(again.stdout)
    assert (251, 0, 0, "cardwire rebuild") == tuple(told[name] for name in ("records", "new", "repeated", "next"))
    assert asyncio.run(_held(tmp_path, "log")) == asyncio.run(_held(tmp_path, "new"))
    inputs = [one for one in story(TOPICS, clicks=100) if one.topic == TOPICS.interactions]
    records = {part["partition"]: part["records"] for part in told["topics"][0]["partitions"]}
    assert len(inputs) == sum(records.values())
    assert digest_of([]) in {part["sha256"] for part in told["topics"][2]["partitions"]}


def test_an_import_that_was_broken_off_while_it_compared_still_names_the_next_step(tmp_path: Path) -> None:
    """All records had come, and nobody was told what to do with them: run again it brings none, and says so."""
    _filled(tmp_path, 100)
    run("log", "export", "out", env=_env(tmp_path), cwd=tmp_path)
    with pytest.raises(_BrokenOff):
        asyncio.run(_imported_until("comparing", tmp_path))
    ran = run("log", "import", "out", env=_env(tmp_path, "new"), cwd=tmp_path)
    assert (0, "") == (ran.returncode, ran.stderr)
    assert [
        "251 records of out are in the log, 0 of them new: counts and digests are equal",
        "next: cardwire rebuild, unless a ledger was rebuilt from this log since they came",
    ] == ran.stdout.splitlines()


class _BrokenOff(Exception):
    """Somebody ended it."""


class _Until(Heard):
    """Ends it when a stage begins."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._last = stage

    def stage(self, name: str, total: int) -> None:
        super().stage(name, total)
        if name == self._last:
            raise _BrokenOff


async def _imported_until(stage: str, folder: Path) -> None:
    log = open_log(f"sqlite:///{folder / 'new'}.db")
    await log.create([TOPICS.interactions, TOPICS.outcomes, TOPICS.dead])
    try:
        await import_log(log, TOPICS, folder / "out", clock=SystemClock(), told=_Until(stage))
    finally:
        await log.close()


def test_the_log_of_a_run_in_this_folder_is_meant_where_nothing_else_is_said(tmp_path: Path) -> None:
    """As with the other commands that look at it."""
    _filled(tmp_path / "cardwire-data", 3)
    env = {name: text for name, text in _env(tmp_path).items() if name != "CARDWIRE_LOG"}
    ran = run("log", "export", "out", "--json", env=env, cwd=tmp_path)
    assert (0, 9) == (ran.returncode, json.loads(ran.stdout)["records"])


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_export_goes_on(seed: int, tmp_path: Path) -> None:
    """At several moments, again and again; in the end it is what one export would have made."""
    _filled(tmp_path, 8_000)
    chance = random.Random(seed)
    for _ in range(3):
        size = chance.randrange(1, 600_000)
        _killed("export", _env(tmp_path), tmp_path, when=partial(_has_bytes, tmp_path / "out", size))
    ran = run("log", "export", "out", "--json", env=_env(tmp_path), cwd=tmp_path)
    at_once = run("log", "export", "other", "--json", env=_env(tmp_path), cwd=tmp_path)
    assert (0, 0) == (ran.returncode, at_once.returncode), ran.stderr
    assert json.loads(at_once.stdout)["topics"] == json.loads(ran.stdout)["topics"]
    assert 0 == run("log", "import", "out", env=_env(tmp_path, "new"), cwd=tmp_path).returncode


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_import_goes_on(seed: int, tmp_path: Path) -> None:
    """At several moments, again and again; no record is there twice."""
    _filled(tmp_path, 8_000)
    run("log", "export", "out", env=_env(tmp_path), cwd=tmp_path)
    chance = random.Random(seed)
    for _ in range(3):
        count = chance.randrange(0, 15_000)
        _killed("import", _env(tmp_path, "new"), tmp_path, when=partial(_has_records, tmp_path, count))
    ran = run("log", "import", "out", "--json", env=_env(tmp_path, "new"), cwd=tmp_path)
    assert (0, "") == (ran.returncode, ran.stderr)
    assert (20_001, 0) == tuple(json.loads(ran.stdout)[name] for name in ("records", "repeated"))
    assert asyncio.run(_held(tmp_path, "log")) == asyncio.run(_held(tmp_path, "new"))


@pytest.mark.kafka
def test_a_killed_import_into_kafka_goes_on(kafka: str, tmp_path: Path) -> None:
    """What was under way when it was killed may have arrived: it is looked for, whatever nobody acknowledged."""
    _filled(tmp_path, 8_000)
    exported = run("log", "export", "out", "--json", env=_env(tmp_path), cwd=tmp_path)
    there = _env(tmp_path, CARDWIRE_LOG=f"kafka://{kafka}", CARDWIRE_TOPIC_PREFIX=f"killed{os.getpid()}.")
    assert 0 == run("topics", "create", env=there, cwd=tmp_path).returncode
    for after_s in (1.5, 2.0, 3.0):
        _killed("import", there, tmp_path, when=partial(_is_over, time.monotonic() + after_s))
    ran = run("log", "import", "out", "--json", env=there, cwd=tmp_path)
    back = run("log", "export", "back", "--json", env=there, cwd=tmp_path)
    assert (0, "", 0) == (ran.returncode, ran.stderr, back.returncode)
    assert 20_001 == json.loads(ran.stdout)["records"]
    if not json.loads(ran.stdout)["repeated"]:
        assert _digests(exported) == _digests(back)


def _is_over(deadline: float) -> bool:
    return time.monotonic() >= deadline


def _digests(ran: subprocess.CompletedProcess[str]) -> list[str]:
    return [part["sha256"] for topic in json.loads(ran.stdout)["topics"] for part in topic["partitions"]]


def _killed(command: str, env: Mapping[str, str], folder: Path, *, when: Callable[[], bool]) -> None:
    """Run a command and kill it at a moment, or let it come to its end before that."""
    process = subprocess.Popen(
        [*COMMAND, "log", command, "out"], env=dict(env), cwd=folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and not when() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait(PATIENCE_S)


def _has_bytes(folder: Path, size: int) -> bool:
    return sum(path.stat().st_size for path in folder.glob("*.zst")) >= size


def _has_records(folder: Path, least: int) -> bool:
    path = folder / "new.db"
    if not path.exists():
        return False
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            count: int = connection.execute("SELECT count(*) FROM records").fetchone()[0]
        except sqlite3.Error:
            return False
        return count >= least


# ---------------------------------------------------------------- tail


def _clicked(event_id: str, **fields: str) -> list[NewRecord]:
    one = click(
        event_id, action=Action(tag="button", form_value=json_text({"note": TYPED})), card_token=TOKEN, **fields
    )
    return [NewRecord.of(TOPICS.interactions, encode(each)) for each in (one, mark(one))]


@contextmanager
def _tail(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "log", "tail", *options], env=_env(folder), cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def _lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def test_what_is_appended_is_printed(tmp_path: Path) -> None:
    """What was there before only if asked for; one line for each record."""
    asyncio.run(_append(tmp_path, _clicked("e1")))
    with _tail(tmp_path, "--from", "beginning") as all_of_it, _tail(tmp_path) as new_ones:
        assert ["e1", "e1/answered"] == [line.split()[4] for line in _lines(all_of_it, 2)]
        assert new_ones.stderr is not None
        assert new_ones.stderr.readline().startswith("cardwire: waiting for records")
        deadline, seen = time.monotonic() + PATIENCE_S, list[str]()
        asyncio.run(_append(tmp_path, _clicked("e2")))
        seen = [line.split()[4] for line in _lines(new_ones, 2)]
        assert time.monotonic() < deadline
        assert ["e2", "e2/answered"] == seen
        assert seen == [line.split()[4] for line in _lines(all_of_it, 2)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--card", "om_2"), ["e2", "e2/answered"]),
        (("--type", "interaction.answered"), ["e1/answered", "e2/answered"]),
        (("--app", "cli_other"), ["e3"]),
        (("--type", "lark.card.interaction.received.v1", "--card", "om_1"), ["e1"]),
    ],
)
def test_only_what_is_asked_for_is_printed(options: tuple[str, ...], expected: list[str], tmp_path: Path) -> None:
    """By card, by app, by type; together all must be so."""
    other = NewRecord.of(TOPICS.outcomes, encode(click("e3", message_id=None, app_id="cli_other")))
    asyncio.run(_append(tmp_path, [*_clicked("e1", message_id="om_1"), *_clicked("e2", message_id="om_2"), other]))
    with _tail(tmp_path, "--from", "beginning", *options) as process:
        assert sorted(expected) == sorted(line.split()[4] for line in _lines(process, len(expected)))


def test_a_time_or_a_place_says_where_to_begin(tmp_path: Path) -> None:
    """A place is what ``--json`` tells; times are those of the events."""
    old = click("old", message_id="om_1", occurred_at=1_750_000_000_000)
    young = click("young", message_id="om_1", occurred_at=1_750_000_060_000)
    asyncio.run(_append(tmp_path, [NewRecord.of(TOPICS.interactions, encode(each)) for each in (old, young)]))
    with _tail(tmp_path, "--from", "2025-06-15T15:07:00Z", "--json") as process:
        (found,) = map(json.loads, _lines(process, 1))
        assert "young" == found["id"]
    with _tail(tmp_path, "--from", found["logplace"]) as process:
        assert ["young"] == [line.split()[4] for line in _lines(process, 1)]
    with _tail(tmp_path, "--from", f"interactions/{found['logplace'].split('/')[1]}/0") as process:
        assert ["old", "young"] == [line.split()[4] for line in _lines(process, 2)]


def test_tokens_are_never_shown_and_what_people_typed_only_if_asked_for(tmp_path: Path) -> None:
    """Neither in lines nor in JSON."""
    asyncio.run(_append(tmp_path, _clicked("e1")))
    told = {}
    for options in ((), ("--json",), ("--json", "--show-values"), ("--show-values",)):
        with _tail(tmp_path, "--from", "beginning", *options) as process:
            told[options] = "\n".join(_lines(process, 2))
    assert [False] * 4 == [TOKEN in text for text in told.values()]
    assert [False, False, True, False] == [TYPED in text for text in told.values()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_told(number: signal.Signals, tmp_path: Path) -> None:
    """Nothing is said about it, and it is no failure."""
    asyncio.run(_append(tmp_path, _clicked("e1")))
    with started("log", "tail", "--from", "beginning", env=_env(tmp_path), cwd=tmp_path) as process:
        process.until("e1/answered")
        assert 0 == process.stop(number)
        assert "" == process.err.read_text()


def test_it_says_for_what_it_waits(tmp_path: Path) -> None:
    """A card that nobody clicks, or a misspelt one, is silence; a line says that it is meant."""
    asyncio.run(_append(tmp_path, _clicked("e1")))
    with _tail(tmp_path, "--card", "om_00", "--type", "decided") as process:
        assert process.stderr is not None
        told = process.stderr.readline()
    expected = "cardwire: waiting for records of the card om_00 and the type decided, new ones; Ctrl-C ends it\n"
    assert expected == told
    assert "--card is a chat's id" in _refused(tmp_path, "tail", "--card", "oc_1", code=2)


def test_it_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """As before ``head``: at once, although nothing more is appended."""
    asyncio.run(_append(tmp_path, _clicked("e1")))
    with _tail(tmp_path, "--from", "beginning") as process:
        _lines(process, 1)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert 0 == process.wait(PATIENCE_S)
        assert "" == process.stderr.read()
        process.stdout = None


# ---------------------------------------------------------------- what is refused


def _refused(folder: Path, *arguments: str, code: int, **settings: str) -> str:
    ran = run("log", *arguments, env=_env(folder, **settings), cwd=folder)
    (line,) = ran.stderr.splitlines()
    assert (code, "") == (ran.returncode, ran.stdout)
    assert is_documented(line.removeprefix("cardwire: ")), line
    return line.removeprefix("cardwire: ")


@pytest.mark.parametrize("arguments", [("tail",), ("export", "out")])
def test_a_log_that_is_not_there(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """None is made by looking for one."""
    assert "the log has no topic lark.card.interactions.v1: " in _refused(tmp_path, *arguments, code=1)
    assert [] == list(tmp_path.iterdir())


def test_where_to_begin_is_malformed(tmp_path: Path) -> None:
    """The line shows all ways to say it."""
    for where in ("yesterday", "interactions/x/1", "-1"):
        assert _refused(tmp_path, "tail", "--from", where, code=2).startswith("--from is malformed: expected beginning")


def test_a_type_that_is_none(tmp_path: Path) -> None:
    """The line names those that there are."""
    line = _refused(tmp_path, "tail", "--type", "effects", code=2)
    assert "effect.succeeded" in line


def test_a_partition_that_is_not_there(tmp_path: Path) -> None:
    """Nothing would ever be printed."""
    _filled(tmp_path, 1)
    assert "has no partition lark.card.interactions.v1/12" in _refused(
        tmp_path, "tail", "--from", "interactions/12/0", code=1
    )


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """It would lie below a file."""
    _filled(tmp_path, 1)
    assert _refused(tmp_path, "export", "log.db/out", code=2).startswith("FOLDER is log.db/out, where nothing can be")


def test_a_folder_of_another_log(tmp_path: Path) -> None:
    """Neither is it gone on with, nor taken for the beginning of what is there."""
    _filled(tmp_path, 5)
    run("log", "export", "out", env=_env(tmp_path), cwd=tmp_path)
    asyncio.run(_append(tmp_path, story(TOPICS, clicks=9, first=100), "other"))
    assert "holds another log" in _refused(tmp_path, "export", "out", code=1, name="other")
    assert "holds a record that is not that of" in _refused(tmp_path, "import", "out", code=1, name="other")


def test_a_folder_that_is_none_of_an_exported_log(tmp_path: Path) -> None:
    """To export into, or to import from."""
    _filled(tmp_path, 1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").touch()
    assert "photos holds something else (holiday.jpg)" in _refused(tmp_path, "export", "photos", code=1)
    assert "where no exported log is" in _refused(tmp_path, "import", "photos", code=2)
    (tmp_path / "photos" / "manifest.json").write_text("{}")
    assert "is not that of an exported log" in _refused(tmp_path, "import", "photos", code=2)


def test_a_damaged_folder(tmp_path: Path) -> None:
    """The line names the file."""
    _filled(tmp_path, 50)
    run("log", "export", "out", env=_env(tmp_path), cwd=tmp_path)
    path = tmp_path / "out" / "interactions-00.jsonl.zst"
    path.write_bytes(path.read_bytes()[:-3])
    assert "out/interactions-00.jsonl.zst is not what was exported" in _refused(
        tmp_path, "import", "out", code=1, name="new"
    )
    assert "is shorter than its manifest says" in _refused(tmp_path, "export", "out", code=1)


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """Once there is room again, the same command goes on."""
    chance = random.Random(1)
    noise = [click(f"e{n}", callback=json_text({"noise": chance.randbytes(1_000).hex()})) for n in range(300)]
    asyncio.run(_append(tmp_path, [NewRecord.of(TOPICS.interactions, encode(each)) for each in noise]))
    ran = subprocess.run(
        ["prlimit", "--fsize=100000", *COMMAND, "log", "export", "out"],
        env=_env(tmp_path), cwd=tmp_path, check=False, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    (line,) = ran.stderr.splitlines()
    assert (1, "") == (ran.returncode, ran.stdout)
    assert "out cannot be written any more (File too large)" in line
    assert is_documented(line.removeprefix("cardwire: "))
    assert run("log", "export", "out", env=_env(tmp_path), cwd=tmp_path).stdout.startswith("300 records are in out")


def test_brokers_that_cannot_be_reached(tmp_path: Path) -> None:
    """At once: it is not waited for what was never there."""
    _filled(tmp_path, 2)
    run("log", "export", "out", env=_env(tmp_path), cwd=tmp_path)
    for arguments in (("tail",), ("export", "more"), ("import", "out")):
        line = _refused(tmp_path, *arguments, code=1, CARDWIRE_LOG="kafka://127.0.0.1:1")
        assert line.startswith("CARDWIRE_LOG: Kafka at 127.0.0.1:1 cannot be ")
