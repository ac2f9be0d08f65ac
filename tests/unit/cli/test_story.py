import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from cardwire.cli.story import NotPlayed, Seen, Step, Story
from shared.core.cards import Toast
from shared.core.codec import encode
from shared.core.effects import RenameChat, SendText, UpdateCard
from shared.core.events import (
    Answer,
    Decided,
    EffectOutcome,
    Event,
    InteractionAnswered,
    InteractionReceived,
    Operator,
    OutcomeStatus,
    PlannedEffect,
)
from shared.core.ids import AppId, EventId, MessageId, OpenId, Target, TenantKey
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord, Topics

CARD = {
    "header": {"title": {"tag": "plain_text", "content": "待处理"}},
    "elements": [{"tag": "action", "actions": [{"tag": "button", "value": {"action": "follow_up"}}]}],
}
CLICK = EventId("e1")
WHOSE: Any = {
    "event_id": CLICK,
    "app_id": AppId("cli_a"),
    "tenant_key": TenantKey("t"),
    "message_id": MessageId("om_1"),
}
RECEIVED = InteractionReceived(
    **WHOSE,
    kind="card_action",
    operator=Operator(open_id=OpenId("ou_ada")),
    answer=Answer(rule="follow_up", toast=Toast.info("好")),
    occurred_at=1_000,
    received_at=1_004,
)
ANSWERED = InteractionAnswered(**WHOSE, answered_at=1_009)


def _decided(*effects: RenameChat | UpdateCard | SendText) -> Decided:
    planned = [
        PlannedEffect(index=index, target=Target("chat:oc_1"), order=index, effect=effect)
        for index, effect in enumerate(effects, start=1)
    ]
    return Decided(
        **WHOSE, partition=0, offset=0, result="decided", handler="follow_up", occurred_at=1_000, decided_at=1_014,
        effects=tuple(planned),
    )  # fmt: skip


def _outcome(index: int, status: OutcomeStatus = "succeeded", *, after: int, kind: str = "RenameChat") -> EffectOutcome:
    return EffectOutcome(
        **WHOSE, index=index, k=1, kind=kind, target=Target("chat:oc_1"), status=status, finished_at=1_000 + after,
        reason=None if status == "succeeded" else "no_chat",
    )  # fmt: skip


@pytest.fixture
def topics() -> Topics:
    """Return the names that the demo's log has."""
    return Topics()


class Stage:
    """A log to write to, and the story that is read from it."""

    def __init__(self, topics: Topics, session: aiohttp.ClientSession) -> None:
        self.topics = topics
        self.log = MemoryLog()
        self.story = Story(
            session=session, event_log=self.log, topics=topics, chat_id="oc_1", message_id="om_1", card=CARD
        )

    async def tell(self, *events: Event) -> None:
        """Append facts where they belong."""
        for event in events:
            is_input = isinstance(event, InteractionReceived | InteractionAnswered)
            topic = self.topics.interactions if is_input else self.topics.outcomes
            await self.log.append([NewRecord.of(topic, encode(event))])


@pytest.fixture
async def stage(topics: Topics) -> Any:
    """Yield a stage without a platform."""
    async with aiohttp.ClientSession("http://127.0.0.1:1") as session:
        yield Stage(topics, session)


def _step(after_ms: int, what: str, detail: str) -> Step:
    return Step(event_id=CLICK, after_ms=after_ms, what=what, detail=detail)


async def test_a_click_is_told_from_the_records_in_ms_since_the_click(stage: Stage) -> None:
    """Received, answered, decided, updated: each with what people understand."""
    await stage.tell(RECEIVED, ANSWERED, _decided(RenameChat("跟进中"), UpdateCard(CARD)))
    await stage.tell(_outcome(2, after=384, kind="UpdateCard"), _outcome(1, after=70))
    await stage.story.until_told(5)
    expected = [
        _step(0, "clicked", "by ou_ada"),
        _step(4, "received", "event e1"),
        _step(9, "answered", "好"),
        _step(14, "decided", "follow_up: RenameChat, UpdateCard"),
        _step(70, "updated", "RenameChat 跟进中"),
        _step(384, "updated", "UpdateCard 待处理"),
    ]
    assert expected == stage.story.steps()
    assert [] == list(stage.story.missing())


async def test_nobody_waits_for_what_has_ended_badly(stage: Stage) -> None:
    """A story is whole when every effect is at its end, whichever; so is one in which nothing was decided."""
    await stage.tell(RECEIVED, ANSWERED, _decided(SendText("hello")), _outcome(1, "refused", after=20, kind="SendText"))
    async with asyncio.timeout(5):
        await stage.story.until_told(60)
    assert ["the log does not say that the click was updated"] == list(stage.story.missing())


async def test_a_failed_attempt_is_not_the_end(stage: Stage) -> None:
    """Another one follows, and is waited for."""
    await stage.tell(RECEIVED, ANSWERED, _decided(SendText("hello")))
    await stage.tell(msgspec.structs.replace(_outcome(1, "failed", after=20, kind="SendText"), final=False))
    reading = asyncio.create_task(stage.story.until_told(60))
    await asyncio.sleep(0.1)
    assert not reading.done()
    await stage.tell(msgspec.structs.replace(_outcome(1, after=90, kind="SendText"), k=2))
    async with asyncio.timeout(5):
        await reading
    assert [] == list(stage.story.missing())


async def test_nothing_is_told_twice(stage: Stage) -> None:
    """Following a running demo shows what is new."""
    await stage.tell(RECEIVED)
    assert ["clicked", "received"] == [step.what for step in await stage.story.news()]
    await stage.tell(ANSWERED)
    assert ["answered"] == [step.what for step in await stage.story.news()]
    assert [] == list(await stage.story.news())


async def test_patience_has_an_end_and_what_is_missing_is_named(stage: Stage) -> None:
    """A demo that does not work says what did not happen, within a bound."""
    await stage.tell(RECEIVED, ANSWERED)
    await stage.story.until_told(0.05)
    expected = ["the log does not say that the click was decided", "the log does not say that the click was updated"]
    assert expected == list(stage.story.missing())


async def test_an_effect_that_did_not_succeed_says_why(stage: Stage) -> None:
    """Its status stands in the place of the update."""
    await stage.tell(RECEIVED, _decided(SendText("hello")), _outcome(1, "refused", after=20, kind="SendText"))
    assert _step(20, "refused", "SendText hello no_chat") in await stage.story.news()


def test_what_people_see_is_compared_with_what_they_should() -> None:
    """Card and chat are both looked at."""
    assert [] == list(Seen(card=("a", "x"), chat=("b", "x")).missing("x"))
    told = list(Seen(card=("a", "a"), chat=("b", "x")).missing("x"))
    assert ["the card still reads a, expected x"] == told


async def test_a_refusal_of_the_simulator_is_told(aiohttp_server: Any) -> None:
    """Which call, which status, what it said."""

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": "there is no chat"}, status=404)

    application = web.Application()
    application.router.add_post("/_sim/chats", refuse)
    server = await aiohttp_server(application)
    async with aiohttp.ClientSession(server.make_url("/")) as session:
        with pytest.raises(
            NotPlayed, match=r'the simulator answered 404 to /_sim/chats: \{"error": "there is no chat"\}'
        ):
            await Story.begin(session, MemoryLog(), chat="x", card=CARD)
