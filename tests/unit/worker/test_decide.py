"""The spine of stage one: from facts and what the ledger knows to one write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.answers import CustomAnswer
from shared.core.cards import Toast
from shared.core.codec import decode
from shared.core.decision import Card, Decision
from shared.core.effects import Effect, RenameChat, SendCard, SendText, UpdateCard
from shared.core.errors import HandlerError
from shared.core.events import Answer, Decided, Event, InteractionReceived
from shared.core.json_text import JsonText
from shared.eventlog.port import MAX_RECORD_BYTES, NewRecord, Record
from tests.support.facts import APP, CARD, CHAT, NOW, TOPICS, changed, click, mark, record, records
from worker.deciding.batch import take
from worker.deciding.decide import decide
from worker.deciding.draft import Draft
from worker.deciding.judge import LATE_MS, TWIN_MS, MissedDeadline
from worker.ledger.decided import EVERY_APP, CardKey, CardRow, ClaimKey, DeliveryRef, Known, Suspension, Write
from worker.ledger.leased import FaceRow

_T = TypeVar("_T")
DAY_MS = 86_400_000


class Hang(Exception):
    """Stands for a handler that does not come back."""


@dataclass
class Direct:
    """Calls user code at once; may say that the time is used up after so many calls."""

    calls: int = 0
    most: int = 1_000_000

    def __call__(self, step: Callable[[], _T], /) -> _T:
        """Call it."""
        self.calls += 1
        try:
            return step()
        except HandlerError as error:
            if isinstance(error.__cause__, Hang):
                raise MissedDeadline("slow") from error
            raise

    @property
    def spent(self) -> bool:
        """Whether enough calls were made."""
        return self.calls >= self.most


def counting() -> App:
    """Return an app that counts the clicks of a card and shows the count."""
    app = App()

    @app.on_action("follow_up")
    def follow_up(_click: Interaction, card: Card | None) -> Decision:
        count = (card.state if card and card.state else 0) + 1
        return Decision(state=count, effects=[UpdateCard({"count": count}), RenameChat(f"n{count}")])

    return app


def drafted(events: Sequence[Event], *, known: Known | None = None, app: App | None = None) -> Draft:
    """Decide events as one batch of partition 0."""
    return decide(take({0: records(events)}), known or Known(now=NOW), {APP: app or counting()}, Direct())


def written(events: Sequence[Event], *, known: Known | None = None, app: App | None = None) -> Write:
    """Decide events and return the write."""
    return drafted(events, known=known, app=app).write({0: 0}, TOPICS, settle_ms=300)


def decisions(write: Write) -> list[Decided]:
    """Return the decisions that a write tells."""
    told = [decode(row.headers, row.value) for row in write.outbox if row.topic == TOPICS.outcomes]
    return [event for event in told if isinstance(event, Decided)]


def test_a_click_becomes_a_claim_a_card_effects_and_a_fact() -> None:
    """One write carries everything that one click decides."""
    write = written([click()])
    assert [(ClaimKey(APP, click().event_id), "decided")] == [
        (ClaimKey(c.app_id, c.event_id), c.result) for c in write.claims
    ]
    assert [
        CardRow(
            app_id=APP, message_id=CARD, version=1, state=JsonText("1"), content=JsonText('{"count":1}'), newest_at=NOW
        )
    ] == list(write.cards)
    assert [("UpdateCard", "message:om_1", 3000), ("RenameChat", "chat:oc_1", 0)] == [
        (e.kind, e.target, e.due_in_ms) for e in write.effects
    ]
    (decided,) = decisions(write)
    assert ("decided", 1, '{"count":1}', 2) == (decided.result, decided.version, decided.intended, len(decided.effects))
    assert [(0, 0, 1, "e1")] == [(m.partition, m.expected, m.next, m.last_id) for m in write.moves]


def test_later_clicks_of_a_batch_see_what_earlier_ones_decided() -> None:
    """A card's state evolves within the batch, and one row is written."""
    write = written([click("e1"), click("e2"), click("e3")])
    assert [(3, "3")] == [(row.version, row.state) for row in write.cards]
    assert [1, 2, 3] == [decided.version for decided in decisions(write)]


