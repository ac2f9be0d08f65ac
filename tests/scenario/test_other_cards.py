"""A click on one card changes another one: in that card's turn, once."""

import asyncio
import json
from typing import Any

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import UpdateCard
from shared.core.events import RequestReceived
from tests.scenario.handlers import BLANK
from tests.scenario.test_events import pushed
from tests.support.world import Stack, World, world


def app_of_two_cards() -> App:
    """Return the handlers ``count``, which counts on its card, and ``tell``, which shows a text on another one."""
    app = App()

    @app.on_action("count")
    def count(click: Interaction, card: Card | None) -> Decision:
        n = (card.state if card and card.state else 0) + 1
        shown = card.content if card and card.content else BLANK
        return Decision(state=n, effects=[UpdateCard({**shown, "n": n})])

    @app.on_action("tell")
    def tell(click: Interaction, card: Card | None) -> list[UpdateCard]:
        return [
            UpdateCard({**BLANK, "told": True}),
            UpdateCard({**BLANK, "text": click.value["text"]}, click.value["to"]),
        ]

    return app


def shown(running: World, message_id: str) -> Any:
    """Return what a card shows, less what all show."""
    card = running.simulator.platform.message(message_id).card
    content = json.loads(card.text) if card else {}
    return {name: part for name, part in content.items() if name not in BLANK}


async def test_a_click_on_one_card_changes_another_one_once(stack: Stack) -> None:
    """The other card's state stays, its version counts, and its handler sees what it shows now."""
    async with world(stack, app_of_two_cards()) as running:
        chat_id = await running.chat()
        one, other = (running.simulator.put_card(chat_id, BLANK) for _ in range(2))
        await running.simulator.click(other, {"action": "count"})
        await running.quiet()
        await running.simulator.click(one, {"action": "tell", "to": other, "text": "好"})
        await running.quiet()
        assert ({"told": True}, {"text": "好"}) == (shown(running, one), shown(running, other))
        await running.simulator.click(other, {"action": "count"})
        await running.quiet()
        assert {"text": "好", "n": 2} == shown(running, other)
        (told,) = [decided for decided in await running.decisions() if decided.requests]
        (asked,) = [e for e in await running.events(running.topics.interactions) if isinstance(e, RequestReceived)]
        assert (asked.event_id,) == told.requests
        assert (f"req/worker/{told.event_id}/2", other, "worker") == (asked.event_id, asked.message_id, asked.caller)
        (there,) = [decided for decided in await running.decisions() if decided.event_id == asked.event_id]
        assert ("decided", 2, "1") == (there.result, there.version, there.state)
        await running.check()


async def test_it_happens_once_however_often_click_and_request_are_logged(stack: Stack) -> None:
    """Three workers, and every record of the inputs appended twice."""
    async with world(stack, app_of_two_cards(), workers=3) as running:
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(4)]
        clicks = [
            running.simulator.click(one, {"action": "tell", "to": cards[n - 1], "text": f"{n}.{k}"})
            for k in range(3)
            for n, one in enumerate(cards)
        ]
        await asyncio.gather(*clicks)
        await running.quiet()
        await running.append(*await running.events(running.topics.interactions))
        await running.quiet()
        inputs = await running.events(running.topics.interactions)
        asked = {event.event_id for event in inputs if isinstance(event, RequestReceived)}
        decided = await running.decisions()
        assert 12 == len(asked)
        assert asked == {each for told in decided for each in told.requests}
        assert 24 == len({told.event_id for told in decided if told.result == "decided"})
        for one in cards:
            versions = sorted(told.version for told in decided if told.message_id == one)
            assert list(range(1, 7)) == versions
        await running.check()


async def test_an_event_without_a_card_may_change_one(either_ledger: Stack) -> None:
    """What happened elsewhere is shown on a card that the handler knows."""
    app = App()

    @app.on_event("out_approval")
    def approved(event: Interaction, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard({**BLANK, "text": "通过"}, event.event["card"])]

    async with world(either_ledger, app) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await pushed(running, "events", schema="p1", type="out_approval", event={"card": message_id})
        await running.quiet()
        assert {"text": "通过"} == shown(running, message_id)
        await running.check()
