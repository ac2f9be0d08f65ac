from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.core.events import Event
from tests.chaos.history import Ended, FaultDone
from tests.chaos.honest import BEGAN, lines
from tests.chaos.matrix.facts import HONEST_ANSWER
from tests.chaos.matrix.history import Attempt, Demands, Over, RowHistory, Sending, attempts_in, keep, kept
from tests.chaos.matrix.honest import CLICKS, attempt, events, honest_row, mark, received, sample
from tests.chaos.matrix.rules import RULES, check

Doctor = Callable[[RowHistory], RowHistory]

changed = msgspec.structs.replace

HONEST = msgspec.json.encode(HONEST_ANSWER).decode()
KILL = FaultDone(at=BEGAN + 405, kind="kill", role="gateway", name="gateway-1")
BACK = FaultDone(at=BEGAN + 900, kind="back", role="gateway", name="gateway-1")
CRASH = Ended(at=BEGAN, name="gateway-1", code=1, started_at=BEGAN, was_ready=True, last_line="KeyError")
FULL = Demands(clicks=CLICKS, refused=1, room_bytes=1_000)


def _broken(history: RowHistory) -> set[str]:
    return {violation.rule for violation in check(history)}


def _ended(history: RowHistory, number: int = 4, **how: Any) -> RowHistory:
    """Let a click end otherwise."""
    attempts = list(history.attempts)
    over = attempts[number].over
    assert over is not None
    attempts[number] = changed(attempts[number], over=changed(over, **how))
    return changed(history, attempts=attempts)


def _sent(history: RowHistory, *more: Attempt, number: int = 4) -> RowHistory:
    """Let a click be sent in other ways than its own."""
    attempts = [each for each in history.attempts if each.sending.event_id != f"event-{number}"]
    return changed(history, attempts=[*attempts[:number], *more, *attempts[number:]])


def _logged(history: RowHistory, *told: Event) -> RowHistory:
    return changed(history, interactions=lines(told))


def _telling(history: RowHistory, at: slice = slice(1, 4), **what: Any) -> RowHistory:
    """Let the gateway tell something else for a while."""
    samples = list(history.samples)
    samples[at] = [changed(each, **what) for each in samples[at]]
    return changed(history, samples=samples)


def _in_trouble(history: RowHistory) -> RowHistory:
    return _telling(history, is_open=True, own_rows=3)


def _in_trouble_later(history: RowHistory) -> RowHistory:
    later = [changed(sample(BEGAN + at), failed=failed) for failed, at in enumerate((9_000, 9_250))]
    return changed(history, samples=[*history.samples, *later])


def _closed(number: int = 4) -> Attempt:
    first = attempt(number)
    over = Over(event_id=first.sending.event_id, nth=0, at=first.sending.sent_at + 6, ending="closed")
    return changed(first, over=over)


def _killed(history: RowHistory) -> RowHistory:
    samples = [*history.samples[:2], *(changed(each, life=1) for each in history.samples[4:])]
    return changed(history, faults=[KILL, BACK], samples=samples)


def _sent_again(history: RowHistory) -> RowHistory:
    again = attempt(4, nth=1, gateway=1, after_ms=60)
    second = [sample(each.at, gateway=1) for each in history.samples]
    told = _sent(_killed(history), _closed(), again)
    return changed(told, samples=[*told.samples, *second])


def test_an_honest_row_has_no_violation() -> None:
    """A row in which every promise was kept passes all rules."""
    assert [] == check(honest_row())


def test_a_row_kept_in_a_folder_is_read_back_whole(tmp_path: Path) -> None:
    """What a failed row leaves behind can be checked again."""
    history = _sent_again(honest_row())
    keep(history, tmp_path)
    assert history == kept(tmp_path)


def test_what_a_client_wrote_down_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    """A client that was ended leaves a click of which nothing is known, and perhaps half a line."""
    first, second = attempt(0), attempt(1)
    notes: list[Sending | Over | None] = [first.sending, first.over, second.sending]
    (tmp_path / "record").write_bytes(msgspec.json.Encoder().encode_lines(notes) + b'{"type":"ov')
    assert [first, changed(second, over=None)] == attempts_in(tmp_path / "record")


def test_a_repetition_in_doubt_is_no_violation() -> None:
    """While the log was in trouble a group that was given up may be there, and is forwarded from the spill."""
    doubled = _logged(honest_row(), *events(), received(4), mark(4))
    assert _broken(doubled)
    assert set() == _broken(_in_trouble(doubled))