def test_an_event_is_decided_once_however_often_it_is_logged() -> None:
    """Duplicates, in the batch or known to the ledger, move the position and nothing else."""
    twice = written([click("e1"), click("e1")])
    assert (1, 2) == (len(twice.claims), twice.moves[0].next)
    known = Known(now=NOW, claims={ClaimKey(APP, click("e1").event_id): "decided"})
    again = written([click("e1")], known=known)
    assert ([], [], [], 1) == (again.claims, again.effects, again.outbox, again.moves[0].next)


def test_the_same_delivery_under_another_event_id_is_a_duplicate() -> None:
    """The delivery key catches bytes that were delivered twice."""
    first, second = click("e1", delivery_key="d"), click("e2", delivery_key="d")
    assert ["e1"] == [row.event_id for row in written([first, second]).claims]
    known = Known(now=NOW, deliveries={DeliveryRef(APP, first.delivery_key)})  # type: ignore[arg-type]
    assert [] == written([second], known=known).claims


def test_a_mark_in_the_same_batch_makes_the_update_eligible_after_the_settle_gap() -> None:
    """The mark is never queued: the batch that reads it starts the clock."""
    write = written([click(), mark(click())])
    assert [(300, True), (0, True)] == [(e.due_in_ms, e.marked) for e in write.effects]
    assert [] == write.marks


def test_a_mark_of_an_earlier_batch_wakes_the_card() -> None:
    """A mark whose click was decided before is passed on, once."""
    write = written([mark(click()), mark(click())])
    assert [("e1", CARD)] == [(m.event_id, m.message_id) for m in write.marks]


def test_an_event_without_a_handler_is_ignored_and_recorded() -> None:
    """Nothing happens, and the log says so."""
    write = written([click(value={"action": "other"})])
    assert (["ignored"], []) == ([d.result for d in decisions(write)], write.effects)


def test_a_legacy_click_beside_its_new_style_twin_is_not_decided_again() -> None:
    """A console subscribed to both styles sends every click twice."""
    new = click("e1")
    old = click("e2", kind="card_action_v1")
    assert ["twin", "decided"] == [d.result for d in decisions(written([old, new]))]
    known = Known(now=NOW, new_style_at={APP: NOW - TWIN_MS + 1})
    assert ["twin"] == [d.result for d in decisions(written([old], known=known))]
    long_ago = Known(now=NOW, new_style_at={APP: NOW - TWIN_MS})
    assert ["decided"] == [d.result for d in decisions(written([old], known=long_ago))]


def test_the_newest_new_style_callback_is_written_down_once_a_minute() -> None:
    """The app's row is not rewritten for every click."""
    assert {APP: NOW} == written([click()]).new_style_at
    assert {} == written([click()], known=Known(now=NOW, new_style_at={APP: NOW - 59_999})).new_style_at


def test_a_click_on_an_expired_card_is_refused_without_calling_the_handler() -> None:
    """Only our own send tells a card's age; the margin of an hour is the platform's."""

    def sent(days: float) -> Known:
        face = FaceRow(app_id=APP, message_id=CARD, sent_at=NOW - int(days * DAY_MS), card_format="1.0")
        return Known(now=NOW, faces={CardKey(APP, CARD): face})

    assert [("refused", "expired")] == [(d.result, d.reason) for d in decisions(written([click()], known=sent(30.05)))]
    assert ["decided"] == [d.result for d in decisions(written([click()], known=sent(30.03)))]


