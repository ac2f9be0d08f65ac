"""Requests, decided: who may ask for what, and what it does to a card."""

from typing import Any

import msgspec

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.callers import Caller, Callers
from shared.core.codec import decode
from shared.core.decision import Card, Decision
from shared.core.effects import RenameChat, Requestable, SendText, UpdateCard
from shared.core.events import Event, RequestReceived, request_event_id
from shared.core.folded import REQUEST
from shared.core.ids import ChatId, MessageId
from shared.core.json_text import JsonText
from tests.support.facts import APP, CARD, NOW, TENANT, TOPICS, click, records
from tests.unit.worker.test_decide import Direct, counting, decisions
from worker.deciding.batch import take
from worker.deciding.decide import decide
from worker.deciding.grant import NO_TENANT, UNKNOWN_APP, UNKNOWN_CALLER, is_against
from worker.deciding.judge import LATE_MS
from worker.ledger.decided import CardKey, CardRow, ClaimKey, Known, Write
from worker.ledger.leased import FaceRow

OTHER = MessageId("om_2")
SHOWN = UpdateCard({"n": 9}, CARD)
BILLING = Caller(name="billing", apps=frozenset({APP}), effects=frozenset({"UpdateCard", "SendText"}))
CALLERS = Callers(by_name={"billing": BILLING})


def asked(
    *effects: Requestable, caller: str = "billing", request_id: str = "r1", card: MessageId | None = CARD, **fields: Any
) -> RequestReceived:
    """Return a request about a card."""
    of = RequestReceived(
        event_id=request_event_id(caller, request_id),
        app_id=APP,
        tenant_key=TENANT,
        message_id=card,
        caller=caller,
        request_id=request_id,
        effects=effects or (SHOWN,),
        occurred_at=NOW,
        received_at=NOW,
    )
    return msgspec.structs.replace(of, **fields)


def written(*events: Event, known: Known | None = None, app: App | None = None, callers: Callers = CALLERS) -> Write:
    """Decide events as one batch."""
    apps = {APP: app or counting()}
    return decide(take({0: records(events)}), known or Known(now=NOW), apps, Direct(), callers=callers).write(
        {0: 0}, TOPICS, settle_ms=300
    )


def test_a_request_changes_the_card_like_a_decision_and_keeps_its_state() -> None:
    """The version counts, the click that follows sees both, and no click is late because of it."""
    write = written(click("e1"), asked(occurred_at=NOW + 99_000), click("e2"))
    assert [
        CardRow(
            app_id=APP, message_id=CARD, version=3, state=JsonText("2"), content=JsonText('{"count":2}'), newest_at=NOW
        )
    ] == list(write.cards)
    _, told, _ = decisions(write)
    assert ("decided", "r1", 2, "1", '{"n":9}', None) == (
        told.result,
        told.request_id,
        told.version,
        told.state,
        told.intended,
        told.handler,
    )
    (effect,) = [effect for effect in write.effects if effect.event_id == told.event_id]
    assert ("UpdateCard", "message:om_1", "at_once", 0, "card") == (
        effect.kind,
        effect.target,
        effect.eligibility,
        effect.due_in_ms,
        effect.coalesce,
    )


def test_a_request_makes_a_card_known_that_nobody_clicked() -> None:
    """From then on there is something to hand to handlers."""
    (row,) = written(asked()).cards
    assert (1, None, '{"n":9}', None) == (row.version, row.state, row.content, row.newest_at)


def test_a_request_of_a_store_app_without_an_organisation_is_refused() -> None:
    """Nobody could say with whose access token it is to be done; with one it is."""
    asking = [asked(SendText("x", "oc_1"), card=None, request_id=key or "none", tenant_key=key) for key in ("", "t1")]
    draft = decide(
        take({0: records(asking)}), Known(now=NOW), {APP: counting()}, Direct(), callers=CALLERS, stores={APP}
    )
    told = decisions(draft.write({0: 0}, TOPICS, settle_ms=300))
    assert [("refused", NO_TENANT), ("decided", None)] == [(each.result, each.reason) for each in told]


def test_a_request_is_decided_once() -> None:
    """In the batch, or known to the ledger."""
    twice = written(asked(), asked())
    assert (1, 2) == (len(twice.claims), twice.moves[0].next)
    known = Known(now=NOW, claims={ClaimKey(APP, asked().event_id): "decided"})
    again = written(asked(), known=known)
    assert ([], [], []) == (again.claims, again.effects, again.outbox)


def test_what_has_no_address_goes_to_the_chat_of_the_card() -> None:
    """As our own send told it; else the platform is asked."""
    face = FaceRow(app_id=APP, message_id=CARD, chat_id=ChatId("oc_9"))
    text = asked(SHOWN, SendText("好"))
    known = written(text, known=Known(now=NOW, faces={CardKey(APP, CARD): face}))
    assert ["chat:oc_9", "chat-of:om_1"] == [write.effects[1].target for write in (known, written(text))]


