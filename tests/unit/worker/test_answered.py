"""A card that a click was answered with: written down without a call, unless it may not be on the screen."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from shared.core.effects import AnsweredCard
from shared.core.events import EffectOutcome
from shared.core.ids import AppId, EventId, MessageId, Target, TenantKey
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import Topics
from worker.ledger.leased import Applied, FaceRow, Head, Leased, TargetKey
from worker.performing.answered import CLOCKS_MS
from worker.performing.choose import choose
from worker.performing.job import Errand, Job
from worker.performing.prepare import prepare
from worker.performing.request import digest_of
from worker.performing.turn import Result, Turn
from worker.platform.breaker import CLOSED

APP, CARD = AppId("cli_a"), MessageId("om_1")
TARGET = Target("message:om_1")
NOW: EpochMs = 1_750_000_000_000
SETTLE_MS = 300
DAY_MS = 86_400_000
SHOWN = JsonText('{"elements":[]}')
PAYLOAD = msgspec.json.encode(AnsweredCard(SHOWN))


def head(event: str = "e1", *, order: int = 1024, **changes: Any) -> Head:
    """Return an answered card that was delivered a moment ago."""
    base = Head(
        app_id=APP,
        event_id=EventId(event),
        index=0,
        tenant_key=TenantKey("t"),
        message_id=CARD,
        kind="AnsweredCard",
        target=TARGET,
        audience="*",
        coalesce="card",
        order=order,
        due=NOW,
        occurred_at=NOW - 100,
        received_at=NOW - 50,
        decided_at=NOW - 20,
        k=0,
        attempts=0,
        begun_at=None,
        marked_at=NOW - 10,
        delivered=True,
    )
    return replace(base, **changes)


def came_to(*heads: Head, payload: bytes = PAYLOAD, **leased: Any) -> Job | Errand | Result:
    """Return what a target with these effects comes to."""
    target = Leased(key=TargetKey(APP, TARGET), leased_at=NOW, heads=heads, **leased)
    turn = Turn(leased=target, choice=choose(target, NOW), topics=Topics())
    return prepare(turn, payload, CLOSED, NOW, settle_ms=SETTLE_MS)


def settled(*heads: Head, payload: bytes = PAYLOAD, **leased: Any) -> Result:
    """Return what it comes to where no call is made."""
    result = came_to(*heads, payload=payload, **leased)
    assert isinstance(result, Result)
    assert not result.settlement.called
    return result


def outcome(result: Result, event: str = "e1") -> EffectOutcome:
    """Return the outcome of an event's card."""
    (found,) = [told for head, told in result.outcomes if head.event_id == event]
    return found


def test_a_delivered_card_needs_no_call() -> None:
    """It is on the screen: face and outcome say so, and it is what an ambiguous call would be repaired with."""
    result = settled(head())
    told = outcome(result)
    assert ("succeeded", "answered", True, None, 0) == (
        told.status,
        told.reason,
        told.final,
        told.started_at,
        told.attempts,
    )
    assert (digest_of(SHOWN), 1024, "1.0") == (told.shown, told.shown_order, told.card_format)
    face = FaceRow(app_id=APP, message_id=CARD, shown=digest_of(SHOWN), shown_order=1024, card_format="1.0")
    applied = Applied(occurred_at=NOW - 100, order=1024, event_id=EventId("e1"), index=0)
    assert (face, applied, "keep") == (result.settlement.face, result.settlement.applied, result.settlement.resend)


def test_older_updates_that_wait_are_superseded_by_it() -> None:
    """What they would show is gone already."""
    older = head("old", order=5, index=1, kind="UpdateCard", delivered=None)
    result = settled(older, head())
    assert ("superseded", "by e1/0") == (outcome(result, "old").status, outcome(result, "old").reason)
    assert "succeeded" == outcome(result).status


@pytest.mark.parametrize("delivered", [None, False], ids=["no mark", "client gone"])
def test_a_card_that_was_not_delivered_is_sent_as_any_update(delivered: bool | None) -> None:  # noqa: FBT001
    """By its message, counted and limited as any call."""
    job = came_to(head(delivered=delivered))
    assert isinstance(job, Job)
    assert ("im.v1.message.patch", "UpdateCard") == (job.api, type(job.effect).__name__)


ENTITY = FaceRow(app_id=APP, message_id=CARD, card_id="7355372766134157313", sequence=3)
PAYLOAD_2_0 = msgspec.json.encode(AnsweredCard(JsonText('{"schema":"2.0","body":{"elements":[]}}')))


