"""What comes back is decided as clicks are: results of calls, reminders that came, redrives of what failed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import CallResult, Reminder
from shared.core.codec import encode
from shared.core.decision import Card, Decision
from shared.core.effects import Call, CancelReminder, Effect, FetchMessage, Origin, Remind, UpdateCard
from shared.core.events import CallReturned, Event, InteractionReceived, TimerFired
from shared.core.ids import EventId, MessageId
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import NewRecord
from tests.support.facts import APP, CARD, CHAT, NOW, TENANT, TOPICS, click, mark, record, records, redrive
from tests.unit.worker.test_answered import head
from tests.unit.worker.test_decide import Direct, decisions
from worker.deciding.batch import take
from worker.deciding.decide import decide
from worker.deciding.telling import Telling
from worker.ledger.decided import CardKey, CardRow, ClaimKey, Known, Redrivable, Write
from worker.ledger.leased import Head
from worker.performing.returning import brought

LATER = NOW + 60_000


def app_that_works(**on_error: Any) -> App:
    """Return handlers that have work done, take what it brings, and are reminded; a click of "bad" fails."""
    app = App()

    @app.call("publish")
    async def publish(args: object, *, idempotency_key: str) -> None: ...

    @app.on_action("follow_up", **on_error)
    def follow_up(given: Interaction, card: Card | None) -> Decision:
        if given.event_id.startswith("bad"):
            raise RuntimeError("no")
        asked: list[Effect] = [UpdateCard({"n": 1}), Call("publish", [1]), FetchMessage()]
        return Decision(effects=[*asked, Remind(3_600, key="escalate"), CancelReminder("old")], state="open")

    @app.on_result("publish")
    def published(result: CallResult, card: Card | None) -> Decision:
        seen = card.state if card else None
        return Decision(effects=[UpdateCard({"n": 2}), Call("publish")], state=[seen, result.value])

    @app.on_result("fetch_message")
    def fetched(result: CallResult, card: Card | None) -> None: ...

    @app.on_reminder("escalate")
    def escalate(reminder: Reminder, card: Card | None) -> Decision:
        return Decision(state="escalated")

    return app


def written(events: Sequence[Event], *, known: Known | None = None, app: App | None = None, offset: int = 0) -> Write:
    """Decide events that begin at an offset of partition 0, and return the write."""
    batch = take({0: records(events, offset=offset)})
    return decide(batch, known or Known(now=NOW), {APP: app or app_that_works()}, Direct()).write(
        {0: 0}, TOPICS, settle_ms=300
    )


def returned(**fields: Any) -> CallReturned:
    """Return what a call of click e1 brought back."""
    given: dict[str, Any] = {
        "event_id": EventId("e1/2/returned"),
        "origin": EventId("e1"),
        "app_id": APP,
        "tenant_key": TENANT,
        "message_id": CARD,
        "chat_id": CHAT,
        "operator": click().operator,
        "clicked_at": NOW,
        "name": "publish",
        "value": JsonText("7"),
        "occurred_at": NOW + 100,
        "received_at": NOW + 100,
    }
    return CallReturned(**{**given, **fields})


def fired() -> TimerFired:
    """Return the reminder of click e1."""
    return TimerFired(
        event_id=EventId("e1/4/fired"),
        origin=EventId("e1"),
        app_id=APP,
        tenant_key=TENANT,
        message_id=CARD,
        key="escalate",
        due=LATER,
        occurred_at=LATER,
        received_at=LATER,
    )


def dead(event: InteractionReceived, *, redrive: int = 0) -> Known:
    """Return a ledger in which an event's handler failed, so often."""
    letter = Redrivable(redrive=redrive, interaction=record(event).value, kind="lark.card.interaction.received.v1")
    key = ClaimKey(event.app_id, event.event_id)
    return Known(now=LATER, claims={key: "failed"}, redrivable={key: letter})


def rows(write: Write) -> Mapping[str, tuple[str, str | None, int]]:
    """Return the kind of each effect, with target, coalescing key and wait."""
    return {f"{row.index} {row.kind}": (row.target, row.coalesce, row.due_in_ms) for row in write.effects}


def test_what_comes_back_has_a_target_of_its_own_and_knows_where_it_began() -> None:
    """A call waits for nothing; a reminder for its time, counted from when the click was received."""
    write = written([click("e1")], known=Known(now=NOW + 1_000))
    assert {
        "1 UpdateCard": ("message:om_1", "card", 3_000),
        "2 Call": ("call:e1/2", None, 0),
        "3 FetchMessage": ("call:e1/3", None, 0),
        "4 Remind": ("timer:om_1/escalate", "timer", 3_599_000),
        "5 CancelReminder": ("timer:om_1/old", "timer", 0),
    } == rows(write)
    (decided,) = decisions(write)
    origin = Origin(event_id=EventId("e1"), chat_id=CHAT, operator=click().operator, clicked_at=NOW)
    assert Call("publish", [1], origin=origin) == decided.effects[1].effect
    assert FetchMessage(CARD, origin=origin) == decided.effects[2].effect


