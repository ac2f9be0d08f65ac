"""Calls that come back through the log: the user's own functions, and questions to the platform."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiohttp import web

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import CallResult
from shared.core.decision import Card, Decision
from shared.core.effects import Call, CallApi, Effect, FetchChat, FetchMessage, UpdateCard
from shared.core.errors import CallFailed
from shared.core.events import CallReturned
from shared.core.ids import MessageId
from shared.feishu.openapi import idempotency_key
from tests.scenario.handlers import BLANK, PATCH
from tests.support.dump import dump
from tests.support.world import Stack, World, clock_of_now, world
from tests.unit.worker.scripted_platform import endless, ok, refuse, scripted
from worker.performing.retry import MAX_ATTEMPTS

Publish = Callable[[Any, str], Any]


def publishing(publish: Publish, *, timeout_s: float = 5, attempts: int = 3) -> App:
    """Return handlers that publish, and that show what came of it on the card."""
    app = App()

    @app.call("publish", timeout_s=timeout_s, attempts=attempts)
    async def called(args: Any, *, idempotency_key: str) -> Any:
        came = publish(args, idempotency_key)
        return await came if asyncio.iscoroutine(came) else came

    @app.on_action("publish")
    def clicked(click: Interaction, card: Card | None) -> Decision:
        return Decision(effects=[Call("publish", {"n": click.value["n"]})], state={"stage": "publishing"})

    @app.on_result("publish")
    def published(result: CallResult, card: Card | None) -> Decision | None:
        if result.error is not None:
            return None
        stage = {"stage": "published", "was": card.state["stage"] if card else None, "by": result.operator.open_id}
        return Decision(effects=[UpdateCard({**BLANK, "url": result.value["url"]})], state=stage)

    return app


def asking(*effects: Effect) -> tuple[App, list[tuple[str, Any, str | None]]]:
    """Return handlers that ask, and what came back to them."""
    app, came = App(), list[tuple[str, Any, str | None]]()

    @app.on_action("ask")
    def ask(click: Interaction, card: Card | None) -> Sequence[Effect]:
        return effects

    for name in ("fetch_chat", "fetch_message", "anything"):

        @app.on_result(name, handler_name=f"heard {name}")
        def heard(result: CallResult, card: Card | None) -> None:
            came.append((result.name, result.value, result.error))

    return app, came


async def clicked(running: World, value: dict[str, Any]) -> tuple[str, str]:
    """Click a new card, wait until all is done, and return its chat and its message."""
    chat_id = await running.chat()
    message_id = running.simulator.put_card(chat_id, BLANK)
    await running.simulator.click(message_id, value, open_id="ou_ada")
    await running.quiet()
    return chat_id, message_id


async def returned(running: World) -> list[CallReturned]:
    """Return what came back, as the log has it."""
    events = await running.events(running.topics.interactions)
    return [event for event in events if isinstance(event, CallReturned)]


async def card_of(running: World, message_id: str) -> Any:
    """Return what the ledger has of a card."""
    (row,) = [row for row in (await dump(running.ledger.database)).cards if row["message_id"] == message_id]
    return row["version"], row["state"]


async def test_what_a_call_returns_is_decided_on_its_card(stack: Stack) -> None:
    """The click asks, the function does the work once, and the handler of the result changes the stored card."""
    calls: list[tuple[Any, str]] = []

    def publish(args: Any, key: str) -> Any:
        calls.append((args, key))
        return {"url": f"https://example.com/{args['n']}"}

    async with world(stack, publishing(publish)) as running:
        _, message_id = await clicked(running, {"action": "publish", "n": 7})
        (fact,) = await returned(running)
        key = idempotency_key(fact.app_id, fact.origin, 1)
        assert [({"n": 7}, key)] == calls
        assert (f"{fact.origin}/1/returned", message_id) == (fact.event_id, fact.message_id)
        assert (2, b'{"stage":"published","was":"publishing","by":"ou_ada"}') == await card_of(running, message_id)
        assert "https://example.com/7" in str(running.simulator.platform.messages[MessageId(message_id)])
        await running.check()


async def test_a_failed_call_changes_nothing(stack: Stack) -> None:
    """It is tried as often as its author says, with one key, and then its handler hears why."""
    keys: list[str] = []

    def publish(args: Any, key: str) -> Any:
        keys.append(key)
        raise RuntimeError("secret of a person")

    async with world(stack, publishing(publish, attempts=2)) as running:
        _, message_id = await clicked(running, {"action": "publish", "n": 1})
        (fact,) = await returned(running)
        assert (2, 1) == (len(keys), len(set(keys)))
        assert fact.error is not None
        assert fact.error.startswith("RuntimeError in publish (test_calls.py:")
        assert (2, b'{"stage":"publishing"}') == await card_of(running, message_id)
        assert [] == running.calls(PATCH)
        outcomes = [(each.status, each.final, each.reason, each.attempts) for each in await running.outcomes()]
        assert [("failed", False, "raised", 1), ("failed", True, "raised", 2)] == outcomes
        await running.check()


async def test_a_function_that_exits_in_a_task_fails_and_later_calls_are_made(either_ledger: Stack) -> None:
    """It uses up its attempts; neither the worker nor anybody's call ends with it."""

    async def exits() -> None:
        sys.exit("enough")

    async def publish(n: int) -> Any:
        if n == 1:
            await asyncio.gather(exits())
        return {"url": f"https://example.com/{n}"}

    app = publishing(lambda args, key: publish(args["n"]), attempts=2, timeout_s=1)
    async with world(either_ledger, app) as running:
        await clicked(running, {"action": "publish", "n": 1})
        _, message_id = await clicked(running, {"action": "publish", "n": 2})
        outcomes = [(each.status, each.final, each.reason, each.attempts) for each in await running.outcomes()]
        failed = [("failed", False, "raised", 1), ("failed", True, "raised", 2)]
        done = ("succeeded", True, None, 1)  # the second call, and its card
        assert [*failed, done, done] == sorted(outcomes, key=str)
        assert "https://example.com/2" in str(running.simulator.platform.messages[MessageId(message_id)])
        await running.check()


