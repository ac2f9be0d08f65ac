from collections.abc import Callable, Iterable, Sequence

import msgspec
import pytest

from shared.core.codec import decode
from shared.core.events import Action, Decided, EffectOutcome, Event, InteractionAnswered, InteractionReceived
from shared.core.fold import fold
from shared.core.ids import EventId, MessageId
from shared.core.json_text import json_text
from tests.chaos.handlers import card_showing
from tests.chaos.history import Call, CardSeen, Demands, FaultDone, History, LedgerRow, Line, Version
from tests.chaos.honest import APP, BEGAN, CARD, CHAT, CLICKS, EVERY_MS, PARTITION, TENANT, honest_history, lines
from tests.chaos.rules import RULES as OF_EVERY_RUN
from tests.chaos.workers.rows import FULL, RESET_MS
from tests.chaos.workers.rules import CLOCK_MS, LEARNED_MS, RULES, check
from tests.chaos.workers.table import COLUMNS, cells
from tests.support.fold_equals_ledger import rows

Doctor = Callable[[History], History]

changed = msgspec.structs.replace

LAST_AT = BEGAN + (CLICKS - 1) * EVERY_MS
SICK, HUNG = MessageId("om_sick"), MessageId("om_hung")
PATCH = "im.v1.message.patch"
DEMANDS = Demands(keep_up_ms=8_000, recover_ms=1_000)


def honest_row() -> History:
    """Return a row in which nothing was broken but two cards, and every promise was kept."""
    history = _poisoned(changed(honest_history(), row="honest", demands=DEMANDS, faults=[]))
    as_sent = Version(at=BEGAN - 1, by="sent", card=json_text(card_showing(0, "")))
    cards = [*history.cards, *(CardSeen(message_id=card, chat_id=CHAT, versions=(as_sent,)) for card in (SICK, HUNG))]
    return changed(history, cards=cards, faults=[_fault(0, "hang", HUNG), _fault(30_000, "free", HUNG)])


def _poisoned(history: History, result: str = "failed") -> History:
    """Add a click on another card that could not be decided."""
    click = InteractionReceived(
        event_id=EventId("event-poison"), kind="card_action", app_id=APP, tenant_key=TENANT, message_id=SICK,
        chat_id=CHAT, action=Action(tag="button", value=json_text({"action": "poison"})), occurred_at=BEGAN,
        received_at=BEGAN,
    )  # fmt: skip
    mark = InteractionAnswered(
        event_id=click.event_id, app_id=APP, tenant_key=TENANT, message_id=SICK, answered_at=BEGAN + 10
    )
    decided = Decided(
        event_id=click.event_id, app_id=APP, tenant_key=TENANT, message_id=SICK, partition=PARTITION,
        offset=2 * CLICKS, result="failed", handler="poison", occurred_at=BEGAN, decided_at=BEGAN + 5,
    )  # fmt: skip
    told = changed(history, interactions=lines([*_events(history.interactions), click, mark]))
    return _outcomes(told, lambda events: [*events, changed(decided, result=result)])


def _fault(after_ms: int, kind: str, name: str, role: str = "platform") -> FaultDone:
    return FaultDone(at=BEGAN + after_ms, kind=kind, role=role, name=name)


def _events(told: Sequence[Line]) -> list[Event]:
    return [decode([(name, value.encode()) for name, value in line.headers], line.value.encode()) for line in told]


def _outcomes(history: History, change: Callable[[list[Event]], list[Event]]) -> History:
    """Tell other outcomes, and store them: the rules of the fold are tried elsewhere."""
    events = change(_events(history.outcomes))
    folded = fold(event for event in events if isinstance(event, Decided | EffectOutcome))
    ledger = [LedgerRow(table=table, key=key, columns=dict(row)) for (table, key), row in rows(folded).items()]
    return changed(history, outcomes=lines(events), ledger=ledger)


def _broken(history: History) -> set[str]:
    return {violation.rule for violation in check(history)}


def _shown_later(history: History, by_ms: int) -> History:
    """Let the last click be shown later, and its call be made then."""
    card, *others = history.cards
    *before, last = card.versions
    call = changed(history.calls[-1], at=history.calls[-1].at + by_ms)
    late = _outcomes(history, lambda events: [_ended_later(event, by_ms) for event in events])
    versions = (*before, changed(last, at=last.at + by_ms))
    return changed(late, cards=[changed(card, versions=versions), *others], calls=[*history.calls[:-1], call])


def _ended_later(event: Event, by_ms: int) -> Event:
    if not isinstance(event, EffectOutcome) or event.event_id != f"event-{CLICKS - 1}" or event.started_at is None:
        return event
    return changed(event, started_at=event.started_at + by_ms, finished_at=event.finished_at + by_ms)