def test_a_result_is_decided_on_the_card_of_its_moment_and_keeps_its_origin() -> None:
    """Its card update waits until the click's answer cannot be on its way any more."""
    write = written([click("e1"), returned()], known=Known(now=NOW + 100))
    first, second = decisions(write)
    assert ('["open",7]', 2) == (second.state, second.version)
    assert [("UpdateCard", 2_900), ("Call", 0)] == [
        (row.kind, row.due_in_ms) for row in write.effects if row.event_id == "e1/2/returned"
    ]
    again = second.effects[1].effect
    assert isinstance(again, Call)
    assert again.origin == Origin(event_id=EventId("e1"), chat_id=CHAT, operator=click().operator, clicked_at=NOW)
    assert NOW == second.newest_at == first.newest_at


@pytest.mark.parametrize("behind_ms", [-4_000, 0, 4_000])
def test_what_comes_back_waits_for_the_answer_by_the_ledgers_clock_alone(behind_ms: int) -> None:
    """However far a gateway's clock is from it, and however many calls lie in between."""
    clicked = click("e1", received_at=NOW - behind_ms)
    (first,) = brought(*_call(written([clicked])), now=NOW + 100, topics=TOPICS, value=JsonText("7"))
    known = Known(now=NOW + 100)
    write = written([_back(first)], known=known)
    assert [("UpdateCard", 2_900), ("Call", 0)] == [(row.kind, row.due_in_ms) for row in write.effects]
    (second,) = brought(*_call(write, decided_at=known.now), now=NOW + 200, topics=TOPICS, value=JsonText("8"))
    assert [2_800, 0] == [row.due_in_ms for row in written([_back(second)], known=Known(now=NOW + 200)).effects]


def _call(write: Write, *, decided_at: EpochMs = NOW) -> tuple[Head, Call]:
    """Return the call among a decision's effects, as the ledger has it."""
    (row,) = (row for row in write.effects if row.kind == "Call")
    (call,) = (each.effect for one in decisions(write) for each in one.effects if isinstance(each.effect, Call))
    of: dict[str, Any] = {
        "app_id": row.app_id,
        "index": row.index,
        "kind": row.kind,
        "target": row.target,
        "coalesce": row.coalesce,
    }
    return head(row.event_id, **of, due=decided_at, decided_at=decided_at, received_at=row.received_at), call


def _back(record: NewRecord) -> CallReturned:
    return msgspec.json.decode(record.value, type=CallReturned)


@pytest.mark.parametrize(("answered_ago", "wait"), [(100, 200), (60_000, 0)])
def test_what_comes_back_after_the_answer_waits_for_the_settle_gap_alone(answered_ago: int, wait: int) -> None:
    """As an update of the click itself would."""
    origin = ClaimKey(APP, EventId("e1"))
    known = Known(now=NOW + 60_000, answered={origin: NOW + 60_000 - answered_ago})
    write = written([returned()], known=known)
    assert [("UpdateCard", wait, "after_answer"), ("Call", 0, "at_once")] == [
        (row.kind, row.due_in_ms, row.eligibility) for row in write.effects
    ]


def test_a_mark_right_before_what_comes_back_counts() -> None:
    """It is read in the log's order, and its click's claim tells it from then on."""
    write = written([click("e1"), mark(click("e1")), returned()], known=Known(now=NOW + 100))
    assert [300, 0] == [row.due_in_ms for row in write.effects if row.event_id == "e1/2/returned"]
    assert [True, False] == [claim.answered for claim in write.claims]


def test_a_result_of_an_event_waits_for_no_answer() -> None:
    """Nobody waits for one."""
    write = written([returned(clicked_at=None)])
    assert [("UpdateCard", 0), ("Call", 0)] == [(row.kind, row.due_in_ms) for row in write.effects]


def test_a_result_is_decided_once_and_without_a_handler_ignored() -> None:
    """However often the call was made."""
    assert ["decided"] == [decided.result for decided in decisions(written([returned(), returned()]))]
    assert ["ignored"] == [decided.result for decided in decisions(written([returned(name="other")]))]


def test_a_reminder_makes_no_click_late() -> None:
    """It is no click, however much later it comes."""
    on_a_card = Known(
        now=LATER,
        cards={
            CardKey(APP, CARD): CardRow(app_id=APP, message_id=CARD, version=3, state=None, content=None, newest_at=NOW)
        },
    )
    reminded, clicked = decisions(written([fired(), click("e2")], known=on_a_card))
    assert ('"escalated"', NOW, False) == (reminded.state, reminded.newest_at, clicked.late)


def test_a_redrive_decides_what_was_kept_under_its_first_identity() -> None:
    """At once, in its new place in the log; its claim and its decision say which redrive that was."""
    write = written([redrive("e1", 1)], known=dead(click("e1")), offset=50)
    (decided,) = decisions(write)
    assert ("e1", "decided", 1, 50) == (decided.event_id, decided.result, decided.redrive, decided.offset)
    assert [("e1", 1, "decided")] == [(claim.event_id, claim.redrive, claim.result) for claim in write.claims]
    assert [ClaimKey(APP, EventId("e1"))] == list(write.revived)
    assert [] == list(write.dead_letters)
    assert 0 == write.effects[0].due_in_ms
    assert [row.key for row in write.outbox] == [encode(decided).key]