def test_a_click_sent_again_after_a_kill_is_no_violation() -> None:
    """The connection ended, the same bytes went to the other gateway: twice in the log, taken at two times."""
    again = changed(received(4), received_at=BEGAN + 462)
    history = _logged(_sent_again(honest_row()), *events(range(4)), received(4), again, mark(4), *events(range(5, 10)))
    assert set() == _broken(history)


def test_a_mark_lost_with_its_gateway_is_no_violation() -> None:
    """The kill came right behind the answer."""
    history = _logged(honest_row(), *(event for event in events() if event != mark(3)))
    assert _broken(history)
    assert set() == _broken(_killed(_sent_again(history)))


def test_a_click_refused_by_a_full_spill_is_no_violation() -> None:
    """It was full, and the person was told so; the click may be in the log, or not."""
    refused = _telling(_ended(changed(honest_row(), demands=FULL), body=HONEST), is_open=True, own_bytes=1_000)
    assert set() == _broken(refused)
    assert set() == _broken(_logged(refused, *events([0, 1, 2, 3, 5, 6, 7, 8, 9])))


def test_a_client_that_leaves_is_no_violation() -> None:
    """Nobody can know whether its click was taken; if it was, it has a mark."""
    history = _sent(honest_row(), attempt(4, leaves=True))
    assert set() == _broken(history)
    assert set() == _broken(_logged(history, *events([0, 1, 2, 3, 5, 6, 7, 8, 9])))


def test_clicks_of_two_processes_are_in_no_order() -> None:
    """What lay in the spill of one gateway may be logged behind what another one took later."""
    history = _sent(honest_row(), attempt(4, gateway=1))
    second = [sample(each.at, gateway=1) for each in history.samples]
    swapped = _logged(history, *events([0, 1, 2, 3, 5, 4, 6, 7, 8, 9]))
    assert set() == _broken(changed(swapped, samples=[*history.samples, *second]))


def _swapped_at_one_moment(history: RowHistory) -> RowHistory:
    told = [
        changed(event, received_at=BEGAN) if event in {received(4), received(5)} else event
        for event in events([0, 1, 2, 3, 5, 4, 6, 7, 8, 9])
        if event not in {received(number) for number in range(4)}
    ]
    return _logged(history, *told)


def _told_otherwise(history: RowHistory) -> RowHistory:
    other = changed(received(4), chat_id="oc_other")
    return _in_trouble(_logged(history, *events(), other))


def _told_otherwise_when_sent_again(history: RowHistory) -> RowHistory:
    return _logged(_sent_again(history), *events(), changed(received(4), occurred_at=BEGAN))


def _other_time_in_the_spill(history: RowHistory) -> RowHistory:
    return _in_trouble(_logged(history, *events(), changed(received(4), received_at=BEGAN + 500)))


def _invented(history: RowHistory) -> RowHistory:
    return _logged(history, *events(range(CLICKS + 1)))


def _on_another_card(history: RowHistory) -> RowHistory:
    attempts = [changed(each, sending=changed(each.sending, card="om_other")) for each in history.attempts]
    return changed(history, attempts=attempts)


def _sent_late(history: RowHistory) -> RowHistory:
    attempts = [
        changed(each, sending=changed(each.sending, intended_at=each.sending.sent_at - 1_100))
        for each in history.attempts
    ]
    return changed(history, attempts=attempts)


def _without(history: RowHistory, *missing: Event) -> RowHistory:
    return _logged(history, *(event for event in events() if event not in missing))


def _refused_with_room(history: RowHistory) -> RowHistory:
    return _telling(_ended(changed(history, demands=FULL), body=HONEST), is_open=True, own_bytes=999)


def _refused_with_a_log(history: RowHistory) -> RowHistory:
    refused = _ended(changed(history, demands=FULL), number=9, body=HONEST)
    return _telling(refused, slice(0, 1), own_bytes=1_000)


def _unquiet_to_the_end(history: RowHistory) -> RowHistory:
    demanding = changed(history, demands=Demands(clicks=CLICKS, afterwards=3))
    assert set() == _broken(demanding)
    return _telling(demanding, slice(0, 4), own_rows=1)


def _demanding(**more: int) -> Doctor:
    return lambda history: changed(history, demands=Demands(clicks=CLICKS, **more))


ANSWERED, ACCEPTED, TRUTH, LOGGED, CLICKED, TWICE, EQUAL, ORDER, MARK, BEHIND, DRAINS, ENDS, OFFERED, WORTH = (
    rule.name for rule in RULES
)