def test_a_handler_that_raises_fails_its_own_event_only() -> None:
    """The failure is recorded with the interaction whole, and later clicks go on."""
    app = App()

    @app.on_action("follow_up")
    def follow_up(given: Interaction, card: Card | None) -> list[Effect]:
        if given.event_id == "bad":
            raise ValueError("no")
        return [SendText("hello")]

    write = written([click("e1"), click("bad"), click("e2")], app=app)
    assert ["decided", "failed", "decided"] == [d.result for d in decisions(write)]
    (letter,) = write.dead_letters
    assert ("bad", "follow_up", record(click("bad")).value) == (
        letter.event_id,
        letter.handler.rpartition(".")[2],
        letter.interaction,
    )
    assert "no" not in letter.reason.split()


def test_missed_deadlines_suspend_a_handler_and_a_success_forgives_them() -> None:
    """The third miss in a row suspends; meanwhile events fail at once and can be redriven."""
    app = App()

    @app.on_action("follow_up", handler_name="slow")
    def slow(given: Interaction, card: Card | None) -> list[Effect]:
        if given.event_id.startswith("hang"):
            raise Hang
        return []

    hanging = drafted([click("hang1"), click("hang2"), click("hang3"), click("e4")], app=app)
    write = hanging.write({0: 0}, TOPICS, settle_ms=300)
    assert [("failed", "deadline")] * 3 + [("failed", "suspended")] == [(d.result, d.reason) for d in decisions(write)]
    (standing,) = write.suspensions
    assert Suspension(app_id=EVERY_APP, handler="slow", misses=3, until=NOW + 60_000, pause_ms=60_000) == standing

    later = Known(now=NOW + 60_000, suspensions={standing.key: standing})
    assert [Suspension(app_id=EVERY_APP, handler="slow")] == list(
        written([click("e5")], known=later, app=app).suspensions
    )
    (longer,) = written([click("hang6")], known=later, app=app).suspensions
    assert (NOW + 60_000 + 120_000, 120_000) == (longer.until, longer.pause_ms)


def test_a_late_click_repaints_nothing_unless_it_decided_state() -> None:
    """A click from before the newest decided one must not flip the card back."""
    app = App()

    @app.on_action("paint")
    def paint(given: Interaction, card: Card | None) -> list[Effect]:
        return [UpdateCard({"by": given.event_id}), SendText("seen")]

    row = CardRow(app_id=APP, message_id=CARD, version=4, state=None, content=None, newest_at=NOW)
    known = Known(now=NOW, cards={CardKey(APP, CARD): row})
    late = changed(click(value={"action": "paint"}), occurred_at=NOW - LATE_MS - 1)
    (decided,) = decisions(written([late], known=known, app=app))
    assert (True, ["SendText"]) == (decided.late, [type(p.effect).__name__ for p in decided.effects])
    in_time = changed(late, occurred_at=NOW - LATE_MS)
    (decided,) = decisions(written([in_time], known=known, app=app))
    assert (False, 2) == (decided.late, len(decided.effects))
    (counted,) = decisions(written([changed(click(), occurred_at=NOW - LATE_MS - 1)], known=known))
    assert (True, 2) == (counted.late, len(counted.effects))


def test_the_handler_sees_the_card_we_sent_and_none_where_nothing_is_known() -> None:
    """Our own send makes a card known, with its content, chat and age."""
    seen: list[Card | None] = []
    app = App()

    @app.on_action("follow_up")
    def follow_up(_click: Interaction, card: Card | None) -> list[Effect]:
        seen.append(card)
        return []

    face = FaceRow(app_id=APP, message_id=CARD, chat_id=CHAT, sent_at=NOW - 5, sent=JsonText('{"a":1}'))
    written([click()], app=app)
    (decided,) = decisions(
        written([changed(click(), chat_id=None)], known=Known(now=NOW, faces={CardKey(APP, CARD): face}), app=app)
    )
    assert seen[0] is None
    assert seen[1] is not None
    assert (0, None, {"a": 1}, CHAT, NOW - 5) == (
        seen[1].version,
        seen[1].state,
        seen[1].content,
        seen[1].chat_id,
        seen[1].sent_at,
    )
    assert decided.seen is not None
    assert decided.seen.sent_at == NOW - 5


