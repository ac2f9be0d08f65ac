"""Recorded stories: joined from both topics, in order of time, with what is not there."""

from collections.abc import Sequence
from typing import Any

import pytest

from shared.core.effects import (
    RenameChat,
    Reply,
    Requestable,
    SendCard,
    SendEphemeral,
    SendText,
    StoredEffect,
    UpdateCard,
    UpdateChat,
)
from shared.core.events import (
    COMMAND_LINE,
    Action,
    CardSeen,
    Operator,
    PlannedEffect,
    RequestReceived,
    request_event_id,
)
from shared.core.ids import ChatId, MessageId, OpenId, Target
from shared.core.json_text import json_text
from shared.core.targets import chat_of_message_target, chat_target, user_target
from shared.eventlog.port import TOPICS
from tests.support.facts import APP, CARD, CHAT, TENANT
from tests.support.recorded import Recorded, honest, show
from worker.history.gaps import gaps
from worker.history.moments import Moment
from worker.history.replay import replay
from worker.history.wish import Wish

SECRET = "what-nobody-is-to-see"


async def told(recorded: Recorded, wish: Wish, *, with_values: bool = False) -> list[Sequence[Moment]]:
    """Return the stories that are told."""
    found = await replay(await recorded.log(), TOPICS, wish, with_values=with_values)
    try:
        return list(found.stories())
    finally:
        found.close()


def _events(stories: list[Sequence[Moment]]) -> set[str]:
    return {moment.event_id for story in stories for moment in story}


async def test_an_event_is_told_from_its_click_to_its_effect() -> None:
    """In order of time, each moment once, however often it was recorded."""
    (story,) = await told(honest(), Wish(event_id="retried"))
    assert ["received", "answered", "decided", "outcome", "outcome"] == [moment.what for moment in story]
    received, _, decided, failed, done = (moment.facts for moment in story)
    assert ("card_action", "ou_1", CHAT) == (received["kind"], received["open_id"], received["chat_id"])
    assert ("decided", "follow_up", 2) == (decided["result"], decided["handler"], decided["version"])
    assert [{"index": 1, "kind": "UpdateCard", "target": "message:om_1"}] == decided["effects"]
    assert [("failed", 1), ("succeeded", 2)] == [(one["status"], one["outcome"]) for one in (failed, done)]
    assert [] == gaps(story)


@pytest.mark.parametrize(
    ("wish", "events"),
    [
        (Wish(message_id="om_once"), {"w1", "w2"}),
        (Wish(message_id="om_once", app_id=APP), {"w1", "w2"}),
        (Wish(message_id="om_once", app_id="cli_other"), set()),
        (Wish(person="ou_2"), {"w2", "u2", "q2"}),
        (Wish(person="ou_2", message_id="om_each"), {"u2"}),
        (Wish(event_id="approval"), {"approval", "approval/1/returned"}),
        (Wish(event_id="approval/1/returned"), {"approval/1/returned"}),
        (Wish(event_id="nobody"), set()),
        (Wish(request_id="r-1"), {"asked"}),
    ],
)
async def test_only_what_is_meant_is_told(wish: Wish, events: set[str]) -> None:
    """By card, person, event or request, and by all of them together."""
    recorded = honest()
    recorded.decide(recorded.click("asked", request_id="r-1"), version=12)
    assert events == _events(await told(recorded, wish))


async def test_a_span_of_time_is_that_of_what_came_in() -> None:
    """With what became of it later; the end does not belong to it."""
    recorded = honest()
    first = next(one for one in recorded.interactions if one.event_id == "older")
    last = next(one for one in recorded.interactions if one.event_id == "unanswered")
    since, until = (getattr(one, "received_at") for one in (first, last))  # noqa: B009 - of any kind of input
    stories = await told(recorded, Wish(since=since, until=until))
    assert {"older", "newer"} == _events(stories)
    assert 2 == sum(moment.what == "outcome" for story in stories for moment in story)


THERE = ChatId("oc_there")


def ask(recorded: Recorded, request_id: str, *effects: Requestable) -> RequestReceived:
    """Record a request, a step after what was before it."""
    recorded.at += 10_000
    asked = RequestReceived(
        event_id=request_event_id(COMMAND_LINE, request_id), app_id=APP, tenant_key=TENANT, caller=COMMAND_LINE,
        request_id=request_id, effects=effects, occurred_at=recorded.at, received_at=recorded.at,
    )  # fmt: skip
    recorded.interactions.append(asked)
    return asked


