"""What a call of a user's function came to: told, tried again, or given up; from values alone."""

from typing import Any

import msgspec
import pytest

from shared.core.effects import Call, Origin
from shared.core.events import CallReturned
from shared.core.ids import EventId, Target
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import Topics
from tests.unit.worker.test_answered import APP, NOW, head
from worker.calling.came import Broke, Came
from worker.ledger.leased import Leased, TargetKey
from worker.performing.choose import choose
from worker.performing.errand_result import UNKNOWN, errand_result
from worker.performing.job import Errand
from worker.performing.retry import HORIZON_MS
from worker.performing.turn import Result, Turn

RAISED = Broke(reason="raised", text="ValueError in publish")
REFUSED = Broke(reason="refused", text="no such release", is_final=True)
WAIT_MS = 250
"""Half of the formula's half second."""


def came_to(came: Came | Broke | None, *, allowed: int = 3, now: EpochMs = NOW, **changes: Any) -> Result:
    """Return what is stored of a first call that came to this."""
    target = Target("call:e1/1")
    of = head(index=1, kind="Call", target=target, coalesce=None, **{"decided_at": NOW, **changes})
    leased = Leased(key=TargetKey(APP, target), leased_at=now, heads=[of])
    turn = Turn(leased=leased, choice=choose(leased, now), topics=Topics())
    errand = Errand(turn=turn, head=of, effect=Call("publish", "[1]", origin=Origin(event_id=EventId("e0"))))
    return errand_result(errand, came, allowed=allowed, now=now, chance=lambda: 0.5)


def stored(result: Result) -> tuple[str, int, int | None, str | None]:
    """Return the effect's new standing: its status, its attempts, when it is tried again, and why."""
    ((_, outcome),), (change,) = result.outcomes, result.settlement.changes
    return change.status, change.attempts, change.retry_in_ms, outcome.reason


def brought_back(result: Result) -> list[tuple[str | None, str | None]]:
    """Return what the handler that asked is told: a value, or why there is none."""
    records = [record for record in result.settlement.outbox if record.topic == Topics().interactions]
    facts = [msgspec.json.decode(record.value, type=CallReturned) for record in records]
    return [(fact.value, fact.error) for fact in facts]


def test_what_a_function_returned_is_told() -> None:
    """With the end of its effect, in one settlement, and before it: a log may end between the two."""
    result = came_to(Came(value=JsonText("7")), attempts=1)
    topics = Topics()
    assert [topics.interactions, topics.outcomes] == [record.topic for record in result.settlement.outbox]
    assert ("succeeded", 2, None, None) == stored(result)
    assert [("7", None)] == brought_back(result)


@pytest.mark.parametrize(
    ("came", "attempts", "standing"),
    [
        (RAISED, 0, ("pending", 1, WAIT_MS, "raised")),
        (RAISED, 1, ("pending", 2, WAIT_MS, "raised")),
        (RAISED, 2, ("failed", 3, None, "raised")),
        (REFUSED, 0, ("failed", 1, None, "refused")),
    ],
)
def test_a_failure_is_final_by_its_own_word_or_when_its_author_allows_no_more(
    came: Broke, attempts: int, standing: tuple[str, int, int | None, str]
) -> None:
    """Only then somebody is told that nothing comes back."""
    result = came_to(came, attempts=attempts)
    assert standing == stored(result)
    assert ([] if standing[0] == "pending" else [(None, came.text)]) == brought_back(result)


def test_a_function_that_nobody_registered_uses_up_no_attempt() -> None:
    """A worker of another version may have it."""
    assert ("pending", 0, WAIT_MS, UNKNOWN) == stored(came_to(None, allowed=0))


@pytest.mark.parametrize("came", [RAISED, None])
def test_what_could_be_tried_only_after_its_day_is_given_up(came: Broke | None) -> None:
    """To the millisecond."""
    last = NOW + HORIZON_MS - WAIT_MS
    assert "pending" == stored(came_to(came, now=last))[0]
    late = came_to(came, now=last + 1)
    assert "failed" == stored(late)[0]
    assert 1 == len(brought_back(late))
