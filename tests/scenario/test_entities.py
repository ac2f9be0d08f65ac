"""Cards of JSON 2.0 changed in part: elements, streamed texts, and whole cards among them, in the order of the log."""

import json
from typing import Any

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.answers import CardAnswer
from shared.core.decision import Card
from shared.core.effects import Effect, SendCard, SetStreaming, StreamText, UpdateCard, UpdateElement
from shared.core.ids import MessageId
from shared.feishu.limits import LAST_SEQUENCE
from simulator.faults import FaultRule
from tests.scenario.handlers import PATCH
from tests.support.world import Stack, World, clock_of_now, world

CONVERT = "cardkit.v1.card.id_convert"
ELEMENT = "cardkit.v1.card_element.update"
STREAM = "cardkit.v1.card_element.content"
SETTINGS = "cardkit.v1.card.settings"
WHOLE = "cardkit.v1.card.update"


def card_saying(text: str) -> dict[str, Any]:
    """Return a card of JSON 2.0 with one text that can be changed."""
    return {
        "schema": "2.0",
        "body": {"elements": [{"tag": "markdown", "element_id": "answer", "content": text}]},
    }


def app_of_parts() -> App:
    """Return handlers that change a part of the clicked card, or all of it, or a part of another."""
    app = App()

    @app.on_action("element")
    def element(click: Interaction, card: Card | None) -> list[Effect]:
        return [UpdateElement("answer", {"tag": "markdown", "element_id": "answer", "content": click.value["text"]})]

    @app.on_action("stream")
    def stream(click: Interaction, card: Card | None) -> list[Effect]:
        texts = click.value["texts"]
        off = [] if click.value.get("stays") else [SetStreaming(on=False)]
        return [SetStreaming(on=True), *(StreamText("answer", text) for text in texts), *off]

    @app.on_action("answered", answer=CardAnswer(card_saying("answered")))
    def answered(click: Interaction, card: Card | None) -> None:
        """Decide nothing besides."""

    @app.on_action("type")
    def type_(click: Interaction, card: Card | None) -> list[Effect]:
        return [StreamText("answer", click.value["text"])]

    @app.on_action("whole")
    def whole(click: Interaction, card: Card | None) -> list[Effect]:
        return [UpdateCard(card_saying(click.value["text"]))]

    @app.on_action("part then whole")
    def both(click: Interaction, card: Card | None) -> list[Effect]:
        part = UpdateElement("answer", {"tag": "markdown", "element_id": "answer", "content": "part"})
        return [part, UpdateCard(card_saying("whole"))]

    @app.on_action("send 1.0")
    def send(click: Interaction, card: Card | None) -> list[Effect]:
        return [SendCard({"elements": [{"tag": "markdown", "content": "of 1.0"}]})]

    @app.on_action("other")
    def other(click: Interaction, card: Card | None) -> list[Effect]:
        part = {"tag": "markdown", "element_id": "answer", "content": "from elsewhere"}
        return [UpdateElement("answer", part, MessageId(click.value["message_id"]))]

    @app.on_action("echo")
    def echo(click: Interaction, card: Card | None) -> list[Effect]:
        return [UpdateCard(card.content if card else card_saying("nothing known"))]

    return app


def said(running: World, message_id: str) -> list[str]:
    """Return every text that the card has shown."""
    versions = running.simulator.platform.message(message_id).versions
    return [json.loads(version.card)["body"]["elements"][0]["content"] for version in versions]


async def test_an_element_is_replaced_and_the_entity_asked_for_once(either_ledger: Stack) -> None:
    """The second change needs one call; each has a higher sequence than the one before."""
    async with world(either_ledger, app_of_parts()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying("…"))
        for text in ("one", "two"):
            await running.simulator.click(message_id, {"action": "element", "text": text})
            await running.quiet()
        assert ["…", "one", "two"] == said(running, message_id)
        assert (1, 2) == (len(running.calls(CONVERT)), len(running.calls(ELEMENT)))
        assert [1, 2] == [outcome.sequence for outcome in await running.outcomes()]
        await running.check()