def _with_faults(history: History, *faults: FaultDone) -> History:
    return changed(history, faults=[*history.faults, *faults])


def _frozen(history: History, from_ms: int, to_ms: int) -> History:
    times = ((from_ms, "freeze"), (to_ms, "thaw"))
    return _with_faults(history, *(_fault(at, kind, "worker-1", role="worker") for at, kind in times))


def _away(history: History, from_ms: int, to_ms: int, role: str = "database") -> History:
    return _with_faults(history, _fault(from_ms, "down", "it, killed", role), _fault(to_ms, "up", "it", role))


def _refused(history: History, *others: Call) -> History:
    """Let a call be told to wait, after all others, and these come behind it."""
    return changed(history, calls=[*history.calls, _call(0, code=99991400, status=429, fault="429"), *others])


def _call(after_ms: int, *, api: str = PATCH, **how: object) -> Call:
    told = {"code": 0, "status": 200, **how}
    path = f"/open-apis/im/v1/messages/{CARD}"
    return Call(n=100, at=LAST_AT + 1_000 + after_ms, method="PATCH", path=path, api=api, target=CARD, **told)  # type: ignore[arg-type]


def test_an_honest_row_has_no_violation() -> None:
    """A row in which every promise was kept passes all rules, that of the clicks nobody can decide included."""
    assert [] == check(honest_row())


def test_a_card_may_wait_longer_while_something_is_broken() -> None:
    """A fault, and a while after it, is another matter than calm; but there is a bound then, too."""
    late = _shown_later(honest_row(), 6_000)
    assert {"no card waits for another"} == _broken(late)
    assert set() == _broken(_frozen(late, 9_000, 12_000))
    assert set() == _broken(_frozen(late, 2_000, 8_500))
    assert {"no card waits for another"} == _broken(_frozen(late, 1_000, 3_000))


def test_a_card_may_wait_longer_on_a_machine_without_time() -> None:
    """The gateway's slow answer witnesses that it was nobody's fault; but there is a bound then, too."""
    late = _shown_later(honest_row(), 6_000)
    slow = [*late.deliveries[:-1], changed(late.deliveries[-1], ended_at=LAST_AT + 300)]
    assert set() == _broken(changed(late, deliveries=slow))
    later = _shown_later(honest_row(), 8_000)
    assert {"no card waits for another"} == _broken(changed(later, deliveries=slow))


@pytest.mark.parametrize("role", ["database", "broker", "platform"])
def test_the_time_in_which_no_card_can_be_changed_does_not_count(role: str) -> None:
    """While ledger, log or platform are away nobody is updated, and that is no neighbour's fault."""
    late = _shown_later(honest_row(), 20_000)
    assert set() == _broken(_away(late, 8_500, 23_000, role))
    assert {"no card waits for another"} == _broken(_away(late, 8_500, 16_000, role))


def test_a_card_that_hangs_may_wait_as_long_as_it_hangs() -> None:
    """That it did is seen, and held against nobody."""
    hanging = [_fault(8_000, "hang", CARD), _fault(25_000, "free", CARD)]
    late = changed(_shown_later(honest_row(), 20_000), faults=hanging)
    assert set() == _broken(changed(late, demands=changed(DEMANDS, hung=1)))
    assert {"enough was broken to prove anything"} == _broken(changed(late, demands=changed(DEMANDS, hung=2)))


@pytest.mark.parametrize(
    "others",
    [
        (_call(RESET_MS),),
        (_call(LEARNED_MS),),
        (_call(LEARNED_MS + 500, api="im.v1.chat.update"),),
        (_call(RESET_MS, code=99991400, status=429, fault="429"), _call(2 * RESET_MS)),
    ],
)
def test_calls_after_a_429_that_are_no_violation(others: tuple[Call, ...]) -> None:
    """When the wait is over; before another worker can know of it; of another API; one try after each wait."""
    assert set() == _broken(_refused(honest_row(), *others))


def _never_shown(history: History) -> History:
    card, *others = history.cards
    return changed(history, cards=[changed(card, versions=card.versions[:-1]), *others])


def _decided(history: History, by_ms: int) -> History:
    return _outcomes(
        history,
        lambda events: [
            changed(event, decided_at=event.decided_at + by_ms) if isinstance(event, Decided) else event
            for event in events
        ],
    )


def _performed(history: History, by_ms: int) -> History:
    return _outcomes(history, lambda events: [_ended_later(event, by_ms) for event in events])