def test_what_a_caller_may_not_ask_for_is_refused_whole() -> None:
    """No effect, no change of the card; the decision says why."""
    only_texts = Caller(name="billing", apps=frozenset({APP}), effects=frozenset({"SendText"}))
    elsewhere = Caller(name="billing", apps=frozenset(), effects=BILLING.effects)
    for caller, reason in (
        (only_texts, "the caller billing may not ask for UpdateCard"),
        (elsewhere, f"the caller billing may not ask in the name of app {APP}"),
    ):
        write = written(asked(SendText("x"), SHOWN), callers=Callers(by_name={"billing": caller}))
        assert [("refused", reason)] == [(told.result, told.reason) for told in decisions(write)]
        assert ([], [], []) == (write.effects, write.cards, write.dead_letters)


def test_what_this_worker_was_not_told_of_is_kept() -> None:
    """A caller or an app that the gateway knew: somebody's settings differ."""
    nobody = written(asked(), callers=Callers())
    (no_app,) = [written(asked(app_id="cli_unknown"))]
    assert [(REQUEST, UNKNOWN_CALLER), (REQUEST, UNKNOWN_APP)] == [
        (write.dead_letters[0].handler, write.dead_letters[0].reason) for write in (nobody, no_app)
    ]
    assert {"failed"} == {told.result for write in (nobody, no_app) for told in decisions(write)}


def test_a_request_of_ours_needs_no_settings() -> None:
    """The command line may ask for everything, a decision for updates of other cards alone."""
    results = {
        (caller, type(effect).__name__): decisions(written(asked(effect, caller=caller), callers=Callers()))[0].result
        for caller in ("cli", "worker")
        for effect in (SHOWN, SendText("x", "oc_1"))
    }
    assert {
        ("cli", "UpdateCard"): "decided",
        ("cli", "SendText"): "decided",
        ("worker", "UpdateCard"): "decided",
        ("worker", "SendText"): "refused",
    } == results


def test_a_request_updates_no_card_but_its_own() -> None:
    """Another one has another turn."""
    results = [
        decisions(written(asked(UpdateCard({}, other), card=own)))[0] for own, other in ((CARD, OTHER), (None, CARD))
    ]
    assert {"refused"} == {told.result for told in results}


def telling() -> App:
    """Return an app whose handler updates the clicked card and two others."""
    app = App()

    @app.on_action("follow_up")
    def follow_up(_click: Interaction, _card: Card | None) -> Decision:
        effects = [UpdateCard({"a": 1}, "om_2"), UpdateCard({"b": 1}, CARD), UpdateCard({"c": 1}, "om_3")]
        return Decision(effects=effects)

    return app


def handed_over(write: Write) -> list[RequestReceived]:
    """Return the requests that a write tells."""
    told = [decode(row.headers, row.value) for row in write.outbox if row.topic == TOPICS.interactions]
    return [event for event in told if isinstance(event, RequestReceived)]


def test_updates_of_other_cards_leave_as_requests_under_their_keys() -> None:
    """In the same transaction, before the decision that made them; the clicked card is updated here."""
    write = written(click("e1"), app=telling())
    requests = handed_over(write)
    assert [
        ("req/worker/e1/1", "om_2", (UpdateCard({"a": 1}, "om_2"),), NOW),
        ("req/worker/e1/3", "om_3", (UpdateCard({"c": 1}, "om_3"),), NOW),
    ] == [(each.event_id, each.message_id, each.effects, each.occurred_at) for each in requests]
    assert [f"{APP}:om_2", f"{APP}:om_3", f"{APP}:om_1"] == [row.key for row in write.outbox]
    (told,) = decisions(write)
    assert tuple(each.event_id for each in requests) == told.requests
    assert [(2, "message:om_1")] == [(effect.index, effect.target) for effect in write.effects]


def test_a_late_click_still_changes_other_cards() -> None:
    """It is late for its own card alone."""
    row = CardRow(app_id=APP, message_id=CARD, version=4, state=None, content=None, newest_at=NOW + LATE_MS + 1)
    write = written(click("e1"), app=telling(), known=Known(now=NOW, cards={CardKey(APP, CARD): row}))
    assert (["om_2", "om_3"], []) == ([each.message_id for each in handed_over(write)], list(write.effects))


def test_the_lists_are_against_a_request_that_they_do_not_allow() -> None:
    """Of a caller that is not there, or may not; never against our own, which is in no list."""
    assert not is_against(CALLERS, asked())
    assert is_against(Callers(), asked())
    assert is_against(CALLERS, asked(RenameChat("n")))
    assert not is_against(Callers(), asked(caller="worker"))
