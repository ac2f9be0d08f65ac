"""The alerts that we suggest can fire: whatever they name is a number that a process shows, with that label."""

import re
from pathlib import Path
from typing import Final, get_args

import pytest

from shared.lacks import Lack
from shared.observability.metrics import GATEWAY_METRICS, GROUP_METRICS, WORKER_METRICS, Metric

ROOT: Final = Path(__file__).parents[2]
ALERTS: Final = ROOT / "deploy" / "alerts.yml"
WATCH: Final = ROOT / "docs" / "howto" / "watch.md"

_NAMED: Final = re.compile(r"\b(cardwire_[a-z_]+)(?:\{([a-z_]+)=)?")


def _shown(metric: Metric) -> list[str]:
    match metric.kind:
        case "counter":
            return [f"{metric.name}_total"]
        case "gauge":
            return [metric.name]
        case "histogram":
            return [metric.name, *(f"{metric.name}_{part}" for part in ("bucket", "sum", "count"))]


LABELS: Final = {
    name: metric.labels for metric in (*GATEWAY_METRICS, *WORKER_METRICS, *GROUP_METRICS) for name in _shown(metric)
}


@pytest.mark.parametrize("page", [ALERTS, WATCH], ids=lambda path: path.name)
def test_every_metric_that_is_named_exists(page: Path) -> None:
    """A name that nobody shows would never alert, and nobody would notice."""
    named = _NAMED.findall(page.read_text())
    assert named
    assert [] == [name for name, label in named if name not in LABELS or (label and label not in LABELS[name])]


def test_every_alert_is_explained() -> None:
    """Who is woken up finds what it means and what to do."""
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    explained = re.findall(r"^\| `(\w+)` \|", WATCH.read_text(), re.MULTILINE)
    assert 3 == len(alerts)
    assert alerts == explained[:3]


def test_everything_that_a_process_may_lack_is_explained() -> None:
    """Nobody reads a word on /readyz that stands nowhere."""
    explained = set(re.findall(r"^\| `(\w+)` \|", WATCH.read_text(), re.MULTILINE))
    assert set() == set(get_args(Lack)) - explained