def planned(effect: StoredEffect, target: Target) -> PlannedEffect:
    """Return a plan of one effect."""
    return PlannedEffect(index=1, target=target, order=0, effect=effect)


@pytest.mark.parametrize(
    ("effect", "is_told"),
    [
        (SendCard({}, to=THERE), True),
        (SendText("done", to=THERE), True),
        (RenameChat("done", chat_id=THERE), True),
        (UpdateChat(name="done", chat_id=THERE), True),
        (SendEphemeral({}, to="ou_1", chat_id=THERE), True),
        (SendText("done", to=CHAT), False),
        (SendText(f"done in {THERE}", to="ou_1"), False),
        (UpdateCard({"said": THERE}), False),
        (Reply(text=THERE, message_id="om_7"), False),
    ],
)
async def test_a_chats_story_has_what_was_asked_for_in_it(effect: Requestable, *, is_told: bool) -> None:
    """Also while nobody has decided it; what merely says the chat's name is not meant."""
    recorded = honest()
    asked = ask(recorded, "r-1", SendText("first", to="ou_1"), effect)
    stories = await told(recorded, Wish(chat_id=THERE))
    assert ({asked.event_id} if is_told else set()) == _events(stories)


async def test_a_chats_story_has_what_cardwire_did_there() -> None:
    """Whatever that came of, from its beginning to its end; the same of other chats is not told."""
    recorded = honest()
    sent = recorded.decide(ask(recorded, "sent"), planned(SendCard({}), chat_target(THERE)))
    recorded.come(sent, 1, sent_message_id=MessageId("om_new"), sent_at=recorded.at, chat_id=THERE)
    clicked = recorded.click("elsewhere", message_id="om_2", chat_id=ChatId("oc_2"))
    recorded.come(recorded.decide(clicked, planned(RenameChat("done"), chat_target(THERE)), version=1), 1)
    alone = recorded.decide(ask(recorded, "to-ada"), planned(SendText("done"), user_target("ou_1")))
    recorded.come(alone, 1, sent_message_id=MessageId("om_5"), sent_at=recorded.at, chat_id=THERE)
    found = recorded.click("found-there", message_id="om_3", chat_id=None)
    moved = recorded.decide(found, planned(SendText("done"), chat_of_message_target(MessageId("om_3"))))
    recorded.come(moved, 1, target=chat_target(THERE))
    recorded.decide(recorded.click("lies-there", message_id="om_4", chat_id=None), seen=CardSeen(chat_id=THERE))
    other = recorded.decide(ask(recorded, "other"), planned(SendText(THERE), chat_target(ChatId("oc_2"))))
    recorded.come(other, 1, chat_id=ChatId("oc_2"))
    stories = await told(recorded, Wish(chat_id=THERE))
    assert {"req/cli/sent", "elsewhere", "req/cli/to-ada", "found-there", "lies-there"} == _events(stories)
    (story,) = (one for one in stories if one[0].event_id == "elsewhere")
    assert ["received", "answered", "decided", "outcome"] == [moment.what for moment in story]
    (story,) = (one for one in stories if one[0].event_id == "req/cli/sent")
    assert ["requested", "decided", "outcome"] == [moment.what for moment in story]


async def test_a_chats_story_goes_by_the_other_wishes_too() -> None:
    """What reaches the chat, and came in at that time, of that person."""
    recorded = Recorded()
    for event, who in (("early", "ou_1"), ("hers", "ou_2"), ("his", "ou_1")):
        clicked = recorded.click(event, chat_id=ChatId("oc_2"), operator=Operator(open_id=OpenId(who)))
        recorded.decide(clicked, planned(SendText("done"), chat_target(THERE)))
    since = recorded.at - 15_000
    assert {"hers", "his"} == _events(await told(recorded, Wish(chat_id=THERE, since=since)))
    assert {"his"} == _events(await told(recorded, Wish(chat_id=THERE, since=since, person="ou_1")))
    assert set() == _events(await told(recorded, Wish(chat_id=THERE, app_id="cli_other")))


