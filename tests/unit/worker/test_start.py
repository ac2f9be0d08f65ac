"""Whether log and ledger tell the same history."""

import pytest

from shared.core.codec import encode
from shared.core.errors import StartRefused
from shared.core.events import Decided
from shared.core.ids import AppId, EventId
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord, Span
from tests.support.facts import APP, NOW, TENANT, TOPICS
from worker.ledger.decided import ClaimKey, Position
from worker.start import LOOK_BACK, History, Passed, _is_forgotten, _newest_decisions, examine

SPANS = {0: Span(begin=0, end=10), 1: Span(begin=5, end=8)}
KEY = ClaimKey(AppId("a"), EventId("e"))


def refusal(history: History) -> str:
    """Return what the operator reads."""
    with pytest.raises(StartRefused) as refused:
        examine(history, TOPICS)
    return str(refused.value)


def test_a_log_and_its_ledger_pass() -> None:
    """Positions within the log, the same record before them, every newest decision known."""
    positions = {0: Position(next=10, last_id="x"), 1: Position(next=6, last_id="y")}
    history = History(spans=SPANS, positions=positions, before={0: "x", 1: "y"}, decided={KEY}, claimed={KEY})
    assert [] == examine(history, TOPICS)


def test_a_first_start_passes() -> None:
    """Nothing decided, nothing to compare."""
    assert [] == examine(History(spans=SPANS, positions={}), TOPICS)


def test_a_log_without_the_topic_names_the_command() -> None:
    """Nothing is created on the quiet."""
    assert "cardwire topics create" in refusal(History(spans={}, positions={}))


def test_an_empty_ledger_on_a_log_with_decisions_is_refused() -> None:
    """Consuming from the beginning would send everything twice."""
    text = refusal(History(spans=SPANS, positions={}, decided={KEY}))
    assert "restore its backup" in text
    assert "event e" in text


def test_a_ledger_restored_from_yesterday_is_refused() -> None:
    """Its positions are fine, but a decision told since is not in it."""
    positions = {0: Position(next=3, last_id="x"), 1: Position(next=5)}
    assert "restore its backup" in refusal(History(spans=SPANS, positions=positions, before={0: "x"}, decided={KEY}))


def test_a_ledger_that_is_half_rebuilt_is_refused() -> None:
    """It knows every decision, and nobody has said yet where to go on: what is pending has no target."""
    half = History(spans=SPANS, positions={}, decided={KEY}, claimed={KEY})
    assert "run `cardwire rebuild` to its end" in refusal(half)


def test_another_number_of_partitions_is_refused() -> None:
    """Keys would change partition, and cards their order."""
    assert "2 partitions" in refusal(History(spans=SPANS, positions={0: Position(next=0)}))


def test_a_position_beyond_the_end_is_refused() -> None:
    """The topic was re-created or truncated."""
    positions = {0: Position(next=11, last_id="x"), 1: Position(next=5)}
    assert "ends at 10" in refusal(History(spans=SPANS, positions=positions))


def test_another_record_before_the_position_is_refused() -> None:
    """The topic was re-created and has grown past the position."""
    positions = {0: Position(next=3, last_id="x"), 1: Position(next=5)}
    assert "re-created" in refusal(History(spans=SPANS, positions=positions, before={0: "other"}))


def test_a_position_that_retention_passed_is_reported_and_goes_on() -> None:
    """What is gone is gone; standing still would lose more."""
    positions = {0: Position(next=0), 1: Position(next=2, last_id="x")}
    assert [Passed(partition=1, position=2, begin=5)] == examine(History(spans=SPANS, positions=positions), TOPICS)


def decided_at(at: int, *, offset: int = 0, partition: int = 0) -> Decided:
    """Return a decision of a time."""
    return Decided(
        event_id=EventId("e1"), app_id=APP, tenant_key=TENANT, partition=partition, offset=offset, result="ignored",
        occurred_at=NOW, decided_at=at,
    )  # fmt: skip


async def test_the_newest_decision_is_found_behind_many_other_records() -> None:
    """Each partition is read backwards until a decision is found."""
    log = MemoryLog()
    await log.create([TOPICS.outcomes])
    record = NewRecord.of(TOPICS.outcomes, encode(decided_at(NOW)))
    noise = NewRecord(topic=TOPICS.outcomes, key=record.key, value=b"{}", headers=(), timestamp=NOW)
    await log.append([record, *[noise] * (2 * LOOK_BACK + 1)])
    assert [decided_at(NOW)] == await _newest_decisions(log, TOPICS.outcomes)
    await log.close()


@pytest.mark.parametrize(
    ("decision", "position", "forgotten"),
    [
        pytest.param(decided_at(9, offset=4), Position(next=5), True, id="decided here, and long ago"),
        pytest.param(decided_at(10, offset=4), Position(next=5), False, id="not so long ago"),
        pytest.param(decided_at(9, offset=5), Position(next=5), False, id="this ledger has not got so far"),
        pytest.param(decided_at(9, partition=1), Position(next=5), False, id="another partition"),
        pytest.param(decided_at(9, offset=50), Position(next=10), True, id="decided before the log was moved"),
    ],
)
def test_only_what_this_ledger_decided_long_ago_may_be_forgotten(
    decision: Decided,
    position: Position,
    forgotten: bool,  # noqa: FBT001
) -> None:
    """An empty or older ledger has not got so far."""
    assert forgotten is _is_forgotten(decision, {0: position}, SPANS, before=10)
