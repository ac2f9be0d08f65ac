import re
from pathlib import Path
from typing import get_args

from simulator.app import RunningSimulator
from simulator.faults import FAULT_KINDS
from simulator.judge import Rule
from tests.unit.simulator.asking import Asking

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "simulator.md").read_text(encoding="utf-8")


async def test_every_call_that_is_documented_exists(ask: Asking) -> None:
    """A documented call refuses an unknown member, where one that does not exist would be 404."""
    names = set(re.findall(r"`POST /_sim/(\w+)`", PAGE))
    assert len(names) > 10
    assert dict.fromkeys(names, 400) == {name: (await ask.post(name, {"no such member": 1}))[0] for name in names}


def test_every_rule_that_is_judged_is_documented() -> None:
    """Whoever reads a violation finds its rule."""
    assert [] == [rule for rule in get_args(Rule) if f"`{rule}`" not in PAGE]


def test_every_kind_of_fault_is_documented() -> None:
    """The table of faults is complete."""
    assert [] == [kind for kind in FAULT_KINDS if f"`{kind}`" not in PAGE]


def test_a_running_simulator_shows_no_secret(sim: RunningSimulator) -> None:
    """Its repr may stand in a failed test's output."""
    app = sim.platform.app
    token = sim.platform.access_tokens.issue(app.app_id, app.app_secret, now=0)
    shown = repr((sim, app, token))
    assert app.app_secret not in shown
    assert token.value not in shown