async def test_a_chats_story_has_what_was_done_there_when_what_asked_for_it_is_gone() -> None:
    """Retention takes inputs and outcomes apart."""
    recorded = Recorded()
    for event, chat_id in (("there", THERE), ("elsewhere", CHAT)):
        clicked = recorded.click(event, chat_id=ChatId("oc_2"))
        recorded.come(recorded.decide(clicked, planned(SendText("done"), chat_target(chat_id))), 1, chat_id=chat_id)
    event_log = await recorded.log()
    for partition, span in (await event_log.spans(TOPICS.interactions)).items():
        event_log.forget(TOPICS.interactions, partition, before=span.end)
    found = await replay(event_log, TOPICS, Wish(chat_id=THERE))
    (story,) = found.stories()
    found.close()
    assert [("there", "decided"), ("there", "outcome")] == [(one.event_id, one.what) for one in story]


@pytest.mark.parametrize("given", ["ou_9", "ada", "on_9"])
async def test_a_person_is_known_by_any_of_three_ids(given: str) -> None:
    """Open, user and union id; nobody else's clicks are told."""
    recorded = honest()
    ada = Operator(open_id=OpenId("ou_9"), user_id="ada", union_id="on_9")
    recorded.click("hers", operator=ada)
    assert {"hers"} == _events(await told(recorded, Wish(person=given)))


async def test_what_a_program_asked_for_is_told_by_its_name() -> None:
    """As a person's clicks are by an id."""
    recorded = honest()
    asked = ask(recorded, "r-1", SendText("done", to=CHAT))
    assert {asked.event_id} == _events(await told(recorded, Wish(person=COMMAND_LINE)))


async def test_every_card_is_a_story_of_its_own() -> None:
    """And so is each interaction without a card, with what came back of it."""
    stories = await told(honest(), Wish())
    assert {"om_1", "om_once", "om_each", "om_quorum", None} == {story[0].message_id for story in stories}
    assert all([moment.at for moment in story] == sorted(moment.at for moment in story) for story in stories)
    (event,) = (story for story in stories if story[0].message_id is None)
    assert {"approval", "approval/1/returned"} == {moment.event_id for moment in event}


def _typed(recorded: Recorded) -> None:
    action = Action(tag="input", value=json_text({"n": SECRET}), form_value=json_text({"why": SECRET}))
    clicked = recorded.click(
        "typed", action=action, card_token="c-not-a-real-token-0000", operator=Operator(open_id=OpenId("ou_9"))
    )
    recorded.decide(clicked, show(card=SECRET), version=12, state=json_text({"why": SECRET}))


def _as_text(stories: Any) -> str:
    return repr(stories)


async def test_nothing_that_was_typed_is_told_unless_it_is_asked_for() -> None:
    """Neither values nor cards nor states; a token never."""
    recorded = honest()
    _typed(recorded)
    silent = await told(recorded, Wish(person="ou_9"))
    assert SECRET not in _as_text(silent)
    spoken = await told(recorded, Wish(person="ou_9"), with_values=True)
    assert {"n": SECRET} == spoken[0][0].values["value"]
    assert SECRET in str(spoken[0][-1].card)
    assert "c-not-a-real-token-0000" not in _as_text(spoken)


async def test_what_is_missing_is_told() -> None:
    """Not decided, nothing become of it, versions in between, and what is older than the log."""
    recorded = honest()
    recorded.click("waits")
    recorded.decide(recorded.click("unfinished"), show(), version=20)
    (story,) = await told(recorded, Wish(message_id=CARD))
    lacking = {(gap.event_id, gap.text) for gap in gaps(story)}
    assert {
        ("waits", "not decided: not yet, or it repeats another one, or it was put aside"),
        ("unfinished", "UpdateCard 1: nothing has become of it yet"),
        ("unfinished", "versions 12 to 19 of the card before it: not told here"),
    } <= lacking
    recorded.interactions = [one for one in recorded.interactions if one.event_id != "retried"]
    event_log = await recorded.log()
    for partition, span in (await event_log.spans(TOPICS.interactions)).items():
        if span.end > 20:
            event_log.forget(TOPICS.interactions, partition, before=10)
    found = await replay(event_log, TOPICS, Wish(message_id=CARD))
    (rest,) = found.stories()
    found.close()
    assert ("retried", "how it came in is not in the log any more") in {(one.event_id, one.text) for one in gaps(rest)}
