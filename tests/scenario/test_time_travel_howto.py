"""docs/howto/time-travel.md, run as it stands: the gate of a release lets pass what decides alike, and nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenario.test_cli_diff import HANDLERS, record_clicks
from tests.support.documents import ROOT

pytestmark = pytest.mark.slow

HOWTO = (ROOT / "docs" / "howto" / "time-travel.md").read_text()


def _gate(folder: Path, log: str) -> subprocess.CompletedProcess[str]:
    """Run the last block of the how-to in a shell where `cardwire` is ours."""
    *_, gate = re.findall(r"^```sh\n(.*?)^```", HOWTO, re.MULTILINE | re.DOTALL)
    # The clicks of the test are older than the days that the recipe looks at.
    assert "--from 7d" in gate
    program = folder / "bin" / "cardwire"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cardwire "$@"\n')
    program.chmod(0o755)
    inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    env = {**inherited, "PATH": f"{program.parent}:{os.environ['PATH']}", "CARDWIRE_LOG": log}
    return subprocess.run(
        ["sh", "-e"], input=gate.replace("--from 7d", "--from 2025-01-01"), env=env, cwd=folder, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "log", "ends", "says"),
    [
        (HANDLERS, None, 0, "decides as it did"),
        (HANDLERS.replace('"renamed"', '"otherwise"'), None, 1, "RenameChat of chat:oc_1: /name: text → text"),
        ("1 / 0", None, 2, "could not be compared"),
        (HANDLERS, "sqlite:///nowhere.db", 3, "could not be compared"),
    ],
    ids=["alike", "otherwise", "broken", "no log"],
)
def test_the_gate_of_the_howto(code: str, log: str | None, ends: int, says: str, tmp_path: Path) -> None:
    """By its exit code; what differs is printed for whoever looks at it."""
    recorded = record_clicks(tmp_path, 40)
    (tmp_path / "new_handlers.py").write_text(code)
    ran = _gate(tmp_path, log or recorded)
    assert (ends, True) == (ran.returncode, says in ran.stdout), ran.stderr
