"""A call that is not made after all: why, and what is taken back of what was noted before it."""

from dataclasses import replace

import msgspec
import pytest

from shared.core.effects import Call, Effect, Origin, PlatformEffect, RenameChat, Reply, SendText, UpdateCard
from shared.core.ids import AppId, ChatId, EventId, MessageId
from shared.core.json_text import EpochMs
from shared.core.targets import chat_of_message_target, chat_target, message_target
from shared.eventlog.port import Topics
from shared.feishu.openapi import PlatformError
from tests.unit.worker.test_answered import DAY_MS, NOW, head
from worker.ledger.leased import EffectKey, FaceRow, Leased, TargetKey
from worker.performing.attempted import Attempt
from worker.performing.choose import Choice, choose
from worker.performing.job import Errand, Job
from worker.performing.lease import LEASE_MS
from worker.performing.prepare import needless, no_way, prepare, ruled
from worker.performing.result import result
from worker.performing.retry import HORIZON_MS
from worker.performing.turn import Result, Turn
from worker.platform.breaker import CLOSED, Open
from worker.platform.deadlines import CALL_MS
from worker.platform.performed import Found, Rejected
from worker.policy import FindChat, Go


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


def test_what_may_not_be_sent_once_more_stays_performed() -> None:
    """
    A card that expired between an ambiguous call and its repetition: nothing is told of what was performed.

    The wish to send it once more ends, or it would come up again at once, and be refused for ever.
    """
    card = job(UpdateCard("{}"), begun_at=None)
    shown = FaceRow(app_id=card.head.app_id, message_id=MessageId("om_1"), expired=True)
    leased = Leased(key=card.turn.leased.key, leased_at=NOW, heads=(), resend=card.head, face=shown)
    turn = replace(card.turn, leased=leased, choice=Choice(call=card.head, again=True))
    came_to = ruled(turn, card.head, card.effect, NOW)
    assert isinstance(came_to, Result)
    assert ("clear", [], []) == (came_to.settlement.resend, came_to.settlement.changes, list(came_to.outcomes))
    once = ruled(replace(turn, choice=Choice(call=card.head)), card.head, card.effect, NOW)
    assert isinstance(once, Result)
    assert ["refused"] == [outcome.status for _, outcome in once.outcomes]


def test_what_no_right_is_left_for_is_not_sent_once_more() -> None:
    """It was performed by the right that is used up since."""
    card = job(UpdateCard("{}", audience="ou_1"), begun_at=NOW - 5)
    turn = replace(card.turn, choice=Choice(call=card.head, again=True))
    came_to = no_way(turn, card.head, "token_spent", NOW, None)
    assert ("clear", []) == (came_to.settlement.resend, list(came_to.outcomes))


def turn_of_two(kind: str, **changes: object) -> Turn:
    """Return a turn in which the newer one of two effects takes the older one's place."""
    heads = [replace(head(f"e{n}", order=n, index=1, kind=kind), delivered=None, **changes) for n in (1, 2)]  # type: ignore[arg-type]
    leased = Leased(key=TargetKey(heads[0].app_id, heads[0].target), leased_at=NOW, heads=heads)
    return Turn(leased=leased, choice=choose(leased, NOW), topics=Topics())


def test_what_is_superseded_waits_with_a_call_that_the_breaker_puts_off() -> None:
    """Told now, it would be missing from the number that the call's outcome tells."""
    turn, payload = turn_of_two("UpdateCard"), msgspec.json.encode(UpdateCard("{}"))
    put_off = prepare(turn, payload, Open(until=NOW + 500, pause_ms=500), NOW, settle_ms=300)
    assert isinstance(put_off, Result)
    assert (500, [], []) == (put_off.settlement.pace_ms, put_off.outcomes, put_off.settlement.changes)
    called = prepare(turn, payload, CLOSED, NOW, settle_ms=300)
    assert isinstance(called, Job)
    assert 1 == called.turn.folded(called.head)