async def test_a_text_is_streamed_between_on_and_off(either_ledger: Stack) -> None:
    """Of texts that wait together the newest is sent; switching is never left out."""
    async with world(either_ledger, app_of_parts()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying(""))
        await running.simulator.click(message_id, {"action": "stream", "texts": ["一", "一二", "一二三"]})
        await running.quiet()
        assert "一二三" == said(running, message_id)[-1]
        assert (2, 1) == (len(running.calls(SETTINGS)), len(running.calls(STREAM)))
        statuses = sorted(outcome.status for outcome in await running.outcomes())
        assert ["succeeded"] * 3 + ["superseded"] * 2 == statuses
        await running.check()


async def test_an_answered_card_is_shown_though_text_is_being_streamed(either_ledger: Stack) -> None:
    """The platform takes no notice of the answer; the card is sent once the click was answered, and stays."""
    async with world(either_ledger, app_of_parts(), clock=clock_of_now()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying(""))
        await running.simulator.click(message_id, {"action": "stream", "texts": ["一"], "stays": True})
        await running.quiet()
        await running.simulator.click(message_id, {"action": "answered"})
        assert "一" == said(running, message_id)[-1]
        await running.quiet()
        assert "answered" == said(running, message_id)[-1]
        (told,) = [outcome for outcome in await running.outcomes() if outcome.kind == "AnsweredCard"]
        assert ("succeeded", None, "cardkit") == (told.status, told.reason, told.way)
        await running.check()


async def test_a_text_without_streaming_is_refused_for_a_reason_that_says_so(either_ledger: Stack) -> None:
    """It is final: nothing that follows would switch it on."""
    async with world(either_ledger, app_of_parts()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying(""))
        await running.simulator.click(message_id, {"action": "type", "text": "a"})
        await running.quiet()
        assert [("failed", "streaming_off", 300309)] == [
            (outcome.status, outcome.reason, outcome.code) for outcome in await running.outcomes()
        ]
        await running.check()


async def test_a_part_gives_way_to_a_later_whole_card(either_ledger: Stack) -> None:
    """It would be painted over at once."""
    async with world(either_ledger, app_of_parts()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying("…"))
        await running.simulator.click(message_id, {"action": "part then whole"})
        await running.quiet()
        assert ["…", "whole"] == said(running, message_id)
        assert ["superseded", "succeeded"] == [
            outcome.status for outcome in sorted(await running.outcomes(), key=lambda outcome: outcome.index)
        ]
        await running.check()


async def test_a_card_that_is_an_entity_is_replaced_as_one(either_ledger: Stack) -> None:
    """Once its parts were changed; before, by its message."""
    async with world(either_ledger, app_of_parts()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying("…"))
        for value in ({"action": "whole"}, {"action": "element"}, {"action": "whole"}):
            await running.simulator.click(message_id, {**value, "text": value["action"]})
            await running.quiet()
        assert ["…", "whole", "element", "whole"] == said(running, message_id)
        assert (1, 1) == (len(running.calls(PATCH)), len(running.calls(WHOLE)))
        whole = [outcome for outcome in await running.outcomes() if outcome.kind == "UpdateCard"]
        assert ["message", "cardkit"] == [outcome.way for outcome in sorted(whole, key=lambda each: each.finished_at)]
        await running.check()


async def test_a_handler_sees_the_card_with_its_changed_part(either_ledger: Stack) -> None:
    """What is shown next begins with it."""
    async with world(either_ledger, app_of_parts()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying("…"))
        for value in ({"action": "whole", "text": "a"}, {"action": "element", "text": "b"}, {"action": "echo"}):
            await running.simulator.click(message_id, value)
            await running.quiet()
        assert ["…", "a", "b", "b"] == said(running, message_id)
        await running.check()


async def test_a_part_of_another_card_takes_its_turn_there(either_ledger: Stack) -> None:
    """It leaves as a request under that card's key."""
    async with world(either_ledger, app_of_parts()) as running:
        chat = await running.chat()
        one, other = (running.simulator.put_card(chat, card_saying("…")) for _ in range(2))
        await running.simulator.click(one, {"action": "other", "message_id": other})
        await running.quiet()
        assert (["…"], ["…", "from elsewhere"]) == (said(running, one), said(running, other))
        await running.check()