async def test_a_call_that_says_that_it_failed_is_not_tried_again(either_ledger: Stack) -> None:
    """Its own words come to the handler."""

    def publish(args: Any, key: str) -> Any:
        raise CallFailed("已被别人发布")

    async with world(either_ledger, publishing(publish)) as running:
        await clicked(running, {"action": "publish", "n": 1})
        assert ["已被别人发布"] == [fact.error for fact in await returned(running)]
        assert [("failed", "refused", 1)] == [(o.status, o.reason, o.attempts) for o in await running.outcomes()]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("x" * 65_536, "publish returned 65538 bytes: at most 65536"),
        (object(), "publish returned what is no JSON"),
        (float("nan"), "publish returned what is no JSON"),
    ],
)
async def test_what_cannot_come_back_is_told_so(either_ledger: Stack, value: Any, told: str) -> None:
    """The work is done, so the function is not called again."""
    async with world(either_ledger, publishing(lambda args, key: value)) as running:
        await clicked(running, {"action": "publish", "n": 1})
        assert [told] == [fact.error for fact in await returned(running)]
        assert [("failed", True, "unfit")] == [(o.status, o.final, o.reason) for o in await running.outcomes()]


async def test_a_call_that_hangs_is_ended_at_its_time(either_ledger: Stack) -> None:
    """It is cancelled there, and told as late."""
    ended: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append("cancelled")

    async with world(either_ledger, publishing(lambda args, key: hang(), timeout_s=0.05, attempts=1)) as running:
        await clicked(running, {"action": "publish", "n": 1})
        assert ["publish did not return within 0.05 s"] == [fact.error for fact in await returned(running)]
        assert ["cancelled"] == ended