DOCTORED: Sequence[tuple[str, str, Doctor]] = (
    (ANSWERED, "late", lambda row: _ended(row, at=BEGAN + 400 + 2_501)),
    (ANSWERED, "never", lambda row: _sent(row, changed(attempt(4), over=None))),
    (ANSWERED, "timeout", lambda row: _ended(row, ending="timeout", status=None, body=None)),
    (ANSWERED, "closed without a kill", lambda row: _sent(row, _closed(), attempt(4, nth=1, after_ms=60))),
    (ANSWERED, "closed before the kill", lambda row: _sent(_killed(row), changed(_closed(3)), number=3)),
    (ANSWERED, "given up", lambda row: _ended(row, ending="left", status=None, body=None)),
    (ACCEPTED, "refused", lambda row: _ended(row, body=HONEST)),
    (ACCEPTED, "never again", lambda row: _sent(_killed(row), _closed())),
    (ACCEPTED, "refused with room", _refused_with_room),
    (ACCEPTED, "refused with a log", _refused_with_a_log),
    (TRUTH, "503", lambda row: _ended(row, status=503, body='{"error":"unavailable"}')),
    (TRUTH, "nothing", lambda row: _ended(row, body="{}")),
    (TRUTH, "no JSON", lambda row: _ended(row, body="<html>")),
    (LOGGED, "lost", lambda row: _without(row, received(4), mark(4))),
    (CLICKED, "invented", _invented),
    (CLICKED, "another card", _on_another_card),
    (TWICE, "without trouble", lambda row: _logged(row, *events(), received(4))),
    (TWICE, "long before the trouble", lambda row: _logged(_in_trouble_later(row), *events(), received(4))),
    (EQUAL, "otherwise", _told_otherwise),
    (EQUAL, "otherwise, sent again", _told_otherwise_when_sent_again),
    (EQUAL, "another time", _other_time_in_the_spill),
    (ORDER, "overtaken", lambda row: _logged(row, *events([0, 1, 2, 3, 5, 4, 6, 7, 8, 9]))),
    (ORDER, "overtaken at one moment", _swapped_at_one_moment),
    (MARK, "missing", lambda row: _without(row, mark(4))),
    (MARK, "missing of who left", lambda row: _without(_sent(row, attempt(4, leaves=True)), mark(4))),
    (MARK, "undelivered", lambda row: _logged(_without(row), *events([*range(4), *range(5, 10)]), received(4),
                                              mark(4, delivered=False))),
    (BEHIND, "before", lambda row: _logged(row, mark(4), *events())),
    (BEHIND, "of nothing", lambda row: _without(row, received(4))),
    (DRAINS, "open", lambda row: _telling(row, slice(-1, None), is_open=True)),
    (DRAINS, "own rows", lambda row: _telling(row, slice(-1, None), own_rows=1)),
    (DRAINS, "orphan rows", lambda row: _telling(row, slice(-1, None), orphan_rows=1)),
    (DRAINS, "unseen", lambda row: changed(row, samples=[])),
    (DRAINS, "a file is left", lambda row: changed(row, in_folder=["spill-1-2.db"])),
    (ENDS, "crash", lambda row: changed(row, ended=[CRASH])),
    (OFFERED, "fewer", lambda row: changed(row, attempts=row.attempts[:-1])),
    (OFFERED, "one left out", lambda row: changed(row, attempts=[*row.attempts[:3], *row.attempts[4:], attempt(10)])),
    (OFFERED, "late", _sent_late),
    (WORTH, "nothing afterwards", _unquiet_to_the_end),
    (WORTH, "nothing spilled", _demanding(spilled=1)),
    (WORTH, "nobody killed", _demanding(kills=1)),
    (WORTH, "nobody refused", _demanding(refused=1)),
    (WORTH, "nobody left", _demanding(left=1)),
    (WORTH, "all lines were taken", _demanding(lines_lost=1)),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "doctor"), [(rule, doctor) for rule, _, doctor in DOCTORED],
                         ids=[f"{rule}: {what}" for rule, what, _ in DOCTORED])  # fmt: skip
def test_a_breach_is_seen(rule: str, doctor: Doctor) -> None:
    """A row doctored in one place breaks the rule that guards it, with the evidence in one line."""
    violations = check(doctor(honest_row()))
    assert rule in {violation.rule for violation in violations}
    assert all(violation.evidence and "\n" not in violation.evidence for violation in violations)


def test_every_rule_is_seen_to_fire() -> None:
    """No rule is there that no doctored row breaks."""
    assert {rule.name for rule in RULES} == {rule for rule, *_ in DOCTORED}