async def test_a_sequence_that_somebody_outran_is_raised_once(either_ledger: Stack) -> None:
    """Another program changed the card meanwhile: ours goes on behind it, and the outcome tells from where."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_parts(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying("…"))
        await running.simulator.click(message_id, {"action": "element", "text": "one"})
        await running.quiet()
        (entity,) = running.simulator.platform.entities.values()
        entity.sequence = 1_000
        await running.simulator.click(message_id, {"action": "element", "text": "two"})
        await running.quiet()
        assert ["…", "one", "two"] == said(running, message_id)
        sequences = [outcome.sequence or 0 for outcome in await running.outcomes()]
        assert max(sequences) > clock.now() // 1000 - 60
        assert 1 == len(running.simulator.platform.judge.violations)  # The one call that told us.
        running.simulator.platform.judge.violations.clear()
        await running.check()


async def test_a_sequence_that_nobody_can_outrun_ends_the_effect(either_ledger: Stack) -> None:
    """Another program has used the highest one: ours is raised once, and that did not help."""
    async with world(either_ledger, app_of_parts(), clock=clock_of_now()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying("…"))
        await running.simulator.click(message_id, {"action": "element", "text": "one"})
        await running.quiet()
        (entity,) = running.simulator.platform.entities.values()
        entity.sequence = LAST_SEQUENCE
        await running.simulator.click(message_id, {"action": "element", "text": "two"})
        await running.quiet()
        assert [0, 300317, 300317] == [call.code for call in running.calls(ELEMENT)]
        last = max(await running.outcomes(), key=lambda outcome: (outcome.finished_at, outcome.k))
        assert ("failed", True, "platform_refused", 300317) == (last.status, last.final, last.reason, last.code)
        running.simulator.platform.judge.violations.clear()  # The two that told us.
        await running.check()


async def test_a_lost_answer_of_an_operation_is_made_good_by_its_key(either_ledger: Stack) -> None:
    """The platform says that it was made already: the effect has succeeded, and nothing is shown twice."""
    async with world(either_ledger, app_of_parts(), clock=clock_of_now()) as running:
        message_id = running.simulator.put_card(await running.chat(), card_saying("…"))
        path = "/open-apis/cardkit/v1/cards/*/elements/*"
        running.simulator.faults.set(1, [FaultRule(path=path, kind="drop_after", p=1.0)])
        await running.simulator.click(message_id, {"action": "element", "text": "one"})
        await running.until(lambda: any(call.fault == "drop_after" for call in running.calls(ELEMENT)))
        running.simulator.faults.set(1, [])
        await running.quiet()
        assert ["…", "one"] == said(running, message_id)
        assert {0, 200770} == {call.code for call in running.calls(ELEMENT)}
        last = max(await running.outcomes(), key=lambda outcome: outcome.k)
        assert ("succeeded", True) == (last.status, last.final)
        await running.check()


async def test_a_part_of_a_card_that_was_sent_in_1_0_is_refused_without_a_call(either_ledger: Stack) -> None:
    """Only cards of JSON 2.0 have parts: the platform need not be asked."""
    async with world(either_ledger, app_of_parts(), clock=clock_of_now()) as running:
        chat_id = await running.chat()
        await running.simulator.click(running.simulator.put_card(chat_id, card_saying("…")), {"action": "send 1.0"})
        await running.quiet()
        ours = running.simulator.platform.chat(chat_id).message_ids[-1]
        for value in ({"action": "element", "text": "part"}, {"action": "stream", "texts": ["part"]}):
            await running.simulator.click(ours, value)
            await running.quiet()
        refused = [
            (outcome.status, outcome.reason) for outcome in await running.outcomes() if outcome.kind != "SendCard"
        ]
        assert [("refused", "not_2_0")] * 4 == refused
        assert [] == running.calls(CONVERT)
        await running.check()
