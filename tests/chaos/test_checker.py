from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from shared.core.codec import decode
from shared.core.events import Decided, EffectOutcome, Event
from tests.chaos.checker import check
from tests.chaos.handlers import card_showing
from tests.chaos.history import Call, Ended, FaultDone, History, Line, RuleBroken, keep, kept
from tests.chaos.honest import BEGAN, CARD, CLICKS, honest_history, lines
from tests.chaos.rules import RULES

S = TypeVar("S", bound=msgspec.Struct)
Doctor = Callable[[History], History]

changed = msgspec.structs.replace

CRASH = Ended(at=BEGAN + 500, name="worker-1", code=1, started_at=BEGAN, was_ready=True, last_line="KeyError")
BROKER_RESTART = [
    FaultDone(at=BEGAN + 200, kind="down", role="broker", name="kafka"),
    FaultDone(at=BEGAN + 2_000, kind="up", role="broker", name="kafka"),
]


def test_an_honest_history_has_no_violation() -> None:
    """A run in which every promise was kept passes all rules."""
    assert [] == check(honest_history())


def test_a_history_kept_in_a_folder_is_read_back_whole(tmp_path: Path) -> None:
    """What a failed run leaves behind can be checked again."""
    history = honest_history()
    keep(history, tmp_path)
    assert history == kept(tmp_path)
    assert [] == check(kept(tmp_path))


def test_a_retried_append_is_no_violation() -> None:
    """A gateway that died after its append leaves the same event twice in the log: one decision, one count."""
    history = honest_history()
    again = changed(history.interactions[0], offset=len(history.interactions))
    assert [] == check(changed(history, interactions=[*history.interactions, again]))


def test_a_record_relayed_twice_is_no_violation() -> None:
    """A relay that died before it could delete its rows tells them again, byte for byte."""
    history = honest_history()
    again = [changed(line, offset=line.offset + 1000) for line in history.outcomes]
    assert [] == check(changed(history, outcomes=[*history.outcomes, *again]))


def test_a_click_that_nobody_answered_may_be_updated_after_three_seconds() -> None:
    """Without an answer the platform tells the person so after three seconds, and updates may follow."""
    history = honest_history()
    (card,) = history.cards
    last = changed(card.versions[-1], at=BEGAN + CLICKS * 1000 + 3_000)
    doctored = changed(
        history,
        deliveries=history.deliveries[:-1],
        cards=[changed(card, versions=(*card.versions[:-1], last))],
    )
    assert [] == check(doctored)


def test_a_process_that_cannot_start_without_its_broker_is_no_violation() -> None:
    """A worker started while the broker is away says so, ends, and is started again."""
    history = honest_history()
    refused = changed(CRASH, was_ready=False)
    assert [] == check(changed(history, ended=[refused], faults=[*history.faults, *BROKER_RESTART]))
    assert [] != check(changed(history, ended=[refused]))


def test_a_platform_that_read_the_answer_too_late_is_no_violation() -> None:
    """An update a settle gap after the written answer kept the promise, also if the platform turned it back."""
    history = honest_history()
    (card,) = history.cards
    *before, last = card.versions
    unread = changed(history.deliveries[-1], ended_at=last.at + 100)
    turned_back = changed(before[-1], by="revert", at=last.at + 100)
    doctored = changed(
        history,
        deliveries=[*history.deliveries[:-1], unread],
        cards=[changed(card, versions=(*card.versions, turned_back))],
    )
    assert [] == check(doctored)


def _first(items: Sequence[S], change: Callable[[S], S]) -> list[S]:
    return [change(items[0]), *items[1:]]


def _last(items: Sequence[S], change: Callable[[S], S]) -> list[S]:
    return [*items[:-1], change(items[-1])]


def _events(told: Sequence[Line]) -> list[Event]:
    return [decode([(name, value.encode()) for name, value in line.headers], line.value.encode()) for line in told]


def _outcomes(history: History, change: Callable[[list[Event]], list[Event]]) -> History:
    return changed(history, outcomes=lines(change(_events(history.outcomes))))


