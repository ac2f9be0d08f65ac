"""`cardwire diff` over a recorded log, as a developer or a pipeline types it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from shared.app.load import load_app
from shared.core.codec import encode
from shared.core.effects import UpdateCard
from shared.core.events import Event, RequestReceived, request_event_id
from shared.core.ids import AppId, EventId, MessageId
from shared.eventlog.open import open_log
from shared.eventlog.port import NewRecord, Topics
from tests.support.apps import ALERTS, BILLING, write_apps
from tests.support.commands import COMMAND, started
from tests.support.documents import is_documented
from tests.support.facts import APP, NOW, TENANT, click, mark
from tests.support.past import Recorder, append

pytestmark = pytest.mark.slow

DAY_MS: Final = 86_400_000
MIB: Final = 1 << 20
SECRET: Final = "what-somebody-typed"

HANDLERS: Final = """
import os

from cardwire import App, Decision, RenameChat, UpdateCard

app = App()


def shown(n, text):
    return {"config": {"update_multi": True}, "elements": [{"tag": "markdown", "content": text}], "n": n}


@app.on_action("count")
def count(click, card):
    n = (card.state or {}).get("n", 0) + 1 if card else 1
    return Decision(state={"n": n, "text": click.value["text"]}, effects=[UpdateCard(shown(n, click.value["text"]))])


@app.on_action("rename")
def rename(click, card):
    return [RenameChat("renamed")]
"""
"""The handlers of the record. The changes below are made to their text."""


def _clicks(count: int, *, cards: int, first: int = 0, app_id: str = APP) -> Iterator[Event]:
    for number in range(first, first + count):
        card = number % cards
        value = {"action": "count" if number % 10 else "rename", "kind": card % 50, "text": SECRET}
        at = NOW + number * 1_000
        made = click(
            f"{app_id}-e{number}", value=value, message_id=f"om_{card}", occurred_at=at, received_at=at, app_id=app_id
        )
        yield made
        yield mark(made)


def _recorder(name: str = "recorded_handlers", **apps: str) -> Recorder:
    """Return a recorder whose apps have the handlers of this module."""
    found = load_app(f"{name}:app")
    return Recorder(apps={AppId(app_id): found for app_id in apps.values()} or {APP: found})


@pytest.fixture(scope="module")
def monkeymodule() -> Iterator[pytest.MonkeyPatch]:
    """A patch that lasts as long as the module."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def handlers(tmp_path_factory: pytest.TempPathFactory, monkeymodule: pytest.MonkeyPatch) -> Path:
    """A folder with the handlers of the record, importable as ``recorded_handlers``."""
    folder = tmp_path_factory.mktemp("handlers")
    (folder / "recorded_handlers.py").write_text(HANDLERS)
    monkeymodule.syspath_prepend(str(folder))
    return folder


def _record(folder: Path, events: Sequence[Event], recorder: Recorder) -> str:
    """Record events in a log of files, and return its URL."""
    asked, told = recorder.record(events)
    return _written(folder, asked, told)


def record_clicks(folder: Path, count: int) -> str:
    """Record clicks that these handlers decide, and return the log's URL."""
    name = f"recorded_{folder.name.translate({ord('-'): '_'})}"
    (folder / f"{name}.py").write_text(HANDLERS)
    sys.path.append(str(folder))
    try:
        return _record(folder, list(_clicks(count, cards=5)), _recorder(name))
    finally:
        sys.path.remove(str(folder))


def _written(folder: Path, asked: Sequence[NewRecord], told: Sequence[NewRecord]) -> str:
    url = f"sqlite:///{folder / 'log.db'}"

    async def write() -> None:
        log = open_log(url)
        await log.create([Topics().interactions, Topics().outcomes])
        await append(log, asked)
        await append(log, told)
        await log.close()

    asyncio.run(write())
    return url


