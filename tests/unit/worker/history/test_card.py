"""One card's story from the log alone: what the fold says of it, with what lies under the key of whoever sent it."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.core.effects import Reply, SendCard, SendText, StoredEffect
from shared.core.events import (
    COMMAND_LINE,
    OURSELVES,
    CardSeen,
    Decided,
    InteractionReceived,
    PlannedEffect,
    RequestReceived,
    request_event_id,
    successor_request_id,
)
from shared.core.ids import AppId, ChatId, EventId, MessageId
from shared.core.races import Standing
from shared.core.targets import chat_target
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import TOPICS
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from tests.support.facts import APP, CARD, CHAT, NOW, TENANT, redrive
from tests.support.recorded import SETTLE, Recorded, answer, of_event, rename, show
from worker.history.card import logged_of_card
from worker.history.card_folded import history_of
from worker.history.card_history import CardHistory

SENT = MessageId("om_sent")
OF_2 = {"schema": "2.0", "body": {"elements": []}}


async def story(
    recorded: Recorded | MemoryLog, card: MessageId = CARD, *, now: int = NOW, last: int = 100, app: AppId | None = None
) -> CardHistory | None:
    """Return the card's story, if the log knows the card."""
    event_log = recorded if isinstance(recorded, MemoryLog) else await recorded.log()
    by_app = await logged_of_card(event_log, TOPICS, card, app_id=app)
    if not by_app:
        return None
    ((app_id, logged),) = by_app.items()
    return history_of(app_id, card, logged, now=now, last=last, settle_ms=SETTLE)


async def told(recorded: Recorded | MemoryLog, card: MessageId = CARD, **given: Any) -> CardHistory:
    """Return the story of a card that is known."""
    history = await story(recorded, card, **given)
    assert history is not None
    return history


def ask(recorded: Recorded, request_id: str, caller: str = COMMAND_LINE, **fields: Any) -> RequestReceived:
    """Record a request."""
    given: dict[str, Any] = {"effects": (), **fields}
    asked = RequestReceived(
        event_id=request_event_id(caller, request_id), app_id=APP, tenant_key=TENANT, caller=caller,
        request_id=request_id, occurred_at=recorded.at, received_at=recorded.at, **given,
    )  # fmt: skip
    recorded.interactions.append(asked)
    return asked


def to_chat(effect: StoredEffect, index: int = 1) -> PlannedEffect:
    """Return a plan to send something to the chat."""
    return PlannedEffect(index=index, target=chat_target(CHAT), order=0, effect=effect)


def send(recorded: Recorded, effect: StoredEffect, request_id: str = "r-1") -> Decided:
    """Record that a request sent a message to the chat, at the second attempt."""
    decided = recorded.decide(ask(recorded, request_id), to_chat(effect), handler=None)
    recorded.come(decided, 1, "failed", final=False, reason="rate_limit")
    recorded.come(decided, 1, sent_message_id=SENT, sent_at=NOW + 5, chat_id=CHAT)
    return decided


@pytest.mark.parametrize("app", [None, APP])
async def test_a_card_that_cardwire_sent_has_its_age_from_the_senders_outcome(app: AppId | None) -> None:
    """It lies under the sender's key, in whatever partition; nobody need have clicked the card."""
    recorded = Recorded()
    send(recorded, SendCard(OF_2))
    history = await told(recorded, SENT, app=app)
    assert (NOW + 5, "2.0", CHAT, 0) == (history.sent_at, history.card_format, history.chat_id, history.version)
    assert ([], []) == (list(history.inputs), list(history.effects))


async def test_clicks_that_show_nothing_leave_a_sent_card_its_age() -> None:
    """Ignored, refused or failed: no outcome is under the card's own key then."""
    recorded = Recorded()
    send(recorded, SendCard(OF_2))
    for result in ("ignored", "refused", "failed"):
        recorded.decide(recorded.click(result, message_id=SENT), result=result, handler=None, reason="expired")
    history = await told(recorded, SENT)
    assert (NOW + 5, "2.0") == (history.sent_at, history.card_format)
    assert ["ignored", "refused", "failed"] == [one.result for one in history.inputs]