async def test_a_worker_that_stops_in_a_call_leaves_it_to_the_next(either_ledger: Stack) -> None:
    """The function is called again, with the same key, at once."""
    keys: list[str] = []
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def publish(key: str) -> Any:
        keys.append(key)
        if len(keys) == 1:
            loop.call_soon_threadsafe(begun.set)
            await asyncio.sleep(600)
        return {"url": "https://example.com/again"}

    async with world(either_ledger, publishing(lambda args, key: publish(key), timeout_s=60), workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        async with running.worker():
            await running.simulator.click(message_id, {"action": "publish", "n": 1})
            await begun.wait()
        assert [] == await returned(running)
        async with running.worker():
            await running.quiet()
        assert (2, 1) == (len(keys), len(set(keys)))
        assert [None] == [fact.error for fact in await returned(running)]
        await running.check()


async def test_questions_to_the_platform_come_back(stack: Stack) -> None:
    """A message, and any call by its path; without an id, the clicked card is meant."""
    app, came = asking(FetchMessage(), CallApi("GET", "/open-apis/im/v1/messages/om_none", name="anything"))
    async with world(stack, app) as running:
        chat_id, message_id = await clicked(running, {"action": "ask"})
        heard = {name: (value, error) for name, value, error in came}
        value, error = heard["fetch_message"]
        assert (None, message_id, chat_id) == (error, value["items"][0]["message_id"], value["items"][0]["chat_id"])
        nothing, why = heard["anything"]
        assert nothing is None
        assert why is not None
        assert why.startswith("platform_refused (code ")
        await running.check()


async def test_a_call_that_never_takes_our_token_ends_and_holds_up_no_card(either_ledger: Stack) -> None:
    """Eight times, with a fresh token each; the handler hears why nothing comes, and cards are updated meanwhile."""
    app, came = asking(CallApi("GET", "/open-apis/authen/v1/user_info", name="anything"))

    @app.on_action("update")
    def update(click: Interaction, card: Card | None) -> Sequence[Effect]:
        return [UpdateCard(BLANK)]

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (refuse(99991663) if "authen" in request.path else ok())(request)

    clock = clock_of_now()
    async with scripted(answer) as platform, world(either_ledger, app, clock=clock, workers=0) as running:
        cards = [running.simulator.put_card(await running.chat(), BLANK) for _ in range(2)]
        async with running.worker({"LARK_DOMAIN": platform.url}):
            await running.simulator.click(cards[0], {"action": "ask"})
            await running.until(lambda: len(platform.calls) > 0)
            began = clock.now()
            await running.simulator.click(cards[1], {"action": "update"})
            await running.until(lambda: any("messages" in call.path for call in platform.calls))
            assert clock.now() - began < 2_000
            await running.quiet()
        (told,) = [one for one in await running.outcomes() if one.kind == "CallApi" and one.final]
        assert ("failed", "out_of_attempts", MAX_ATTEMPTS) == (told.status, told.reason, told.attempts)
        assert [("anything", None)] == [(name, value) for name, value, _ in came]
        assert 2 * MAX_ATTEMPTS == len([call for call in platform.calls if "authen" in call.path])


async def test_a_call_whose_answer_is_too_long_to_read_is_made_once(either_ledger: Stack) -> None:
    """It was done, and would be done again each time; the handler hears why nothing comes."""
    app, came = asking(CallApi("POST", "/open-apis/im/v1/messages/om_1/reactions", body={}, name="anything"))
    async with scripted(endless) as platform, world(either_ledger, app, workers=0) as running:
        async with running.worker({"LARK_DOMAIN": platform.url}):
            await clicked(running, {"action": "ask"})
        assert ["POST"] == [call.method for call in platform.calls]
        told = [(one.status, one.final, one.reason, one.attempts) for one in await running.outcomes()]
        assert [("failed", True, "too_large", 1)] == told
        assert [(None, "too_large (code None, HTTP 200, log id None)")] == [(value, error) for _, value, error in came]


async def test_a_chat_is_fetched_from_where_the_card_is(either_ledger: Stack) -> None:
    """The callback says which chat that is."""
    app, came = asking(FetchChat())
    async with world(either_ledger, app) as running:
        chat_id, _ = await clicked(running, {"action": "ask"})
        assert [chat_id] == [call.target for call in running.calls("im.v1.chat.get")]
        assert [("fetch_chat", "支付告警", None)] == [(name, value["name"], error) for name, value, error in came]


async def test_a_call_of_a_name_that_nobody_registered_fails_its_handler(either_ledger: Stack) -> None:
    """A misspelt name would do nothing, silently."""
    app = App()

    @app.on_action("publish")
    def misspelt(click: Interaction, card: Card | None) -> list[Call]:
        return [Call("publsh")]

    async with world(either_ledger, app) as running:
        await clicked(running, {"action": "publish"})
        (decided,) = await running.decisions()
        assert decided.reason is not None
        assert decided.reason.endswith('returned Call that nobody takes: expected one under @app.call("publsh")')
