"""Requests for paths that are not there."""

import pytest

from gateway.apps import SHORT_PATHS
from gateway.strays import EVERY_S, MAX_PATH, Strays
from shared.clock import ManualClock
from shared.observability.metrics import GATEWAY_METRICS, PATHS_UNKNOWN, Metrics


def test_a_path_that_is_not_there_is_counted_and_told_of_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    """With the paths that are, and never at full length."""
    clock, metrics = ManualClock(), Metrics(*GATEWAY_METRICS)
    strays = Strays(SHORT_PATHS, clock=clock, metrics=metrics)
    for path in ("/webhook/crad", "/card/", "/"):
        strays.seen(path)
    clock.advance(EVERY_S)
    strays.seen("/" + 2 * MAX_PATH * "x")
    first, second = capsys.readouterr().out.splitlines()
    assert [True] * 3 == [part in first for part in ("path_unknown", "/webhook/crad", "/webhook/card, /webhook/event")]
    assert MAX_PATH - 1 == second.count("xx") * 2 + 1
    assert 4 == metrics.value(PATHS_UNKNOWN)
