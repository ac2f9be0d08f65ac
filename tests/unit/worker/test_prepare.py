"""A call that was not made after all: what is taken back of what was noted before it."""

from dataclasses import replace

import pytest

from shared.core.effects import PlatformEffect, RenameChat, SendText
from shared.core.json_text import EpochMs
from shared.eventlog.port import Topics
from tests.unit.worker.test_answered import NOW, head
from worker.ledger.port import EffectKey, Leased, TargetKey
from worker.performing.choose import Choice
from worker.performing.prepare import Job
from worker.performing.turn import Turn
from worker.policy import Go


def job(effect: PlatformEffect, *, begun_at: EpochMs | None) -> Job:
    """Return the call of an effect that was begun before, or not."""
    of = replace(head(kind=type(effect).__name__, index=1), begun_at=begun_at)
    leased = Leased(key=TargetKey(of.app_id, of.target), leased_at=NOW, heads=(of,))
    turn = Turn(leased=leased, choice=Choice(call=of), topics=Topics())
    return Job(turn=turn, head=of, effect=effect, ruling=Go(), api="x")


def unbegun(of: Job) -> EffectKey | None:
    """Return whose beginning is taken back when this call is not made."""
    return of.not_made(of.turn.settled(NOW)).settlement.unbegun


def test_a_send_that_was_not_made_has_not_begun() -> None:
    """Or it would be given up an hour later, as one that may have been made."""
    of = job(SendText("hello"), begun_at=None)
    assert of.head.key == unbegun(of)


@pytest.mark.parametrize(
    "of", [job(SendText("hello"), begun_at=NOW - 5), job(RenameChat("n"), begun_at=None)], ids=["begun", "no send"]
)
def test_what_an_earlier_call_began_stays(of: Job) -> None:
    """That one may have been made; and of what may be repeated for ever nothing was noted."""
    assert unbegun(of) is None


def test_a_turn_that_is_given_back_before_any_call_has_not_begun() -> None:
    """The ledger went away, perhaps right after it had noted the beginning."""
    of = job(SendText("hello"), begun_at=None)
    assert of.head.key == of.turn.given_back(NOW).settlement.unbegun
    begun = job(SendText("hello"), begun_at=NOW - 5)
    assert begun.turn.given_back(NOW).settlement.unbegun is None