def test_where_effects_go_and_whether_they_wait_for_the_answer() -> None:
    """Only what changes the clicked card waits; a chat that nobody named is looked for later."""
    app = App()

    @app.on_action("follow_up")
    def follow_up(_click: Interaction, card: Card | None) -> list[Effect]:
        return [
            UpdateCard({}),
            RenameChat("x"),
            RenameChat("y", chat_id="oc_9"),  # type: ignore[arg-type]
            SendText("a", to="ou_2"),
            SendCard({}, to="oc_3"),
        ]

    write = written([changed(click(), chat_id=None)], app=app)
    assert [
        ("message:om_1", "after_answer", "card"),
        ("chat-of:om_1", "at_once", "name"),
        ("chat:oc_9", "at_once", "name"),
        ("user:ou_2", "at_once", None),
        ("chat:oc_3", "at_once", None),
    ] == [(e.target, e.eligibility, e.coalesce) for e in write.effects]
    assert [1, 2, 3, 4, 5] == [e.order for e in write.effects]


def test_effects_of_an_event_wait_for_nothing() -> None:
    """A subscribed event has no answer that anybody sees."""
    app = App()

    @app.on_event("out_approval")
    def approved(_event: Interaction, card: Card | None) -> list[Effect]:
        return [SendText("approved", to="ou_1")]

    event = changed(click(message_id=None), kind="event", event_type="out_approval")
    assert [("at_once", 0)] == [(e.eligibility, e.due_in_ms) for e in written([event], app=app).effects]


def test_when_the_time_is_used_up_the_rest_follows_in_the_next_batch() -> None:
    """What is decided is committed; nothing is skipped."""
    batch = take({0: records([click("e1"), click("e2"), click("e3")])})
    draft = decide(batch, Known(now=NOW), {APP: counting()}, Direct(most=2))
    assert 2 == draft.taken
    assert 2 == draft.write({0: 0}, TOPICS, settle_ms=300).moves[0].next


def test_an_undecodable_record_is_parked_with_its_bytes_and_reason() -> None:
    """Nothing in the log can stop the worker for good."""
    good = record(click())
    bad = Record(
        topic=good.topic, partition=0, offset=7, key="k", value=b"\xff", headers=good.headers, timestamp=good.timestamp
    )
    draft = decide(take({0: [bad]}), Known(now=NOW), {APP: counting()}, Direct())
    (parked,) = draft.write({0: 7}, TOPICS, settle_ms=300).outbox
    assert isinstance(parked, NewRecord)
    assert (TOPICS.dead, b"\xff", b"7") == (parked.topic, parked.value, dict(parked.headers)["dlq_offset"])


def test_a_record_of_a_newer_program_stops_the_batch_in_front_of_it() -> None:
    """Workers are upgraded before gateways; until then nothing of that partition is skipped."""
    newer = record(click("e2"), offset=1)
    headers = tuple((k, b"lark.card.interaction.received.v2" if k == "ce_type" else v) for k, v in newer.headers)
    unknown = Record(
        topic=newer.topic, partition=0, offset=1, key=newer.key, value=b"{}", headers=headers, timestamp=NOW
    )
    batch = take({0: [record(click("e1")), unknown, record(click("e3"), offset=2)]})
    assert ["e1"] == [taken.id for taken in batch.taken]
    assert batch.halted is not None


