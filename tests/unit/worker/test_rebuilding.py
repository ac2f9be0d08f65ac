"""Inputs joined with what was decided about them: positions, and where inputs are at home."""

from collections.abc import Sequence
from typing import Any

from shared.core.events import Event
from shared.core.ids import DeliveryKey
from shared.core.secret import Secret
from shared.eventlog.port import Record
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from tests.support import facts
from tests.support.facts import APP, NOW, click, mark, redrive
from worker.ledger.restored import Decision, Decisions, Found, Place, Progress
from worker.rebuilding import inputs, joining

NOBODY = Decisions(by_event={}, deliveries=frozenset(), returning=frozenset())
BEGIN = Progress(next=0)


def laid(*events: Event) -> Sequence[inputs.Laid]:
    """Return inputs as they lie one behind the other in partition 0."""
    return inputs.read(facts.records(events))


def known(*events: str, **more: Any) -> Decisions:
    """Return that these events were decided where `laid` puts them, in this order."""
    decided = {
        (APP, event): Decision(result="decided", redrive=0, place=Place(0, at)) for at, event in enumerate(events)
    }
    given = {"by_event": decided, "deliveries": frozenset(), "returning": frozenset(), **more}
    return Decisions(**given)


def found(of: Sequence[inputs.Laid], decided: Decisions, *, now: int = NOW) -> Found:
    """Return what inputs add, none of which is away from home."""
    return joining.found(of, decided, [], now, moved=False)


def test_a_position_stays_at_the_first_input_that_is_not_decided() -> None:
    """Whatever was decided behind it, in this piece or a later one."""
    piece = laid(click("e1"), click("e2"), click("e3"))
    to = inputs.advanced(BEGIN, piece, known("e1"), moved=False)
    assert Progress(next=3, position=1, last_id="e1") == to
    behind = inputs.advanced(to, laid(click("e4")), known("e4"), moved=False)
    assert (1, "e1") == (behind.position, behind.last_id)


def test_where_all_is_decided_the_position_is_behind_the_last_record() -> None:
    """Marks, and what nobody can read, wait for nothing."""
    junk = Record(topic="t", partition=0, offset=2, key="", value=b"{", headers=(("ce_id", b"junk"),), timestamp=0)
    piece = [*laid(click("e1"), mark(click("e1"))), *inputs.read([junk])]
    assert Progress(next=3, last_id="junk") == inputs.advanced(BEGIN, piece, known("e1"), moved=False)


def test_a_second_delivery_under_another_id_is_decided_with_the_first() -> None:
    """It has no claim of its own."""
    again = click("e2", delivery_key=DeliveryKey("d"))
    delivered = known("e1", deliveries=frozenset({(APP, DeliveryKey("d"))}))
    assert inputs.advanced(BEGIN, laid(click("e1"), again), delivered, moved=False).position is None
    assert 1 == inputs.advanced(BEGIN, laid(click("e1"), again), known("e1"), moved=False).position


def test_a_redrive_waits_as_long_as_its_input_says_that_it_failed() -> None:
    """Of an input that was decided since, or redriven as often, it wants nothing."""
    piece = laid(redrive("e1", 2))
    for decision, position in (
        (Decision(result="failed", redrive=1, place=Place(0, 0)), 0),
        (Decision(result="failed", redrive=2, place=Place(0, 0)), None),
        (Decision(result="decided", redrive=1, place=Place(0, 0)), None),
    ):
        decided = known(by_event={(APP, "e1"): decision})
        assert position == inputs.advanced(BEGIN, piece, decided, moved=False).position
    assert inputs.advanced(BEGIN, piece, NOBODY, moved=False).position is None


def test_an_input_that_was_decided_elsewhere_is_a_repetition_or_has_moved() -> None:
    """What lies in the other place tells; each event is asked about once."""
    piece = laid(click("e1"), click("e2"), click("e2"), click("e3"))
    decided = known("e1", "e2", by_event={
        (APP, "e1"): Decision(result="decided", redrive=0, place=Place(0, 0)),
        (APP, "e2"): Decision(result="decided", redrive=0, place=Place(3, 7)),
    })  # fmt: skip
    ((stray, place),) = inputs.strays(piece, decided)
    assert ((APP, "e2"), Place(0, 1), Place(3, 7)) == (stray.key, stray.place, place)
    assert inputs.told_there({Place(3, 7): "e2"}, stray, place)
    assert not inputs.told_there({Place(3, 7): "another"}, stray, place)
    assert not inputs.told_there({}, stray, place)


def test_what_was_redriven_is_at_home_where_its_redrive_lies() -> None:
    """The input itself lies elsewhere, and the redrives before that one were of no use."""
    decided = known(by_event={(APP, "e1"): Decision(result="decided", redrive=2, place=Place(1, 9))})
    piece = laid(click("e1"), redrive("e1", 1), redrive("e1", 2))
    assert [Place(0, 2)] == [stray.place for stray, _ in inputs.strays(piece, decided)]


def test_the_first_mark_of_an_event_counts() -> None:
    """And it answers a click whose work comes back."""
    one = click("e1", received_at=NOW + 40)
    piece = laid(one, mark(one, answered_at=NOW + 45), mark(one, delivered=False, answered_at=NOW + 99))
    told = found(piece, known("e1", returning=frozenset({(APP, "e1")})))
    (heard,) = told.heard.values()
    assert (NOW + 40, NOW + 45, True) == (heard.received_at, heard.answered_at, heard.delivered)
    assert {(APP, "e1"): NOW + 45} == told.answered


def test_rights_are_kept_as_long_as_they_are_valid() -> None:
    """A secret that opens nothing any more stays in the log."""
    piece = laid(click("e1", card_token="c-1"))
    (right,) = found(piece, known("e1"), now=NOW + CARD_TOKEN_VALID_MS - 1).rights.values()
    assert (Secret("c-1"), NOW) == (right.token, right.received_at)
    assert {} == found(piece, known("e1"), now=NOW + CARD_TOKEN_VALID_MS).rights


def test_of_what_is_not_decided_nothing_is_taken() -> None:
    """A worker will come to it, and write all of it."""
    told = found(laid(click("e1", card_token="c-1"), mark(click("e1"))), NOBODY)
    assert [{}, {}, {}, {}] == [told.heard, told.rights, told.letters, told.new_style_at]
