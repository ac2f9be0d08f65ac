"""Recorded stories: joined from both topics, in order of time, with what is not there."""

from collections.abc import Sequence
from typing import Any

import pytest

from shared.core.events import Action, Operator
from shared.core.ids import OpenId
from shared.core.json_text import json_text
from shared.eventlog.port import TOPICS
from tests.support.facts import APP, CARD, CHAT
from tests.support.recorded import Recorded, honest, show
from worker.history.gaps import gaps
from worker.history.moments import Moment
from worker.history.replay import Wish, replay

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