def test_names_for_a_chat_that_is_found_move_there_together() -> None:
    """The newest takes the others' places there, in the turn that makes its call."""
    unknown = chat_of_message_target(MessageId("om_1"))
    turn = turn_of_two("RenameChat", coalesce="name", target=unknown)
    known = FaceRow(app_id=turn.leased.key.app_id, message_id=MessageId("om_1"), chat_id=ChatId("oc_1"))
    turn = replace(turn, leased=replace(turn.leased, face=known))
    moved = prepare(turn, msgspec.json.encode(RenameChat("n")), CLOSED, NOW, settle_ms=300)
    assert isinstance(moved, Result)
    keys = {one.key for one in turn.leased.heads}
    assert dict.fromkeys(keys, chat_target(ChatId("oc_1"))) == moved.settlement.moved
    assert [] == moved.outcomes


@pytest.mark.parametrize(
    "answer",
    [Found(chat_id=None), Rejected(error=PlatformError(code=230050, http_status=400, verdict="target_final"))],
    ids=["it was deleted", "it is not shown to us"],
)
def test_a_reply_is_made_though_nobody_says_in_which_chat_its_message_lies(answer: Found | Rejected) -> None:
    """To read a message an app needs a right of its own; to answer one it does not."""
    message_id = MessageId("om_2")
    of = job(Reply("a", None, message_id), begun_at=None)
    asked = replace(of.head, target=chat_of_message_target(message_id))
    find = replace(of, head=asked, ruling=FindChat(message_id=message_id))
    came_to = result(Attempt(job=find, performed=answer, started_at=NOW, now=NOW, pace_ms=0), lambda: 0.5)
    assert ({of.head.key: message_target(message_id)}, []) == (came_to.settlement.moved, came_to.outcomes)


def test_a_name_is_not_given_to_a_chat_that_nobody_tells() -> None:
    """There is nothing to call."""
    of = job(RenameChat("n"), begun_at=None)
    asked = replace(of.head, target=chat_of_message_target(MessageId("om_1")))
    find = replace(of, head=asked, ruling=FindChat(message_id=MessageId("om_1")))
    attempt = Attempt(job=find, performed=Found(chat_id=None), started_at=NOW, now=NOW, pace_ms=0)
    assert ["no_chat"] == [told.reason for _, told in result(attempt, lambda: 0.5).outcomes]


STALE = Open(until=NOW + 500, pause_ms=500)


def came_to(effect: Effect, *, begun_at: EpochMs | None = None, age_ms: int, **leased: object) -> Job | Errand | Result:
    """Return what an effect that was wanted so long ago comes to while the app's calls are held back."""
    of = replace(head(kind=type(effect).__name__, index=1), begun_at=begun_at, decided_at=NOW - age_ms, delivered=None)
    if isinstance(effect, SendText):
        of = replace(of, target=chat_target(ChatId("oc_1")), coalesce=None)
    target = replace(Leased(key=TargetKey(of.app_id, of.target), leased_at=NOW, heads=(of,)), **leased)  # type: ignore[arg-type]
    turn = Turn(leased=target, choice=Choice(call=of), topics=Topics())
    return prepare(turn, msgspec.json.encode(effect), STALE, NOW, settle_ms=300)


def ended(came: Job | Errand | Result) -> list[tuple[str, bool, str | None, EpochMs | None]]:
    """Return what is told of it."""
    assert isinstance(came, Result)
    return [(told.status, told.final, told.reason, told.begun_at) for _, told in came.outcomes]


@pytest.mark.parametrize("effect", [SendText("hello"), UpdateCard("{}"), RenameChat("n"), Call("publish")])
def test_what_was_never_tried_for_a_day_is_given_up(effect: Effect) -> None:
    """Also while no call may be made; to the millisecond, it is put off, or called."""
    assert [("failed", True, "out_of_time", None)] == ended(came_to(effect, age_ms=HORIZON_MS + 1))
    in_time = came_to(effect, age_ms=HORIZON_MS)
    assert isinstance(in_time, Errand) if isinstance(effect, Call) else [] == ended(in_time)


