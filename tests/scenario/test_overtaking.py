"""Nothing older is shown last: not after another attempt, not after a late mark, not when it is tried again by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.clock import ManualClock
from shared.core.decision import Card, Decision
from shared.core.effects import Effect, RenameChat, SetStreaming, StreamText, UpdateCard, UpdateChat
from shared.core.events import Operator
from shared.core.ids import OpenId
from simulator.faults import FaultRule
from tests.scenario.handlers import BLANK, COUNT, counted
from tests.scenario.test_entities import app_of_parts, card_saying, said
from tests.scenario.test_limits import shown
from tests.support import facts
from tests.support.dump import dump
from tests.support.world import Stack, World, clock_of_now, files, world
from worker.ledger.leased import EffectKey
from worker.ledger.leases import HEADS

LONG_MS = 3_000
"""A back-off that is surely longer than a newer click takes."""

PERSONAL = "interactive.v1.card.update"


def app_of_states() -> App:
    """Return handlers that switch streaming on, type a text, name the chat, or show a person a card of their own."""
    app = App()

    @app.on_action("on")
    def on(click: Interaction, card: Card | None) -> list[Effect]:
        return [SetStreaming(on=True)]

    @app.on_action("type")
    def type_(click: Interaction, card: Card | None) -> list[Effect]:
        return [StreamText("answer", click.value["text"])]

    @app.on_action("rename")
    def rename(click: Interaction, card: Card | None) -> list[Effect]:
        return [RenameChat(click.value["name"])]

    @app.on_action("describe")
    def describe(click: Interaction, card: Card | None) -> list[Effect]:
        return [UpdateChat(name=click.value["name"], description="what it is for")]

    @app.on_action("mine")
    def mine(click: Interaction, card: Card | None) -> list[Effect]:
        return [UpdateCard({**BLANK, "t": click.value["t"]}, audience=click.operator.open_id)]

    return app


async def backing_off(running: World, clock: ManualClock, path: str, message_id: str, value: Mapping[str, Any]) -> None:
    """Click while an API fails, until the effect waits long for its next attempt; then the API works again."""
    running.simulator.faults.set(1, [FaultRule(path=path, kind="500", p=1.0)])
    await running.simulator.click(message_id, dict(value))

    async def waits_long() -> bool:
        rows = [row for row in (await dump(running.ledger.database)).effects if row["status"] == "pending"]
        return any(row["k"] > 0 and row["due"] - clock.now() > LONG_MS for row in rows)

    await running.until(waits_long)
    running.simulator.faults.set(1, [])


async def test_a_part_that_waits_for_its_next_attempt_gives_way_to_a_newer_one(either_ledger: Stack) -> None:
    """It is superseded, not painted over what came after it."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_parts(), clock=clock) as running:
        card = running.simulator.put_card(await running.chat(), card_saying("…"))
        elements = "/open-apis/cardkit/v1/cards/*/elements/*"
        await backing_off(running, clock, elements, card, {"action": "element", "text": "old"})
        await running.simulator.click(card, {"action": "element", "text": "new"})
        await running.quiet()
        assert ["…", "new"] == said(running, card)
        assert {"superseded", "succeeded"} == {one.status for one in await running.outcomes() if one.final}
        await running.check()


async def test_of_two_parts_the_later_clicks_is_shown_whichever_mark_comes(either_ledger: Stack) -> None:
    """The older click's mark is lost: the newer waits for it, and supersedes it."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_parts(), clock=clock) as running:
        card = running.simulator.put_card(await running.chat(), card_saying("…"))
        clicks = [
            facts.click(
                text,
                value={"action": "element", "text": text},
                message_id=card,
                received_at=clock.now() + nth,
                occurred_at=clock.now() + nth,
            )
            for nth, text in enumerate(("old", "new"))
        ]
        await running.append(*clicks, facts.mark(clicks[1]))
        await running.quiet()
        assert ["…", "new"] == said(running, card)
        await running.check()


async def test_a_text_waits_for_the_switch_that_it_needs(either_ledger: Stack) -> None:
    """Streaming is to be on when an earlier click said so, though that call is tried again."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_states(), clock=clock) as running:
        card = running.simulator.put_card(await running.chat(), card_saying("…"))
        settings = "/open-apis/cardkit/v1/cards/*/settings"
        await backing_off(running, clock, settings, card, {"action": "on"})
        await running.simulator.click(card, {"action": "type", "text": "hello"})
        await running.quiet()
        assert "hello" == said(running, card)[-1]
        assert ["succeeded", "succeeded"] == [one.status for one in await running.outcomes() if one.final]
        await running.check()