def test_what_the_log_would_not_take_fails_instead_of_stopping_the_relay() -> None:
    """Each decision is within bounds; state and card of earlier ones, told again with quotes doubled, are not."""
    app = App()

    @app.on_action("state")
    def state(_click: Interaction, card: Card | None) -> Decision:
        return Decision(state='"' * 130_000)

    @app.on_action("card")
    def card(_click: Interaction, card: Card | None) -> list[Effect]:
        return [UpdateCard({"quotes": '"' * 60_000})]

    events = [click("e1", value={"action": "state"}), click("e2", value={"action": "card"}), click("e3")]

    @app.on_action("follow_up")
    def text(_click: Interaction, card: Card | None) -> list[Effect]:
        return [SendText("x" * 250_000)]

    write = written(events, app=app)
    assert all(len(row.value) < MAX_RECORD_BYTES for row in write.outbox)
    assert ["decided", "decided", "failed"] == [decided.result for decided in decisions(write)]
    assert {"decided more than the log takes"} == {letter.reason for letter in write.dead_letters}


def test_a_position_moves_past_an_id_that_no_database_takes() -> None:
    """NUL in an event id must not come back through the position or the parked record's key."""
    odd = record(click("a\x00b", message_id=None))
    draft = drafted([])
    (taken,) = take({0: [odd]}).taken
    draft.park(taken, "refused")
    draft.passed(taken)
    write = draft.write({0: 0}, TOPICS, settle_ms=300)
    assert "\x00" not in (write.moves[0].last_id or "")
    assert "\x00" not in write.outbox[0].key
    assert odd.value == write.outbox[0].value


ANSWERED = Answer(rule="follow_up", card=JsonText('{"answered":1}'))
EXCLUSIVE = Answer(rule="follow_up", card=JsonText('{"config":{"update_multi":false}}'))


def quiet() -> App:
    """Return an app that decides nothing about any click."""
    app = App()
    app.on_action(handler_name="quiet")(lambda click, card: None)
    return app


def test_an_answered_card_is_effect_0_of_its_event() -> None:
    """The handler's effects count from 1 behind it, and what the handler shows is intended in the end."""
    write = written([click(answer=ANSWERED)])
    assert [(0, "AnsweredCard", 3000, "*"), (1, "UpdateCard", 3000, "*"), (2, "RenameChat", 0, "*")] == [
        (row.index, row.kind, row.due_in_ms, row.audience) for row in write.effects
    ]
    assert ['{"count":1}'] == [row.content for row in write.cards]
    (decided,) = decisions(write)
    assert '{"count":1}' == decided.intended


def test_an_answered_card_is_what_is_intended_where_the_handler_shows_none() -> None:
    """The next click's handler sees it."""
    write = written([click(answer=ANSWERED)], app=quiet())
    (decided,) = decisions(write)
    assert ['{"answered":1}', '{"answered":1}'] == [write.cards[0].content, decided.intended]
    assert decided.content is None


def test_a_card_that_the_answer_had_no_place_for_is_an_update() -> None:
    """A legacy callback cannot be answered with a 2.0 card, so it follows the answer."""
    answer = Answer(rule="quiet", card=JsonText('{"schema":"2.0"}'))
    legacy = click(kind="card_action_v1", answer=answer)
    write = written([legacy, mark(legacy)], app=quiet())
    assert [(0, "UpdateCard", 300)] == [(row.index, row.kind, row.due_in_ms) for row in write.effects]
    assert ['{"schema":"2.0"}'] == [row.content for row in write.cards]


def test_one_persons_card_is_intended_for_that_person_alone() -> None:
    """An exclusive answer changes what nobody else sees."""
    write = written([click(answer=EXCLUSIVE)], app=quiet())
    assert [("AnsweredCard", "ou_1")] == [(row.kind, row.audience) for row in write.effects]
    assert [] == list(write.cards)
    assert [None] == [decided.intended for decided in decisions(write)]


@pytest.mark.parametrize(
    ("delivered", "due"), [(True, [0, 300]), (False, [300, 300]), (None, [3000, 3000])], ids=["yes", "no", "no mark"]
)
def test_what_was_delivered_is_written_down_at_once(delivered: bool | None, due: list[int]) -> None:  # noqa: FBT001
    """What was not waits as any update: the settle gap, or three seconds without a mark."""
    clicked = click(answer=ANSWERED)
    marks = [] if delivered is None else [mark(clicked, delivered=delivered)]
    write = written([clicked, *marks])
    changes_the_card = [row for row in write.effects if row.target == "message:om_1"]
    assert due == [row.due_in_ms for row in changes_the_card]
    assert [delivered] * 2 == [row.delivered for row in changes_the_card]