@pytest.fixture(scope="module")
def small(handlers: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log of 600 clicks on 100 cards."""
    folder = tmp_path_factory.mktemp("small")
    return _record(folder, list(_clicks(600, cards=100)), _recorder())


def _diff(
    folder: Path, log: str | None, *options: str, code: str = HANDLERS, **settings: str
) -> subprocess.CompletedProcess[str]:
    (folder / "traveling.py").write_text(code)
    env = {**_inherited(), "CARDWIRE_APP": "traveling:app", **settings}
    if log is not None:
        env["CARDWIRE_LOG"] = log
    return subprocess.run(
        [*COMMAND, "diff", *options], env=env, cwd=folder, check=False, capture_output=True, text=True, timeout=280
    )


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


def _lines(ran: subprocess.CompletedProcess[str], what: str) -> list[Any]:
    return [line for line in map(json.loads, ran.stdout.splitlines()) if line["what"] == what]


def _changed(before: str, after: str) -> str:
    assert before in HANDLERS
    return HANDLERS.replace(before, after)


MORE: Final = _changed(
    "    return Decision(",
    '    if click.value["kind"] == 7 and n == 3:\n        return [RenameChat("seven")]\n    return Decision(',
)
"""Changes what is decided about the third count of the cards of one kind."""


@pytest.mark.timeout(600)
def test_100_000_events_are_decided_as_they_were_and_a_changed_branch_is_named(handlers: Path, tmp_path: Path) -> None:
    """By the same code, nothing; by code with another branch, exactly the cards on which it was taken."""
    log = _record(tmp_path, list(_clicks(50_000, cards=2_500)), _recorder())
    ran = _diff(tmp_path, log, "--json")
    (summary,) = _lines(ran, "summary")
    assert (0, "", 50_000, 0, 2_500) == (
        ran.returncode, ran.stderr, summary["compared"], summary["differing"], summary["cards"]
    )  # fmt: skip
    assert [] == _lines(ran, "difference")
    assert 50 * MIB < summary["peak_bytes"] < 1_000 * MIB
    changed = _diff(tmp_path, log, "--json", code=MORE)
    causes = [line for line in _lines(changed, "difference") if line["why"] != "follows"]
    concerned = {f"om_{card}" for card in range(2_500) if card % 50 == 7}
    assert (1, concerned, len(concerned)) == (changed.returncode, {line["message_id"] for line in causes}, len(causes))
    follows = {line["message_id"] for line in _lines(changed, "difference") if line["why"] == "follows"}
    assert follows == concerned
    (count,) = (line for line in _lines(changed, "handler") if line["handler"] == "count")
    assert (len(concerned), len(concerned)) == (count["differing"], count["cards"])


def test_a_difference_is_readable_and_shows_nothing_that_people_typed(small: str, tmp_path: Path) -> None:
    """Handler, kind, card, event, path; values only where they are asked for."""
    code = _changed('"content": text}]', '"content": text + "!"}]')
    ran = _diff(tmp_path, small, code=code)
    assert (1, "") == (ran.returncode, ran.stderr)
    counted = "count  540 inputs, 90 decided otherwise on 90 cards; 450 more follow from them"
    for words in (counted, "card     90", "card     /elements/0/content: text → text"):
        assert words in ran.stdout
    assert "different: 90 of 600 inputs are decided otherwise, and 450 follow" in ran.stdout
    assert re.search(r"  100 cards, \d+\.\d s, [1-9]\d+ MiB of memory at most", ran.stdout)
    assert SECRET not in ran.stdout
    shown = _diff(tmp_path, small, "--show-values", "--examples", "1", code=code)
    assert f'"{SECRET}" → "{SECRET}!"' in shown.stdout
    assert 1 == shown.stdout.count("/elements/0/content")
    as_json = _diff(tmp_path, small, "--json", code=code)
    assert SECRET not in as_json.stdout
    assert {"kind": "card", "what": "/elements/0/content", "was": "text", "now": "text"} in (
        _lines(as_json, "difference")[0]["changes"]
    )


def test_the_same_code_that_decides_otherwise_is_told_so(small: str, tmp_path: Path) -> None:
    """A function that it calls has changed, or its environment has."""
    code = _changed('"n": n}\n', '"n": n, "where": os.environ.get("WHERE")}\n')
    ran = _diff(tmp_path, small, code=code, WHERE="here")
    assert 1 == ran.returncode
    assert "same code: 90 of these" in ran.stdout


def test_a_handler_that_does_not_agree_with_itself_is_named(small: str, tmp_path: Path) -> None:
    """It has a group of its own; others are not suspected."""
    code = "import random\n" + _changed('[RenameChat("renamed")]', '[RenameChat(f"{random.random()}")]')
    ran = _diff(tmp_path, small, "--json", code=code)
    found = {line["handler"]: line for line in _lines(ran, "handler")}
    assert (60, 60, 0) == (
        found["rename"]["nondeterministic"],
        found["rename"]["differing"],
        found["count"]["differing"],
    )
    assert "nondeterministic: 60 of these" in _diff(tmp_path, small, code=code).stdout


def test_only_a_period_is_compared_and_begins_with_the_recorded_states(small: str, tmp_path: Path) -> None:
    """What was counted before is not counted anew; what lies outside is not told."""
    begin, end = (f"2025-06-15T15:{minute}:40+00:00" for minute in ("08", "11"))
    ran = _diff(tmp_path, small, "--from", begin, "--to", end, "--json")
    (summary,) = _lines(ran, "summary")
    assert (0, 180, 420) == (ran.returncode, summary["compared"], summary["before"])
    changed = _diff(tmp_path, small, "--from", begin, "--to", end, "--json", code=MORE)
    assert 1 == changed.returncode
    causes = [line for line in _lines(changed, "difference") if line["why"] != "follows"]
    assert {NOW + 120_000 <= line["occurred_at"] < NOW + 300_000 for line in causes} == {True}
    none = _diff(tmp_path, small, "--from", "2024-01-01", "--to", "2024-01-02")
    assert (3, "") == (none.returncode, none.stderr), "a gate that had nothing to look at lets nothing through"
    assert is_documented(none.stdout.splitlines()[0])
    assert "no difference" not in none.stdout
    as_json = _diff(tmp_path, small, "--from", "2024-01-01", "--to", "2024-01-02", "--json")
    assert (3, [0]) == (as_json.returncode, [line["compared"] for line in _lines(as_json, "summary")])


def test_several_apps_are_decided_by_their_own_handlers(handlers: Path, tmp_path: Path) -> None:
    """A change in one app's handlers is told of that app alone."""
    apps = {"alerts": {**ALERTS, "handlers": "traveling:app"}, "billing": {**BILLING, "handlers": "billing:app"}}
    first, second = (apps[name]["app_id"] for name in apps)
    recorder = _recorder(one=first, other=second)
    events = [
        *_clicks(100, cards=20, app_id=first),
        *_clicks(100, cards=20, app_id=second),
        *_clicks(5, cards=5, app_id="cli_gone"),
    ]
    recorder.apps[AppId("cli_gone")] = recorder.apps[AppId(first)]
    log = _record(tmp_path, events, recorder)
    (tmp_path / "billing.py").write_text(HANDLERS.replace('"renamed"', '"billed"'))
    ran = _diff(tmp_path, log, "--json", CARDWIRE_APPS=str(write_apps(tmp_path / "apps.toml", apps)))
    assert (1, {second}) == (ran.returncode, {line["app_id"] for line in _lines(ran, "difference")})
    (summary,) = _lines(ran, "summary")
    assert (200, 10, {"app without handlers here": 5}) == (
        summary["compared"], summary["differing"], summary["as_recorded"]
    )  # fmt: skip


def test_a_log_that_was_moved_is_compared_all_the_same(handlers: Path, tmp_path: Path) -> None:
    """Other offsets in the same order; the first inputs and a decision are gone, some were told twice."""
    asked, told = _recorder().record(list(_clicks(300, cards=40)))
    log = _written(tmp_path, asked[60:], [*told[:200], *told[150:200], *told[201:]])
    ran = _diff(tmp_path, log, "--json")
    (summary,) = _lines(ran, "summary")
    assert (0, 0, 1, 30) == (ran.returncode, summary["differing"], summary["undecided"], summary["inputless"])
    assert 299 - 30 == summary["compared"] + summary["begun_later"]


def test_a_handler_that_hangs_is_interrupted_and_left_alone(small: str, tmp_path: Path) -> None:
    """It fails by its deadline, three times; others go on."""
    code = "import time\n" + _changed('    return [RenameChat("renamed")]', "    time.sleep(60)")
    ran = _diff(tmp_path, small, "--json", code=code)
    told = [line["changes"][0]["now"] for line in _lines(ran, "difference")]
    assert (1, 60) == (ran.returncode, len(told))
    assert {"failed: deadline", "failed: suspended"} == set(told)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os\nos._exit(3)", "a process that ran your handlers has ended"),
        (
            "while True:\n        try: sum(range(10_000))\n        except BaseException: pass",
            "a handler cannot be stopped",
        ),
    ],
    ids=["it exits", "it goes on"],
)
def test_a_handler_that_ends_its_process_or_cannot_be_ended(code: str, says: str, small: str, tmp_path: Path) -> None:
    """One line, and the exit code of what could not be compared."""
    body = code.replace("\n", "\n    ") if code.startswith("import") else code
    ran = _diff(tmp_path, small, code=_changed('    return [RenameChat("renamed")]', f"    {body}"))
    assert says in _line(ran, code=3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_ends_it_is_left_with_nothing_to_clean_up(number: signal.Signals, small: str, tmp_path: Path) -> None:
    """Neither processes nor files, and no exit code that means something else."""
    waits = "import time\n" + _changed('    return [RenameChat("renamed")]', "    time.sleep(1)")
    (tmp_path / "traveling.py").write_text(waits)
    (temporary := tmp_path / "temporary").mkdir()
    env = {**_inherited(), "CARDWIRE_APP": "traveling:app", "CARDWIRE_LOG": small, "TMPDIR": str(temporary)}
    with started("diff", env=env, cwd=tmp_path) as running:
        deadline = time.monotonic() + 60
        while not list(temporary.glob("*/cards-*.db")) and time.monotonic() < deadline:
            time.sleep(0.05)
        children = _children(running.process.pid)
        assert 128 + number == running.stop(number)
        assert ("", "") == (running.out.read_text(), running.err.read_text())
    assert [] == list(temporary.iterdir())
    assert children
    deadline = time.monotonic() + 20
    while any(map(_runs, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [] == [child for child in children if _runs(child)]


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _line(ran: subprocess.CompletedProcess[str], *, code: int) -> str:
    (line,) = ran.stderr.splitlines()
    assert (code, "") == (ran.returncode, ran.stdout)
    assert is_documented(line.removeprefix("cardwire: "))
    return line


def test_handlers_that_cannot_be_loaded(small: str, tmp_path: Path) -> None:
    """One line that leads to the mistake, told once and not by each process."""
    assert "traveling.py:1: ZeroDivisionError" in _line(_diff(tmp_path, small, code="1 / 0"), code=2)
    assert "traveling.py:1: SystemExit: 3" in _line(_diff(tmp_path, small, code="raise SystemExit(3)"), code=2)
    assert "which is neither installed nor in" in _line(_diff(tmp_path, small, "--app", "nowhere:app"), code=2)
    assert "as module:attribute" in _line(_diff(tmp_path, small, "--app", "nowhere"), code=2)


def test_options_that_are_wrong(small: str, tmp_path: Path) -> None:
    """One line with an example."""
    assert "--from is malformed" in _line(_diff(tmp_path, small, "--from", "yesterday"), code=2)
    assert "--from is not before --to" in _line(_diff(tmp_path, small, "--from", "1d", "--to", "7d"), code=2)
    assert "--from is still to come" in _line(_diff(tmp_path, small, "--from", "2999-01-01"), code=2)


def test_a_log_that_is_not_there_or_away(tmp_path: Path) -> None:
    """Neither is taken for a difference, and no file is made."""
    assert "has no topic" in _line(_diff(tmp_path, None), code=3)
    assert ["traveling.py"] == [file.name for file in tmp_path.iterdir() if file.is_file()]
    away = _diff(tmp_path, "kafka://127.0.0.1:1")
    assert (3, True) == (away.returncode, away.stderr.startswith("cardwire: CARDWIRE_LOG: Kafka at 127.0.0.1:1"))


def test_a_request_shows_on_the_card_and_is_nobodys_difference(handlers: Path, tmp_path: Path) -> None:
    """Whoever its caller is: the record says that it was granted."""
    asked = RequestReceived(
        event_id=request_event_id("jobs", "r1"), app_id=APP, tenant_key=TENANT, message_id=MessageId("om_1"),
        caller="cli", request_id="r1", effects=(UpdateCard({"asked": True}),), occurred_at=NOW, received_at=NOW,
    )  # fmt: skip
    events = [*_clicks(20, cards=5), asked, *_clicks(20, cards=5, first=20)]
    recorded, told = _recorder().record(events)
    others = [_by_another_caller(record) if b'"r1"' in record.value else record for record in recorded]
    ran = _diff(tmp_path, _written(tmp_path, others, told), "--json")
    assert (0, 41) == (ran.returncode, _lines(ran, "summary")[0]["compared"])


def _by_another_caller(record: NewRecord) -> NewRecord:
    request = msgspec.json.decode(record.value, type=RequestReceived)
    return NewRecord.of(
        record.topic, encode(msgspec.structs.replace(request, caller="jobs", event_id=EventId(request.event_id)))
    )