async def test_what_is_shown_since_says_how_a_card_is_written() -> None:
    """Also of a card that somebody else sent, whose age stays unknown."""
    recorded = Recorded()
    painted = recorded.decide(recorded.click("e1"), show(), version=1)
    recorded.come(painted, 1, shown="0" * 64, shown_order=1, card_format="2.0")
    history = await told(recorded)
    assert (None, "2.0") == (history.sent_at, history.card_format)


@pytest.mark.parametrize(
    ("effect", "is_card"),
    [
        (SendCard({"elements": []}), True),
        (Reply(card={"elements": []}), True),
        (SendText("done"), False),
        (Reply(text="done"), False),
    ],
)
async def test_a_text_that_was_sent_is_no_card(effect: StoredEffect, *, is_card: bool) -> None:
    """The ledger knows of none either."""
    recorded = Recorded()
    send(recorded, effect)
    history = await story(recorded, SENT)
    assert is_card == (history is not None)


async def test_a_send_whose_decision_is_gone_tells_when_but_not_how() -> None:
    """Retention takes the decision a moment before its outcome: how the card was written is not known then."""
    recorded = Recorded()
    decided = send(recorded, SendCard(OF_2))
    recorded.decide(recorded.click("e1", message_id=SENT), result="ignored", handler=None)
    recorded.outcomes.remove(decided)
    history = await told(recorded, SENT)
    assert (NOW + 5, None, CHAT) == (history.sent_at, history.card_format, history.chat_id)
    text = Recorded()
    text.outcomes.remove(send(text, SendText("done")))
    assert await story(text, SENT) is None


async def test_a_send_that_is_gone_altogether_is_told_as_handlers_saw_it() -> None:
    """Of a card that is older than the log."""
    recorded = Recorded()
    seen = CardSeen(version=3, chat_id=ChatId("oc_2"), sent_at=NOW - 9)
    recorded.decide(recorded.click("e1", chat_id=None), show(), version=4, seen=seen)
    history = await told(recorded)
    assert (NOW - 9, "oc_2", None) == (history.sent_at, history.chat_id, history.card_format)


async def test_a_successor_that_was_sent_at_the_second_attempt_is_told() -> None:
    """The first outcome of its sending names no message."""
    recorded = Recorded()
    asked = ask(recorded, successor_request_id(CARD), OURSELVES, message_id=CARD)
    decided = recorded.decide(asked, to_chat(SendCard(OF_2)), handler=None)
    recorded.come(decided, 1, "failed", final=False, reason="rate_limit")
    recorded.come(decided, 1, sent_message_id=SENT, sent_at=NOW + 5, chat_id=CHAT)
    assert SENT == (await told(recorded)).successor
    assert ("2.0", None) == ((await told(recorded, SENT)).card_format, (await told(recorded, SENT)).successor)


async def test_a_card_that_nobody_knows_has_no_story() -> None:
    """Neither of any app nor of another one."""
    recorded = Recorded()
    recorded.click("e1")
    assert await story(recorded, MessageId("om_unknown")) is None
    assert await story(recorded, CARD, app=AppId("cli_other")) is None


async def test_a_race_is_told_in_the_order_of_versions() -> None:
    """Whatever the clock said when they were decided."""
    recorded = Recorded()
    for version, who in ((1, "ou_a"), (2, "ou_b")):
        recorded.decide(recorded.click(f"e{version}"), version=version, voters=(who,), decided_at=NOW - version)
    assert {"follow_up": Standing(voters=("ou_a", "ou_b"))} == (await told(recorded)).races  # type: ignore[arg-type]