def _demanding(**more: object) -> Doctor:
    told = {name: getattr(DEMANDS, name) for name in Demands.__struct_fields__}
    return lambda history: changed(history, demands=Demands(**{**told, **more}))


def _one_lost(wanted: str) -> Doctor:
    """Lose the answer of a card's update, where another is wanted."""

    def doctor(history: History) -> History:
        calls = [*history.calls[:-1], changed(history.calls[-1], fault="drop_after")]
        lossy = changed(history, calls=calls, demands=changed(DEMANDS, faulted={"drop_after": 1}))
        assert set() == _broken(lossy)
        return changed(lossy, demands=changed(DEMANDS, faulted={wanted: 1}))

    return doctor


def _unknown_decided(history: History) -> History:
    return _outcomes(
        history,
        lambda events: [
            changed(event, result="decided")
            if isinstance(event, Decided) and event.event_id == "event-poison"
            else event
            for event in events
        ],
    )


WAIT, NEIGHBOURS, CLOCK, WORTH = (rule.name for rule in RULES if rule not in OF_EVERY_RUN)

DOCTORED: Sequence[tuple[str, str, Doctor]] = (
    ("every event is decided once", "what cannot be decided was", _unknown_decided),
    (WAIT, "too soon", lambda row: _refused(row, _call(RESET_MS - 500))),
    (WAIT, "long after the others could know", lambda row: _refused(row, _call(LEARNED_MS + 100))),
    (WAIT, "refused once more", lambda row: _refused(row, _call(RESET_MS - 500, fault="429"))),
    (NEIGHBOURS, "late in calm", lambda row: _shown_later(row, DEMANDS.calm_ms)),
    (NEIGHBOURS, "too late in trouble", lambda row: _frozen(_shown_later(row, 8_000), 9_000, 20_000)),
    (NEIGHBOURS, "never shown", _never_shown),
    (CLOCK, "decided too early", lambda row: _decided(row, -CLOCK_MS - 10)),
    (CLOCK, "performed too late", lambda row: _performed(row, CLOCK_MS + 500)),
    (CLOCK, "performed too early", lambda row: _performed(row, -CLICKS * EVERY_MS - CLOCK_MS)),
    (WORTH, "nothing was done", _demanding(done={"freeze": 1})),
    (WORTH, "no call was lost", _demanding(faulted={"drop_after": 1})),
    (WORTH, "no send was lost", _one_lost("drop_after im.v1.message.create")),
    (WORTH, "everything could be decided", _demanding(failed=2)),
    (WORTH, "nothing hung", _demanding(hung=1)),
    (WORTH, "nothing came in calm", _demanding(calm=CLICKS + 1)),
)


@pytest.mark.parametrize(("rule", "doctor"), [(rule, doctor) for rule, _, doctor in DOCTORED],
                         ids=[f"{rule}: {what}" for rule, what, _ in DOCTORED])  # fmt: skip
def test_a_breach_is_seen(rule: str, doctor: Doctor) -> None:
    """A row doctored in one place breaks the rule that guards it, with the evidence in one line."""
    violations = check(doctor(honest_row()))
    assert rule in {violation.rule for violation in violations}
    assert all(violation.evidence and "\n" not in violation.evidence for violation in violations)


def test_every_rule_is_seen_to_fire() -> None:
    """No rule of the rows alone is there that no doctored row breaks; those of every run are tried there."""
    assert {rule.name for rule in RULES} == {rule for rule, *_ in DOCTORED} | {rule.name for rule in OF_EVERY_RUN} - {
        "callbacks are answered in time"
    }


def test_the_rules_judge_all_that_the_worker_promises() -> None:
    """How soon callbacks are answered is the gateway's matter; the rest of the table of guarantees is judged."""
    numbers: Iterable[int] = (1, 3, 4, 5, 6, 7, 8, 9, 10)
    assert {f"G{number}" for number in numbers} == {rule.guarantee for rule in RULES} - {""}


def test_the_table_tells_of_a_row() -> None:
    """One cell for each column, without a fault and with one."""
    row = FULL[0]
    quiet = cells(row, honest_row(), [])
    broken = cells(row, _away(_shown_later(honest_row(), 5_000), 8_500, 12_000), [])
    assert [len(COLUMNS)] * 2 == [len(quiet), len(broken)]
    told = dict(zip(COLUMNS, broken, strict=True))
    assert ("10", "1", "310 / 5,310 / 5,310", "2.3", "none") == tuple(
        told[name]
        for name in (
            "decided",
            "could not be decided",
            "shown after, ms (p50 / p99 / max)",
            "caught up after, s",
            "promises broken",
        )
    )
    assert "-" == dict(zip(COLUMNS, quiet, strict=True))["caught up after, s"]