def _lost(history: History) -> History:
    gone = history.interactions[0].ce_id
    return changed(history, interactions=[line for line in history.interactions if not line.ce_id.startswith(gone)])


def _counted_twice(history: History) -> History:
    rows = [
        changed(row, columns={**row.columns, "state": '{"clicks":11}'}) if row.table == "cards" else row
        for row in history.ledger
    ]
    return changed(history, ledger=rows)


def _shows_one_less(history: History) -> History:
    card = msgspec.json.encode(card_showing(CLICKS - 1, "event-9")).decode()
    versions = [*history.cards[0].versions[:-1], changed(history.cards[0].versions[-1], card=card)]
    return changed(history, cards=[changed(history.cards[0], versions=tuple(versions))])


def _decided_again_otherwise(history: History) -> History:
    return _outcomes(
        history,
        lambda events: [
            *events,
            *(changed(event, state='{"clicks":0}') for event in events[:1] if isinstance(event, Decided)),
        ],
    )


def _never_decided(history: History) -> History:
    return _outcomes(history, lambda events: [event for event in events if event.event_id != "event-4"])


def _failed(history: History) -> History:
    return _outcomes(
        history,
        lambda events: [
            changed(event, result="failed") if isinstance(event, Decided) and event.event_id == "event-4" else event
            for event in events
        ],
    )


def _version_skipped(history: History) -> History:
    return _outcomes(
        history,
        lambda events: [
            changed(event, version=CLICKS + 1) if isinstance(event, Decided) and event.version == CLICKS else event
            for event in events
        ],
    )


def _told_in_reverse(history: History) -> History:
    return _outcomes(history, lambda events: events[::-1])


def _decided_out_of_order(history: History) -> History:
    return _outcomes(
        history,
        lambda events: [
            changed(event, offset=0) if isinstance(event, Decided) and event.event_id == "event-4" else event
            for event in events
        ],
    )