@pytest.mark.parametrize(("first", "second"), [("rename", "describe"), ("describe", "rename")])
async def test_a_chat_ends_with_the_later_clicks_name(either_ledger: Stack, first: str, second: str) -> None:
    """Whether the name comes alone or with a description, which is given in any case."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_states(), clock=clock) as running:
        chat_id = await running.chat()
        card = running.simulator.put_card(chat_id, BLANK)
        chats = f"/open-apis/im/v1/chats/{chat_id}"
        await backing_off(running, clock, chats, card, {"action": first, "name": "old"})
        await running.simulator.click(card, {"action": second, "name": "new"})
        await running.quiet()
        assert "new" == running.simulator.platform.chat(chat_id).name
        described = {one.status for one in await running.outcomes() if one.final and one.kind == "UpdateChat"}
        assert {"succeeded"} == described
        await running.check()


async def test_what_is_tried_again_by_hand_is_not_painted_over_the_newer(either_ledger: Stack) -> None:
    """The same part was changed since: the old change is superseded."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_states(), clock=clock) as running:
        card = running.simulator.put_card(await running.chat(), card_saying("…"))
        for value in ({"action": "type", "text": "old"}, {"action": "on"}, {"action": "type", "text": "new"}):
            await running.simulator.click(card, value)
            await running.quiet()
        failed = [EffectKey(one.app_id, one.event_id, one.index) for one in await running.ledger.failures.effects()]
        assert 1 == await running.ledger.failures.redrive(failed, topic=running.topics.outcomes)
        await running.quiet()
        assert "new" == said(running, card)[-1]
        assert "superseded" == (await running.outcomes())[-1].status
        await running.check()


async def test_more_people_than_are_looked_at_at_once_each_get_their_card(tmp_path: Path) -> None:
    """None of their cards takes another's place, so the first is sent at once, and the next after it."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_of_states(), clock=clock, workers=0, limits="1000") as running:
        card = running.simulator.put_card(await running.chat(), BLANK)
        people = [OpenId(f"ou_{n}") for n in range(HEADS + 100)]
        await running.append(
            *(
                facts.click(
                    f"of {one}",
                    value={"action": "mine", "t": one},
                    message_id=card,
                    operator=Operator(open_id=one),
                    received_at=clock.now(),
                    occurred_at=clock.now(),
                    card_token=f"c-{one}",
                )
                for one in people
            )
        )
        await running.start_worker()
        await running.until(lambda: len(running.calls(PERSONAL)) >= 5, patience_s=60)
        tried = [one.event_id for one in await running.outcomes()]
        assert tried == [f"of {one}" for one in people[: len(tried)]]


def app_of_counts() -> App:
    """Return a handler that says in the card and in the chat's name how often the card was clicked."""
    app = App()

    @app.on_action("count")
    def count(click: Interaction, card: Card | None) -> Decision:
        n = counted(card) + 1
        return Decision(state=n, effects=[RenameChat(f"n={n}"), UpdateCard({**BLANK, "n": n})])

    return app


@pytest.mark.parametrize("times_ms", [(0, 0, 0), (400, 0, 200)], ids=["in one moment", "stamped against the log"])
async def test_a_chat_is_named_by_its_cards_last_decision(either_ledger: Stack, times_ms: tuple[int, ...]) -> None:
    """People click at once, and their clicks are not logged in the order of their times."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_counts(), clock=clock) as running:
        chat_id = await running.chat()
        card = running.simulator.put_card(chat_id, BLANK)
        # Nor do the ids of events say anything.
        clicks = [
            facts.click(event_id, value=COUNT, message_id=card, chat_id=chat_id, occurred_at=clock.now() + ms)
            for event_id, ms in zip("cab", times_ms, strict=True)
        ]
        for one in clicks:
            await running.append(one, facts.mark(one))
            await running.quiet()
        assert "n=3" == running.simulator.platform.chat(chat_id).name
        assert '"n":3' in shown(running, card)
        await running.check()