def test_whoever_waits_for_what_it_would_have_brought_is_told() -> None:
    """The handler decides what follows."""
    came = came_to(Call("publish", origin=Origin(event_id=EventId("e1"))), age_ms=HORIZON_MS + 1)
    assert isinstance(came, Result)
    assert came.followed


def test_what_may_have_been_sent_is_unknown_and_not_given_up() -> None:
    """Redriven it would be sent twice."""
    late = came_to(SendText("hello"), begun_at=NOW - HORIZON_MS, age_ms=HORIZON_MS + 1)
    assert [("unknown", "too_late_to_repeat")] == [(told[0], told[2]) for told in ended(late)]


def test_a_card_that_is_past_its_time_is_refused_for_that() -> None:
    """What follows an expired card follows here too."""
    expired = FaceRow(app_id=AppId("cli_a"), message_id=MessageId("om_1"), expired=True)
    late = came_to(UpdateCard("{}", on_expired="successor"), age_ms=HORIZON_MS + 1, face=expired)
    assert [("refused", True, "expired", None)] == ended(late)
    assert isinstance(late, Result)
    assert late.followed


def test_the_newest_state_is_sent_once_more_however_old_it_is() -> None:
    """It was performed in time, and may have been painted over."""
    card = replace(job(UpdateCard("{}"), begun_at=None).head, decided_at=NOW - HORIZON_MS - 1)
    turn = Turn(
        leased=Leased(key=TargetKey(card.app_id, card.target), leased_at=NOW, heads=(), resend=card),
        choice=Choice(call=card, again=True),
        topics=Topics(),
    )
    assert isinstance(prepare(turn, msgspec.json.encode(UpdateCard("{}")), CLOSED, NOW, settle_ms=300), Job)


def test_what_was_wanted_again_by_hand_has_a_day_from_then() -> None:
    """As when it was decided."""
    again = replace(job(SendText("hello"), begun_at=None).head, decided_at=NOW - 9 * HORIZON_MS, redriven_at=NOW - 1)
    target = replace(again, target=chat_target(ChatId("oc_1")), coalesce=None, delivered=None)
    turn = Turn(
        leased=Leased(key=TargetKey(again.app_id, target.target), leased_at=NOW, heads=(target,)),
        choice=Choice(call=target),
        topics=Topics(),
    )
    assert isinstance(prepare(turn, msgspec.json.encode(SendText("hello")), CLOSED, NOW, settle_ms=300), Job)


def test_a_call_that_could_outlast_its_lease_is_not_made() -> None:
    """A process that was frozen before it: somebody else may have the target by the time of its answer."""
    of, latest = job(UpdateCard("{}"), begun_at=None), NOW + LEASE_MS - CALL_MS
    assert needless(of, latest) is None
    came_to = needless(of, latest + 1)
    assert came_to is not None
    assert ([], False, 0) == (list(came_to.outcomes), came_to.settlement.called, came_to.settlement.pace_ms)


def test_a_card_that_grew_too_old_while_its_update_waited_is_not_updated() -> None:
    """The rate limit may put a call off by two seconds, and the border is the platform's to the second."""
    card = job(UpdateCard("{}"), begun_at=None)
    face = FaceRow(app_id=card.head.app_id, message_id=MessageId("om_1"), sent_at=NOW - 14 * DAY_MS, card_format="2.0")
    of = replace(card, turn=replace(card.turn, leased=replace(card.turn.leased, face=face)))
    assert needless(of, NOW - 1) is None
    came_to = needless(of, NOW)
    assert came_to is not None
    assert [("refused", "expired")] == [(outcome.status, outcome.reason) for _, outcome in came_to.outcomes]