def _texts(change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Doctor:
    return lambda history: changed(
        history, chats=_first(history.chats, lambda chat: changed(chat, texts=change(chat.texts)))
    )


def _effect_without_outcome(history: History) -> History:
    return _outcomes(history, lambda events: [event for event in events if isinstance(event, Decided)])


def _effect_given_up(history: History) -> History:
    return _outcomes(
        history,
        lambda events: [
            changed(event, status="failed", code=230031) if isinstance(event, EffectOutcome) else event
            for event in events
        ],
    )


def _older_update_last(history: History) -> History:
    (card,) = history.cards
    older, newer = card.versions[-2:]
    return changed(history, cards=[changed(card, versions=(*card.versions[:-2], newer, changed(older, at=newer.at)))])


def _old_name(history: History) -> History:
    return changed(history, chats=_first(history.chats, lambda chat: changed(chat, names=chat.names[:-1])))


def _updated_before_the_answer(history: History) -> History:
    (card,) = history.cards
    as_sent, first, *rest = card.versions
    return changed(history, cards=[changed(card, versions=(as_sent, changed(first, at=BEGAN + 5), *rest))])


def _marked_before_the_settle_gap(history: History) -> History:
    (card,) = history.cards
    as_sent, first, *rest = card.versions
    early = changed(first, at=BEGAN + 200)
    return changed(
        history,
        cards=[changed(card, versions=(as_sent, early, *rest))],
        deliveries=_first(history.deliveries, lambda one: changed(one, ended_at=BEGAN + 250)),
    )


def _answered_too_late(history: History) -> History:
    late = [changed(delivered, status=None, client_error=200_341) for delivered in history.deliveries[:1]]
    return changed(history, deliveries=[*late, *history.deliveries[1:]])


def _called_in_vain(history: History) -> History:
    refused = Call(n=1, at=BEGAN, method="PATCH", path=f"/open-apis/im/v1/messages/{CARD}", code=230_031, status=400)
    return changed(history, calls=[refused])


def _reverted(history: History) -> History:
    (card,) = history.cards
    revert = changed(card.versions[-1], by="revert")
    return changed(history, cards=[changed(card, versions=(*card.versions, revert))])


def _limit_exceeded(history: History) -> History:
    broken = RuleBroken(at=BEGAN, rule="message_per_second", api="im.v1.message.patch", target=CARD)
    return changed(history, broken=[broken])


def _other_attempts_in_ledger(history: History) -> History:
    return changed(
        history, ledger=_last(history.ledger, lambda row: changed(row, columns={**row.columns, "attempts": 7}))
    )


def _row_missing_in_ledger(history: History) -> History:
    return changed(history, ledger=history.ledger[1:])


def _row_lost_in_a_rebuild(history: History) -> History:
    return changed(history, unlike=["claims['cli', 'e1']: lost"])


def _still_busy(history: History) -> History:
    return changed(history, unquiet=["3 effects are pending"])


def _crashed(history: History) -> History:
    return changed(history, ended=[CRASH])


def _gave_up_on_the_broker(history: History) -> History:
    return changed(history, ended=[CRASH], faults=[*history.faults, *BROKER_RESTART])


def _mostly_refused(history: History) -> History:
    refused = [changed(click, attempts=(changed(click.attempts[0], toast="error"),)) for click in history.clicks[:2]]
    return changed(history, clicks=[*refused, *history.clicks[2:]])


def _killed_too_early(history: History) -> History:
    return changed(history, faults=_first(history.faults, lambda fault: changed(fault, at=BEGAN - 1)))


DOCTORED: Sequence[tuple[str, Doctor]] = (
    ("every accepted click is in the log", _lost),
    ("every card counts its events", _counted_twice),
    ("every card counts its events", _shows_one_less),
    ("every event is decided once", _decided_again_otherwise),
    ("every event is decided once", _never_decided),
    ("every event is decided once", _lost),
    ("every event is decided once", _failed),
    ("versions have no gap", _version_skipped),
    ("every text is sent once", _texts(lambda texts: texts * 2)),
    ("every text is sent once", _texts(lambda _: ())),
    ("every text is sent once", _texts(lambda texts: (*texts, "told by nobody"))),
    ("every effect ends well", _effect_without_outcome),
    ("every effect ends well", _effect_given_up),
    ("every card shows what was decided last", _older_update_last),
    ("every chat has its newest name", _old_name),
    ("cards are decided in log order", _told_in_reverse),
    ("cards are decided in log order", _decided_out_of_order),
    ("no update leaves before its click's answer", _updated_before_the_answer),
    ("no update leaves before its click's answer", _marked_before_the_settle_gap),
    ("no update leaves before its click's answer", _reverted),
    ("callbacks are answered in time", _answered_too_late),
    ("no call is made that must fail", _called_in_vain),
    ("no limit is exceeded", _limit_exceeded),
    ("the fold of the log is the ledger", _other_attempts_in_ledger),
    ("the fold of the log is the ledger", _row_missing_in_ledger),
    ("a ledger rebuilt from the log is the ledger", _row_lost_in_a_rebuild),
    ("the log alone proves it", _decided_again_otherwise),
    ("all work is done in the end", _still_busy),
    ("no process ends by itself", _crashed),
    ("no process ends by itself", _gave_up_on_the_broker),
    ("most clicks are accepted", _mostly_refused),
    ("enough was killed to prove anything", _killed_too_early),
)


@pytest.mark.parametrize(("rule", "doctor"), DOCTORED, ids=[rule for rule, _ in DOCTORED])
def test_a_breach_is_seen(rule: str, doctor: Doctor) -> None:
    """A history doctored in one place breaks the rule that guards it, with the evidence in one line."""
    violations = check(doctor(honest_history()))
    assert rule in {violation.rule for violation in violations}
    assert all(violation.evidence for violation in violations)


def test_every_rule_is_seen_to_fire() -> None:
    """No rule is there that no doctored history breaks."""
    assert {rule.name for rule in RULES} == {rule for rule, _ in DOCTORED}
