"""What is stored of a call that failed: a use of a right that was none, a sequence that somebody outran."""

from dataclasses import replace

import pytest

from shared.core.effects import PlatformEffect, UpdateCard, UpdateElement
from shared.eventlog.port import Topics
from shared.feishu.codes import Verdict
from shared.feishu.openapi import PlatformError
from tests.unit.worker.test_answered import CARD, NOW, head
from tests.unit.worker.test_way import token
from worker.ledger.leased import Begun, FaceRow, Leased, TargetKey
from worker.performing.attempted import Attempt
from worker.performing.choose import Choice
from worker.performing.failed import failed
from worker.performing.job import Job
from worker.performing.turn import Result, Turn
from worker.performing.way import Means, Way
from worker.platform.performed import Failure, NoToken, Rejected, Unreached, Unsure
from worker.policy import Go

ENTITY = "7355372766134157313"
SECONDS = NOW // 1000


def job(effect: PlatformEffect, means: Means, begun: Begun) -> Job:
    """Return a call that was recorded as begun."""
    of = replace(head(kind=type(effect).__name__, index=1, decided_at=NOW), delivered=None)
    leased = Leased(key=TargetKey(of.app_id, of.target), leased_at=NOW, heads=(of,))
    turn = Turn(leased=leased, choice=Choice(call=of), topics=Topics())
    return Job(turn=turn, head=of, effect=effect, ruling=Go(), api="x", means=means, begun=begun)


def by_right() -> Job:
    """Return an update that one person is to see, by the first use of the right that their click gave."""
    right = token(uses=0, age_ms=0)
    way = Way(by="token", because="exclusive", people=("ou_1",), right=right)
    return job(UpdateCard("{}"), Means(way=way), Begun(uses_left=1))


def came_to(of: Job, failure: Failure) -> Result:
    """Return what is stored of a call that failed so."""
    return failed(Attempt(job=of, performed=failure, started_at=NOW, now=NOW + 5_000, pace_ms=0), failure, lambda: 0.5)


def error(verdict: Verdict, code: int = 1) -> PlatformError:
    """Return an answer of the platform's."""
    return PlatformError(code=code, http_status=400, verdict=verdict)


@pytest.mark.parametrize(
    "failure",
    [Unreached(reason="refused"), NoToken(error=error("configuration")), Rejected(error=error("rate_limit"))],
    ids=["no connection", "no access token", "turned away by a limit"],
)
def test_a_use_of_a_right_that_was_certainly_none_is_given_back(failure: Failure) -> None:
    """There are two; the outcome tells how many are left with it."""
    of = by_right()
    came = came_to(of, failure)
    assert of.counted is not None
    assert (of.counted, [2]) == (came.settlement.refund, [told.uses_left for _, told in came.outcomes])


@pytest.mark.parametrize(
    "failure",
    [Unsure(reason="no answer within 5 s"), Unsure(error=error("retry")), Rejected(error=error("target_final"))],
    ids=["no answer", "trouble at the platform", "refused"],
)
def test_a_use_of_a_right_that_may_have_been_one_counts(failure: Failure) -> None:
    """The platform counts what arrives, whatever it says of it."""
    came = came_to(by_right(), failure)
    assert (None, [1]) == (came.settlement.refund, [told.uses_left for _, told in came.outcomes])


def test_a_call_that_was_not_made_gives_its_use_back_and_has_not_begun() -> None:
    """Both were noted before it."""
    of = by_right()
    settlement = of.not_made(of.turn.put_off(NOW)).settlement
    assert of.counted is not None
    assert (of.counted, of.head.key) == (settlement.refund, settlement.unbegun)


def outrun(sequence: int) -> Result:
    """Return what an operation on an entity comes to whose sequence is not the highest."""
    of = job(UpdateElement("a", {}), Means(card_id=ENTITY, sequence=sequence), Begun(sequence=sequence))
    return came_to(of, Rejected(error=error("retry", 300317)))


def test_a_sequence_that_was_outrun_goes_on_from_the_clocks_seconds() -> None:
    """Beyond whoever counts from 1, and whoever uses the clock; the outcome tells from where, for a rebuild."""
    came = outrun(7)
    ((_, told),) = came.outcomes
    face = FaceRow(app_id=told.app_id, message_id=CARD, sequence=SECONDS + 5)
    assert (False, SECONDS + 5, face) == (told.final, told.sequence, came.settlement.face)


@pytest.mark.parametrize("sequence", [SECONDS + 1, SECONDS + 6])
def test_a_sequence_is_raised_once_for_an_effect(sequence: int) -> None:
    """It was counted on from the clock since the effect was wanted, and somebody is higher still: no third call."""
    came = outrun(sequence)
    ((_, told),) = came.outcomes
    assert (True, "platform_refused", 300317, None) == (told.final, told.reason, told.code, came.settlement.face)


def test_a_sequence_that_was_raised_for_an_older_effect_is_raised_again() -> None:
    """Another program that uses the clock is ahead after a while, and stays behind what is counted from now."""
    assert outrun(SECONDS).settlement.face is not None
