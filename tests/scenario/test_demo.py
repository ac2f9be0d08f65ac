"""`cardwire demo`: a newcomer's first minute."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cardwire.demo

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-P", "-m", "cardwire", "demo", "--once")


def _demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the demo somewhere else, with nothing in the home directory and no setting."""
    for name in ("home", "here", "tmp"):
        (folder / name).mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    return subprocess.run(
        [*COMMAND, *options], cwd=folder / "here", env=env, check=False, capture_output=True, text=True, timeout=60
    )


def test_the_demo_tells_a_clicks_story_and_ends_well(tmp_path: Path) -> None:
    """Received, answered, decided, updated; then the card's and the chat's new text."""
    ran = _demo(tmp_path)
    assert (0, "") == (ran.returncode, ran.stderr)
    said = ran.stdout
    places = [
        said.index(word) for word in ("clicked", "received", "answered", "decided", "updated", "card  ", "chat  ")
    ]
    assert sorted(places) == places
    assert "待处理 → 跟进中" in said
    assert "支付告警 → 跟进中" in said


def test_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    """Log and ledger lie in a folder that goes with it."""
    _demo(tmp_path)
    assert [] == [path for name in ("home", "here", "tmp") for path in (tmp_path / name).iterdir()]


def test_the_demo_tells_programs_the_times(tmp_path: Path) -> None:
    """The card's update comes after the answer, and after the gap in which clients revert updates."""
    *steps, result = map(json.loads, _demo(tmp_path, "--json").stdout.splitlines())
    at = {step["what"]: step["after_ms"] for step in steps if step["what"] != "updated"}
    card = next(step["after_ms"] for step in steps if step["detail"].startswith("UpdateCard"))
    assert 0 <= at["received"] <= at["answered"]
    assert at["received"] <= at["decided"]
    assert at["answered"] + 300 <= card
    assert {"card": "跟进中", "chat": "跟进中"} == result


def test_the_demo_runs_what_the_example_shows() -> None:
    """The wheel has no examples, so the demo carries the same file."""
    example = ROOT / "examples" / "followup" / "handlers.py"
    assert example.read_text() == Path(cardwire.demo.__file__).read_text()