def test_a_redrive_that_fails_again_is_kept_again_with_all_that_was() -> None:
    """And can be redriven once more."""
    write = written([redrive("bad", 2)], known=dead(click("bad"), redrive=1))
    (letter,) = write.dead_letters
    assert (record(click("bad")).value, "lark.card.interaction.received.v1") == (letter.interaction, letter.kind)
    assert ([], [("bad", 2, "failed")]) == (
        list(write.revived),
        [(claim.event_id, claim.redrive, claim.result) for claim in write.claims],
    )


def test_a_legacy_click_that_failed_is_no_twin_of_what_came_after_it() -> None:
    """It was none when it came: it is decided again, whatever came since."""
    known = replace(dead(click("e1", kind="card_action_v1")), new_style_at={APP: NOW + 1})
    assert ["decided"] == [decided.result for decided in decisions(written([redrive("e1", 1)], known=known))]


@pytest.mark.parametrize(
    "known",
    [Known(now=LATER), dead(click("e1"), redrive=1), dead(click("e1"), redrive=2)],
    ids=["no dead letter", "done by another wish", "done since"],
)
def test_a_redrive_of_what_did_not_fail_or_was_redriven_meanwhile_changes_nothing(known: Known) -> None:
    """Never a second decision."""
    write = written([redrive("e1", 1)], known=known)
    assert ([], [], []) == (list(write.claims), list(write.outbox), list(write.revived))


@pytest.mark.parametrize("message_id", [None, "om_other"])
def test_a_redrive_that_names_another_card_than_its_input_is_refused_and_told(
    message_id: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ledger was not asked for the input's card, which would begin anew: it stays a dead letter, with one line."""
    batch = take({0: records([redrive("e1", 1, message_id=message_id)])})
    draft = decide(batch, dead(click("e1")), {APP: app_that_works()}, Direct())
    write = draft.write({0: 0}, TOPICS, settle_ms=300)
    assert ([], [], [], []) == (list(write.claims), list(write.cards), list(write.outbox), list(write.revived))
    Telling().misled(draft.misled)
    (line,) = capsys.readouterr().out.splitlines()
    assert "redrive_refused" in line
    assert "e1" in line


def test_two_wishes_for_one_redrive_in_a_batch_are_one() -> None:
    """The second finds it done."""
    write = written([redrive("e1", 1), redrive("e1", 1)], known=dead(click("e1")))
    assert 1 == len(decisions(write))


def test_what_a_newer_program_kept_stays_a_dead_letter() -> None:
    """Nobody here can read it."""
    letter = Redrivable(redrive=0, interaction=b"{}", kind="lark.card.interaction.received.v9")
    key = ClaimKey(APP, EventId("e1"))
    write = written([redrive("e1", 1)], known=Known(now=LATER, claims={key: "failed"}, redrivable={key: letter}))
    assert ([], []) == (list(write.claims), list(write.revived))


def test_behind_a_failure_that_parks_its_card_everything_about_it_is_kept() -> None:
    """Clicks, results and reminders; other cards go on."""
    events: list[Event] = [click("bad"), click("e2"), returned(), fired(), click("e3", message_id="om_2")]
    write = written(events, app=app_that_works(on_error="park_card"))
    found = [(one.event_id, one.result, one.reason == "parked", one.parks) for one in decisions(write)]
    assert [
        ("bad", "failed", False, True),
        ("e2", "failed", True, True),
        ("e1/2/returned", "failed", True, True),
        ("e1/4/fired", "failed", True, True),
        ("e3", "decided", False, False),
    ] == found
    assert [0, 1, 2, 3] == [letter.offset for letter in write.dead_letters]
    assert {"lark.card.interaction.received.v1", "lark.card.call.returned.v1", "lark.card.timer.fired.v1"} == {
        letter.kind for letter in write.dead_letters
    }


def test_a_parked_card_is_redriven_in_order_and_then_goes_on() -> None:
    """Out of turn nothing is decided; with the last one, clicks are decided again."""
    known = dead(click("e1"))
    known = Known(
        now=LATER,
        claims={**known.claims, ClaimKey(APP, EventId("e2")): "failed"},
        redrivable={**known.redrivable, **dead(click("e2")).redrivable},
        standing={CardKey(APP, MessageId(CARD)): [EventId("e1"), EventId("e2")]},
    )
    early = written([redrive("e2", 1), click("e3")], known=known)
    assert [("e2", "parked"), ("e3", "parked")] == [(one.event_id, one.reason) for one in decisions(early)]
    in_turn = written([redrive("e1", 1), click("e3"), redrive("e2", 1), click("e4")], known=known)
    assert [("e1", "decided"), ("e3", "failed"), ("e2", "decided"), ("e4", "failed")] == [
        (one.event_id, one.result) for one in decisions(in_turn)
    ]
    last = written([redrive("e1", 1), redrive("e2", 1), click("e3")], known=known)
    assert ["decided"] * 3 == [one.result for one in decisions(last)]
