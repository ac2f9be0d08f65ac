"""What a pump does next for a target."""

from dataclasses import replace

from shared.core.ids import AppId, EventId, MessageId, Target, TenantKey
from shared.core.ids import ChatId as Chat
from shared.core.targets import chat_target, message_target
from worker.ledger.leased import Applied, FaceRow, Head, Leased, TargetKey
from worker.performing.choose import LOOK_MS, choose

APP = AppId("cli_a")
CARD = MessageId("om_1")
NOW = 1_000_000


def head(event: str, *, index: int = 1, order: int, due: int = NOW, **changes: object) -> Head:
    """Return a pending card update, changed as told."""
    base = Head(
        app_id=APP,
        event_id=EventId(event),
        index=index,
        tenant_key=TenantKey("t"),
        message_id=CARD,
        kind="UpdateCard",
        target=message_target(CARD),
        audience="*",
        coalesce="card",
        order=order,
        due=due,
        occurred_at=order,
        received_at=order,
        decided_at=order,
        k=0,
        attempts=0,
        begun_at=None,
        marked_at=None,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def text(event: str, *, index: int = 1, order: int, due: int = NOW) -> Head:
    """Return a pending text message."""
    return head(event, index=index, order=order, due=due, kind="SendText", coalesce=None)


def rename(event: str, *, order: int, occurred_at: int, index: int = 1) -> Head:
    """Return a pending chat rename."""
    return head(event, order=order, index=index, kind="RenameChat", coalesce="name", occurred_at=occurred_at)


def leased(*heads: Head, **changes: object) -> Leased:
    """Return a target with these pending effects."""
    base = Leased(key=TargetKey(APP, message_target(CARD)), leased_at=NOW, heads=heads)
    return replace(base, **changes)  # type: ignore[arg-type]


def chosen(target: Leased) -> tuple[list[str], str | None]:
    """Return the superseded events and the event to perform."""
    choice = choose(target, NOW)
    return [one.head.event_id for one in choice.superseded], choice.call.event_id if choice.call else None


def test_only_the_newest_eligible_card_is_sent() -> None:
    """Older whole cards are superseded by the newest that may start."""
    assert (["a", "b"], "c") == chosen(leased(head("a", order=1), head("b", order=2), head("c", order=3)))


def test_a_card_that_may_not_start_yet_supersedes_nothing() -> None:
    """An update whose click was not answered yet takes nobody's place."""
    assert ([], "a") == chosen(leased(head("a", order=1), head("b", order=2, due=NOW + 1)))


def test_an_update_that_comes_too_late_is_superseded_by_the_shown_one() -> None:
    """A newer click's mark came first and its card is shown: the older card is never sent."""
    face = FaceRow(app_id=APP, message_id=CARD, shown="x", shown_order=5)
    applied = Applied(occurred_at=5, order=0, event_id=EventId("new"), index=1)
    assert (["old"], None) == chosen(leased(head("old", order=4), face=face, applied=applied))


def test_texts_are_sent_in_log_order_one_by_one() -> None:
    """Messages are never superseded."""
    assert ([], "a") == chosen(leased(text("a", order=1), text("b", order=2)))


def test_an_effect_never_overtakes_an_earlier_one_of_its_event() -> None:
    """While the first text backs off, the second of the same event waits; another event's does not."""
    waiting = text("a", index=1, order=1, due=NOW + 5_000)
    assert ([], "b") == chosen(leased(waiting, text("a", index=2, order=2), text("b", order=3)))


def test_an_effect_behind_a_superseded_one_of_its_event_is_free() -> None:
    """What was superseded holds nobody back."""
    target = leased(head("a", index=1, order=1), text("a", index=2, order=2), head("b", order=3))
    assert (["a"], "a") == chosen(target)
    assert choose(target, NOW).call == target.heads[1]


def test_names_go_by_the_time_of_the_click() -> None:
    """Two cards of different partitions name one chat: the later click wins, whatever the log order."""
    key = TargetKey(APP, chat_target(Chat("oc_1")))
    target = leased(rename("late", order=1, occurred_at=20), rename("early", order=9, occurred_at=10), key=key)
    assert (["early"], "late") == chosen(target)


def test_a_name_older_than_the_applied_one_is_superseded_at_once() -> None:
    """A click that was decided late must not rename the chat back."""
    applied = Applied(occurred_at=20, order=0, event_id=EventId("new"), index=1)
    assert (["old"], None) == chosen(leased(rename("old", order=9, occurred_at=10), applied=applied))


def test_the_newest_state_is_sent_once_more_when_nothing_newer_waits() -> None:
    """After an ambiguous call, the applied update is repeated; a newer pending one makes that needless."""
    again = head("shown", order=3)
    alone = choose(leased(resend=again), NOW)
    assert (again, True) == (alone.call, alone.again)
    newer = choose(leased(head("new", order=4), resend=again), NOW)
    assert ("new", False) == (newer.call.event_id if newer.call else None, newer.again)


def test_with_more_effects_than_shown_nothing_full_is_sent_yet() -> None:
    """The newest card may be among those that were not shown."""
    assert (["a"], None) == chosen(leased(head("a", order=1), head("b", order=2), more=True))


def test_a_card_waits_until_the_clicks_before_it_are_answered() -> None:
    """A program's card behind an unanswered click would be undone with that click's answer: nothing is called yet."""
    marked = head("click", order=1, due=NOW + 250, marked_at=NOW - 50)
    choice = choose(leased(marked, head("req/billing/r1", order=2)), NOW)
    assert ([], None, 250) == (list(choice.superseded), choice.call, choice.hold_ms)


def test_who_waits_for_a_mark_looks_again_soon() -> None:
    """Without a mark a click is due in three seconds; its mark may come at any time."""
    target = leased(head("click", order=1, due=NOW + 3_000), head("req/billing/r1", order=2))
    assert LOOK_MS == choose(target, NOW).hold_ms


def test_a_card_supersedes_the_click_that_it_waited_for() -> None:
    """When both are due, one call shows the newer."""
    assert (["click"], "later") == chosen(leased(head("click", order=1), head("later", order=2)))


def test_what_was_logged_before_an_unanswered_click_does_not_wait_for_it() -> None:
    """Or a card that is clicked all the time would never change; the click's own card follows and is shown last."""
    target = leased(head("a", order=1), head("b", order=2), head("click", order=3, due=NOW + 300), head("c", order=4))
    assert (["a"], "b") == chosen(target)


def test_a_card_does_not_wait_for_one_that_is_tried_again_later_but_takes_its_place() -> None:
    """The click of an update that failed was answered long ago; tried after the newer one it would be shown last."""
    assert (["a"], "b") == chosen(leased(head("a", order=1, due=NOW + 5_000, k=1), head("b", order=2)))
    ada = [head("a", order=1, due=NOW + 5_000, k=1, audience="ou_1"), head("b", order=2, audience="ou_1")]
    assert (["a"], "b") == chosen(leased(*ada))


def test_a_newer_one_that_waits_takes_no_place() -> None:
    """It has not come yet, or waits for its next attempt as the older does: the older is tried."""
    assert ([], "a") == chosen(leased(head("a", order=1, k=1), head("b", order=2, due=NOW + 5_000, k=1)))


def test_nothing_is_sent_once_more_while_a_newer_card_waits_for_a_click() -> None:
    """It would only be painted over, or undone."""
    waiting = [head("click", order=4, due=NOW + 300, marked_at=NOW), head("later", order=5)]
    choice = choose(leased(*waiting, resend=head("shown", order=3)), NOW)
    assert (None, 300) == (choice.call, choice.hold_ms)


def reminder(event: str, *, order: int, due: int = NOW, kind: str = "Remind") -> Head:
    """Return a reminder, or the wish that none comes."""
    return head(event, order=order, due=due, kind=kind, coalesce="timer", target=Target("timer:om_1/escalate"))


def test_a_newer_reminder_supersedes_an_older_one_though_neither_is_due() -> None:
    """Whoever puts a reminder off is not reminded twice."""
    target = leased(reminder("older", order=1, due=NOW + 1), reminder("newer", order=2, due=NOW + 2))
    assert (["older"], None) == chosen(target)


def test_a_reminder_that_is_due_does_not_come_if_a_newer_one_is_not() -> None:
    """The newer one was wanted by somebody who knew of the older one."""
    target = leased(reminder("older", order=1), reminder("newer", order=2, due=NOW + 2))
    assert (["older"], None) == chosen(target)


def test_a_cancelled_reminder_does_not_come() -> None:
    """The wish that none comes takes its place, and is done at once."""
    target = leased(reminder("asked", order=1, due=NOW + 1), reminder("cancelled", order=2, kind="CancelReminder"))
    assert (["asked"], "cancelled") == chosen(target)


def part(
    event: str,
    *,
    order: int,
    due: int = NOW,
    coalesce: str | None = "element:a",
    kind: str = "UpdateElement",
    k: int = 0,
) -> Head:
    """Return a pending change of a card's part."""
    return head(event, order=order, due=due, kind=kind, coalesce=coalesce, k=k)


def test_a_part_gives_way_to_a_later_whole_card_and_to_a_later_change_of_the_same_part() -> None:
    """Never the other way round, and never to another part."""
    whole = head("e9", order=9)
    heads = [part("e1", order=1), part("e2", order=2, coalesce="text:a", kind="StreamText"), whole]
    chosen = choose(leased(*heads), NOW)
    assert (["e1", "e2"], whole) == ([one.head.event_id for one in chosen.superseded], chosen.call)
    parts = [part("e1", order=1, coalesce="text:a", kind="StreamText"), part("e2", order=2), part("e3", order=3)]
    other = part("e4", order=4, coalesce="element:b")
    chosen = choose(leased(*parts, other), NOW)
    assert (["e1", "e2"], parts[-1]) == ([one.head.event_id for one in chosen.superseded], chosen.call)


def test_a_part_waits_for_an_older_whole_card() -> None:
    """It would be painted over; the target is looked at again when that one is due."""
    older, newer = head("e1", order=1, due=NOW + 700, k=1), part("e2", order=2)
    chosen = choose(leased(older, newer), NOW)
    assert (None, [], 700) == (chosen.call, list(chosen.superseded), chosen.hold_ms)
    ready = head("e1", order=1)
    assert ready == choose(leased(ready, newer), NOW).call


def test_what_waits_behind_an_earlier_effect_of_its_event_is_not_looked_at_all_the_time() -> None:
    """Until that one is due again."""
    first, second = text("e1", order=1, due=NOW + 5_000), text("e1", index=2, order=2)
    assert 5_000 == choose(leased(first, second), NOW).hold_ms


def test_a_card_for_one_person_replaces_nobody_elses() -> None:
    """Each audience has a newest one of its own."""
    heads = [head("e1", order=1, audience="ou_1"), head("e2", order=2, audience="ou_2")]
    assert () == tuple(choose(leased(*heads), NOW).superseded)


def test_a_target_with_more_than_was_shown_is_looked_at_again_at_once() -> None:
    """What took a place may lose it to what stands behind, which is seen as soon as the superseded have gone."""
    heads = [head("e1", order=1), head("e2", order=2), head("e3", order=3, due=NOW + 300)]
    choice = choose(leased(*heads, more=True), NOW)
    assert (["e1"], None, 0) == ([one.head.event_id for one in choice.superseded], choice.call, choice.hold_ms)


def test_of_more_than_was_shown_the_first_is_performed_if_none_was_superseded() -> None:
    """However many people each wait for a card of their own, and nobody's takes another's place."""
    ada, bob = head("e1", order=1, audience="ou_1"), head("e2", order=2, audience="ou_2")
    assert ([], "e1") == chosen(leased(ada, bob, more=True))
    assert (["e3"], "e1") == chosen(leased(ada, bob, part("e3", order=3), part("e4", order=4), more=True))


def test_a_target_of_which_all_that_is_shown_must_wait_is_not_looked_at_all_the_time() -> None:
    """What stands behind is not seen before something here has gone."""
    heads = [head("e1", order=1, due=NOW + 700, k=1, audience="ou_1"), head("e2", order=2, due=NOW + 900, k=1)]
    choice = choose(leased(*heads, more=True), NOW)
    assert (None, 700) == (choice.call, choice.hold_ms)


def test_a_part_takes_the_place_of_the_same_part_that_is_tried_again_later() -> None:
    """Tried after the newer one it would be shown last, for good."""
    assert (["a"], "b") == chosen(leased(part("a", order=1, due=NOW + 5_000, k=1), part("b", order=2)))
    other = part("c", order=2, coalesce="element:other")
    assert ([], "c") == chosen(leased(part("a", order=1, due=NOW + 5_000, k=1), other))


def test_a_part_waits_until_the_clicks_before_it_are_answered() -> None:
    """Whichever mark comes first: the older click's change would be painted last."""
    unanswered = part("a", order=1, due=NOW + 3_000)
    assert ([], None) == chosen(leased(unanswered, part("b", order=2)))
    assert LOOK_MS == choose(leased(unanswered, part("b", order=2)), NOW).hold_ms
    assert (["a"], "b") == chosen(leased(replace(unanswered, due=NOW), part("b", order=2)))


def test_an_answer_for_one_person_takes_the_place_of_their_older_card_that_waits() -> None:
    """It is on the screen, but nothing says so later, when the older click's card is due."""
    older = head("a", order=1, due=NOW + 3_000, audience="ou_1")
    answer = head("b", index=0, order=2, kind="AnsweredCard", delivered=True, audience="ou_1")
    assert ([], None) == chosen(leased(older, answer))
    assert (["a"], "b") == chosen(leased(replace(older, due=NOW), answer))
    assert ([], "b") == chosen(leased(replace(older, audience="*"), replace(answer, audience="*")))


def test_an_answer_for_a_card_that_is_an_entity_waits_like_any_update() -> None:
    """It may be streaming, and is sent for that: before an older click was answered, it would be undone."""
    unanswered = head("a", order=1, due=NOW + 3_000)
    answer = head("b", index=0, order=2, kind="AnsweredCard", delivered=True)
    entity = FaceRow(app_id=APP, message_id=CARD, card_id="7355372766134157313")
    assert ([], None) == chosen(leased(unanswered, answer, face=entity))
    assert (["a"], "b") == chosen(leased(replace(unanswered, due=NOW), answer, face=entity))


def test_a_part_that_is_tried_again_by_hand_gives_way_to_what_was_performed_since() -> None:
    """The platform shows the newer one: of the same part, and for the same people."""
    performed = [part("new", order=5)]
    assert (["old"], None) == chosen(leased(part("old", order=4, k=2), performed=performed))
    for old in (part("old", order=6, k=2), part("old", order=4, k=2, coalesce="element:b")):
        assert ([], "old") == chosen(leased(old, performed=performed))
    assert ([], "old") == chosen(leased(replace(part("old", order=4, k=2), audience="ou_1"), performed=performed))


def test_what_switched_streaming_since_is_not_undone_by_what_is_tried_again_by_hand() -> None:
    """An older switch is pointless then; a newer one is made, and other parts do not mind."""
    performed = [part("off", order=5, coalesce=None, kind="SetStreaming")]
    old = part("on", order=4, k=2, coalesce=None, kind="SetStreaming")
    assert (["on"], None) == chosen(leased(old, performed=performed))
    assert ([], "on") == chosen(leased(replace(old, order=6), performed=performed))
    assert ([], "text") == chosen(leased(part("text", order=4, kind="StreamText"), performed=performed))


def test_streaming_is_switched_in_the_order_of_the_log() -> None:
    """A text that finds streaming off fails for good; and what is switched off behind a text must not outrun it."""
    switch = part("on", order=1, due=NOW + 700, k=1, coalesce=None, kind="SetStreaming")
    typed = part("type", order=2, coalesce="text:a", kind="StreamText")
    assert ([], None) == chosen(leased(switch, typed))
    assert 700 == choose(leased(switch, typed), NOW).hold_ms
    assert ([], "element") == chosen(leased(switch, part("element", order=2)))
    waits = replace(typed, due=NOW + 700, k=1)
    assert ([], None) == chosen(leased(waits, part("off", order=3, coalesce=None, kind="SetStreaming")))