async def test_clicks_and_their_effects_are_told_in_log_order() -> None:
    """The newest, oldest first; of an effect the newest outcome, however often it was told."""
    recorded = Recorded()
    for version in (1, 2, 3):
        decided = recorded.decide(recorded.click(f"e{version}"), show(), rename(), version=version)
        recorded.come(decided, 1, "failed", final=False, reason="rate_limit", retry_at=recorded.at + 7)
    recorded.come(of_event(recorded, "e3"), 2, chat_id=CHAT)
    recorded.outcomes += recorded.outcomes
    history = await told(recorded, last=2)
    assert (3, ["e2", "e3"], 1) == (history.version, [one.event_id for one in history.inputs], history.older)
    effects = [(one.event_id, one.kind, one.status, one.k) for one in history.effects]
    assert [
        ("e2", "UpdateCard", "pending", 1),
        ("e2", "RenameChat", "pending", 0),
        ("e3", "UpdateCard", "pending", 1),
        ("e3", "RenameChat", "succeeded", 1),
    ] == effects
    assert recorded.at + 7 == history.effects[2].due


async def _due(recorded: Recorded, planned: PlannedEffect, clicked: InteractionReceived) -> int:
    recorded.decide(clicked, planned, decided_at=NOW)
    ((effect),) = (await told(recorded)).effects
    return effect.due - NOW


@pytest.mark.parametrize(
    ("planned", "delivered", "waits"),
    [
        (rename(1), None, 0),
        (show(), None, 3_000),
        (show(), True, 50 + SETTLE),
        (show(), False, 50 + SETTLE),
        (answer(), True, 50),
        (answer(), False, 50 + SETTLE),
        (replace(rename(1), due=NOW + 9_000), None, 9_000),
    ],
)
async def test_what_waits_is_due_when_it_may_start(
    planned: PlannedEffect, *, delivered: bool | None, waits: int
) -> None:
    """By the rule that all go by (shared/core/eligibility.py), as far as the log tells of marks."""
    recorded = Recorded(at=NOW - 10_000)
    clicked = recorded.click("e1", answered=delivered is not None, delivered=bool(delivered))
    if delivered is not None:
        recorded.interactions[-1] = replace(recorded.interactions[-1], answered_at=NOW + 50)
    assert waits == await _due(recorded, planned, clicked)


async def test_rights_are_told_with_what_is_left_of_them() -> None:
    """Of clicks that brought one that something may need, until it lapses; the least that was told is true."""
    recorded = Recorded()
    alone = replace(show(), audience="ou_1")
    for event, token in (("used", "c-1"), ("unused", "c-2"), ("without", None)):
        decided = recorded.decide(recorded.click(event, card_token=token, received_at=NOW), alone)
        if event == "used":
            recorded.come(decided, 1, "failed", final=False, uses_left=1)
            recorded.come(decided, 1, uses_left=0)
    recorded.decide(recorded.click("needless", card_token="c-4", received_at=NOW), show())
    history = await told(recorded, now=NOW + CARD_TOKEN_VALID_MS - 1)
    assert [("used", "card", 0), ("unused", "card", 2)] == [
        (one.event_id, one.kind, one.uses_left) for one in history.tokens
    ]
    assert [] == list((await told(recorded, now=NOW + CARD_TOKEN_VALID_MS)).tokens)


async def test_dead_letters_are_told_until_they_are_redriven() -> None:
    """By the name that stands for a handler where there was none."""
    recorded = Recorded()
    failed = recorded.click("failed")
    recorded.decide(failed, result="failed", reason="deadline", handler=None, parks=True)
    (letter,) = (await told(recorded)).letters
    assert ("failed", "(routing)", "deadline", True) == (letter.event_id, letter.handler, letter.reason, letter.parks)
    wish = redrive("failed", 1)
    recorded.interactions.append(wish)
    recorded.decide(failed, of=wish)
    history = await told(recorded)
    assert ([], 1) == (list(history.letters), history.inputs[0].redrive)
    assert of_event(recorded, "failed").decided_at == history.inputs[0].decided_at


async def test_an_app_has_its_own_story_of_a_card() -> None:
    """Of several that know it."""
    recorded = Recorded()
    recorded.click("e1")
    recorded.click("e2", app_id=AppId("cli_other"))
    by_app = await logged_of_card(await recorded.log(), TOPICS, CARD)
    assert {APP, "cli_other"} == by_app.keys()
    assert {EventId("e2")} == {one.event.event_id for one in by_app[AppId("cli_other")]}