def test_a_mark_for_earlier_effects_says_whether_the_answer_was_delivered() -> None:
    """The ledger holds them, and has to know."""
    write = written([mark(click("e0"), delivered=False), mark(click("e1"))])
    assert [("e0", False), ("e1", True)] == [(row.event_id, row.delivered) for row in write.marks]


def test_a_late_clicks_answer_is_no_news() -> None:
    """It was painted before what the newer clicks have shown; with new state it is intended all the same."""
    known = Known(
        now=NOW,
        cards={
            CardKey(APP, CARD): CardRow(
                app_id=APP, message_id=CARD, version=1, state=None, content=JsonText("{}"), newest_at=NOW + LATE_MS + 1
            )
        },
    )
    assert [] == list(written([click(answer=ANSWERED)], known=known, app=quiet()).effects)
    kept = written([click(answer=ANSWERED)], known=known)
    assert [0, 1, 2] == [row.index for row in kept.effects]


@pytest.mark.parametrize(
    "answered",
    [
        click(answer=ANSWERED, message_id=None),
        click(answer=ANSWERED, kind="link_preview", url="https://example.com/"),
        click(answer=Answer(custom=CustomAnswer(400, "{}"))),
        click(answer=Answer(toast=Toast.info("好"))),
    ],
)
def test_only_a_card_in_place_of_a_clicked_one_is_an_effect(answered: InteractionReceived) -> None:
    """Not a link's card, nor a body of the author's own."""
    app = quiet()
    app.on_link_preview(handler_name="link")(lambda link, card: None)
    assert [] == list(written([answered], app=app).effects)


def broken() -> App:
    """Return an app whose only handler fails."""

    def fails(click: Interaction, card: Card | None) -> list[Effect]:
        raise ValueError

    app = App()
    app.on_action("follow_up")(fails)
    return app


@pytest.mark.parametrize(("app", "result"), [(App(), "ignored"), (broken(), "failed")])
def test_a_click_that_is_not_decided_intends_no_card(app: App, result: str) -> None:
    """Nothing was decided about the card, whatever its answer showed."""
    write = written([click(answer=ANSWERED)], app=app)
    assert ([result], []) == ([claim.result for claim in write.claims], list(write.effects))


def test_a_link_is_decided_by_its_handler() -> None:
    """What it does is done at once: nobody waits for a mark."""
    app = App()
    app.on_link_preview("https://example.com/", handler_name="seen")(lambda link, card: [SendText(f"seen {link.url}")])
    write = written([click(kind="link_preview", url="https://example.com/1")], app=app)
    assert [("SendText", 0)] == [(row.kind, row.due_in_ms) for row in write.effects]


def test_an_event_without_a_card_is_decided_by_its_type() -> None:
    """It has no card to keep state with, and says where its messages go."""
    app = App()
    app.on_event("out_approval", handler_name="approved")(lambda event, card: [SendText("ok", to="ou_1")])
    event = click(kind="event", event_type="out_approval", message_id=None, chat_id=None)
    write = written([event], app=app)
    assert (["decided"], [("user:ou_1", 0)]) == (
        [claim.result for claim in write.claims],
        [(row.target, row.due_in_ms) for row in write.effects],
    )


def test_a_store_apps_ticket_is_taken_without_a_handler() -> None:
    """It is no click that somebody forgot to handle, and its decision says so without it."""
    ticket = click(kind="event", event_type="app_ticket", message_id=None, app_ticket="ticket-secret")
    write = written([ticket])
    assert [("ignored", "app_ticket")] == [(claim.result, claim.reason) for claim in write.claims]
    assert b"ticket-secret" not in b"".join(row.value for row in write.outbox)
