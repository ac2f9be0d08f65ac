"""What is told of an effect: since when a call may have been performed that nobody knows the end of."""

from dataclasses import replace
from typing import Any

import pytest

from shared.core.json_text import EpochMs
from tests.support.facts import NOW, TOPICS
from tests.unit.worker.test_meter import head
from worker.performing.outcome import tell


@pytest.mark.parametrize(
    ("before", "begun", "told"),
    [
        pytest.param(None, True, NOW - 300, id="this call was the first"),
        pytest.param(NOW - 9_000, True, NOW - 9_000, id="an earlier one was"),
        pytest.param(None, False, None, id="nothing had reached the platform"),
    ],
)
def test_an_outcome_tells_since_when_a_call_may_have_been_performed(
    before: EpochMs | None, begun: Any, told: EpochMs | None
) -> None:
    """A ledger that is rebuilt goes by it: a send is repeated for an hour from then on, and no longer."""
    tried = replace(head(), begun_at=before)
    outcome = tell(tried, "failed", now=NOW, topics=TOPICS, retry_in_ms=500, begun=begun, started_at=NOW - 300)
    assert told == outcome.fact.begun_at