def test_a_card_that_may_be_streaming_is_sent_though_it_was_delivered() -> None:
    """No answer changes such a card: by its entity, once clients have had time to take the answer."""
    job = came_to(head(marked_at=NOW - SETTLE_MS), payload=PAYLOAD_2_0, face=ENTITY)
    assert isinstance(job, Job)
    assert ("cardkit.v1.card.update", "cardkit") == (job.api, job.means.way.by if job.means.way else None)
    early = settled(head(marked_at=NOW - 10), payload=PAYLOAD_2_0, face=ENTITY)
    assert ([], SETTLE_MS - 10, None) == (early.outcomes, early.settlement.pace_ms, early.settlement.face)


def test_a_card_that_may_be_streaming_takes_no_place_before_it_is_sent() -> None:
    """What it supersedes is told when it is called."""
    older = head("old", order=5, index=1, kind="UpdateCard", delivered=None)
    assert [] == settled(older, head(), payload=PAYLOAD_2_0, face=ENTITY).outcomes


def test_a_newer_update_takes_its_place() -> None:
    """That one is called, and painted last."""
    newer = head("new", order=2048, index=1, kind="UpdateCard", delivered=True)
    job = came_to(head(), newer, payload=b'{"kind":"UpdateCard","card":"{}"}')
    assert isinstance(job, Job)
    assert ["e1"] == [one.head.event_id for one in job.turn.choice.superseded]


@pytest.mark.parametrize(
    ("called_at", "resend"),
    [
        (NOW - 50, SETTLE_MS),
        (NOW - 50 - CLOCKS_MS, SETTLE_MS),
        (NOW - 51 - CLOCKS_MS, "keep"),
        (None, "keep"),
    ],
)
def test_a_call_at_about_the_same_time_makes_it_be_sent_once_more(called_at: int | None, resend: object) -> None:
    """Nobody can tell whether the older update or the answer was painted last."""
    assert resend == settled(head(), called_at=called_at).settlement.resend


def test_of_two_answers_at_the_same_time_the_newest_is_sent_once_more() -> None:
    """The older click's answer may have been painted over the newer one's."""
    result = settled(head("e0", order=0), head())
    assert ("superseded", "succeeded") == (outcome(result, "e0").status, outcome(result).status)
    assert SETTLE_MS == result.settlement.resend


def test_an_answer_painted_over_a_newer_update_is_repaired() -> None:
    """The newer click's update is shown, by what we know; the older click's answer came behind it, perhaps."""
    face = FaceRow(app_id=APP, message_id=CARD, shown="x", shown_order=2048)
    applied = Applied(occurred_at=NOW, order=0, event_id=EventId("new"), index=1)
    result = settled(head(), face=face, applied=applied)
    assert ("superseded", SETTLE_MS) == (outcome(result).status, result.settlement.resend)


def test_an_ordinary_update_that_is_overtaken_needs_no_repair() -> None:
    """It was never painted."""
    face = FaceRow(app_id=APP, message_id=CARD, shown="x", shown_order=2048)
    applied = Applied(occurred_at=NOW, order=0, event_id=EventId("new"), index=1)
    update = head(index=1, kind="UpdateCard")
    assert "keep" == settled(update, face=face, applied=applied).settlement.resend


def test_sent_once_more_it_is_an_ordinary_call() -> None:
    """A repetition is there to be painted."""
    job = came_to(resend=head())
    assert isinstance(job, Job)
    assert job.turn.choice.again


def test_one_persons_card_changes_nobody_elses() -> None:
    """An exclusive answer leaves the face as it is, and supersedes no update for everybody."""
    everybodys = head("old", order=5, index=1, kind="UpdateCard", due=NOW + 1)
    result = settled(head(audience="ou_1"), everybodys)
    assert ("succeeded", None) == (outcome(result).status, outcome(result).shown)
    assert (None, None) == (result.settlement.face, result.settlement.applied)
    assert ["e1"] == [one.event_id for one, _ in result.outcomes]


@pytest.mark.parametrize(("age_ms", "status"), [(14 * DAY_MS, "refused"), (14 * DAY_MS - 101, "succeeded")])
def test_an_answer_has_no_effect_on_a_card_past_its_time(age_ms: int, status: str) -> None:
    """After fourteen days the click is delivered still, and the card stays."""
    face = FaceRow(app_id=APP, message_id=CARD, sent_at=NOW - 100 - age_ms, card_format="1.0")
    assert status == outcome(settled(head(), face=face)).status


def test_what_replaces_a_losers_answer_is_as_unsure_as_an_answer() -> None:
    """Superseded when its click was answered at last: the answer may be over the newest card, which is sent again."""
    restored = head("e1", kind="UpdateCard")
    newer = Applied(occurred_at=NOW, order=0, event_id=EventId("e2"), index=1)
    shown = FaceRow(app_id=APP, message_id=CARD, shown="h", shown_order=9 * 1024)
    result = settled(restored, applied=newer, face=shown)
    assert ("superseded", SETTLE_MS) == (outcome(result).status, result.settlement.resend)
