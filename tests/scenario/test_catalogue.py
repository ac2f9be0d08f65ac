"""What handlers may want besides cards, texts and names: each effect as people see it."""

import json
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import CallResult
from shared.core.answers import Preview
from shared.core.decision import Card, Decision
from shared.core.effects import (
    Call,
    DeleteEphemeral,
    Effect,
    RefreshPreview,
    Reply,
    SendEphemeral,
    UpdateCard,
    UpdateChat,
)
from shared.core.ids import OpenId
from shared.feishu.limits import CARD_TOKEN_VALID_MS
from simulator.callbacks import Person
from tests.scenario.handlers import BLANK, PATCH
from tests.support import facts
from tests.support.world import Stack, World, clock_of_now, world

BY_TOKEN = "interactive.v1.card.update"
REFRESH = "im.v2.url_preview.batch_update"
EXCLUSIVE: dict[str, Any] = {"config": {"update_multi": False}, "elements": [{"tag": "markdown", "content": "mine"}]}
FOR_ONE: dict[str, Any] = {"elements": [{"tag": "markdown", "content": "for one"}]}
LINK = "https://alerts.example.com/7"


def app_of_catalogue() -> App:
    """Return handlers that want one effect each."""
    app = App()

    def wants(name: str, *effects: Effect) -> None:
        def decide(click: Interaction, card: Card | None) -> list[Effect]:
            return list(effects)

        app.on_action(name, handler_name=name)(decide)

    wants("exclusive", UpdateCard(EXCLUSIVE))
    wants("reply", Reply("收到"))
    wants("reply_card", Reply(card=BLANK, in_thread=True))
    wants("chat", UpdateChat("跟进中", description="支付告警", i18n_names={"en_us": "Following up"}))
    wants("ephemeral", SendEphemeral(FOR_ONE))
    wants("withdraw", DeleteEphemeral())
    wants("refresh", RefreshPreview())

    @app.on_action("audience")
    def audience(click: Interaction, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard(FOR_ONE, audience=click.operator.open_id)]

    @app.on_action("ask")
    def ask(click: Interaction, card: Card | None) -> list[Call]:
        return [Call("look_up")]

    @app.call("look_up")
    async def look_up(args: dict[str, Any], *, idempotency_key: str) -> int:
        return 42

    @app.on_result("look_up")
    def looked_up(result: CallResult, card: Card | None) -> list[UpdateCard]:
        return [UpdateCard(FOR_ONE, audience=result.operator.open_id)]

    @app.on_link_preview("https://alerts.example.com/", answer=Preview("告警"))
    def previewed(link: Interaction, card: Card | None) -> Decision:
        return Decision(effects=[] if card and card.state else [RefreshPreview()], state="refreshed")

    return app


def views(running: World, message_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return what each person sees of a card that others see otherwise."""
    message = running.simulator.platform.message(message_id)
    return {person: json.loads(card.text)["elements"] for person, card in message.views.items()}


async def test_an_exclusive_card_is_shown_to_who_clicked_by_their_right(either_ledger: Stack) -> None:
    """No update by message could do that; the outcome says which way was taken, why, and what is left."""
    async with world(either_ledger, app_of_catalogue()) as running:
        message_id = running.simulator.put_card(await running.chat(), EXCLUSIVE)
        await running.simulator.click(message_id, {"action": "exclusive"}, open_id="ou_ada")
        await running.quiet()
        assert {"ou_ada": EXCLUSIVE["elements"]} == views(running, message_id)
        assert [0] == [call.code for call in running.calls(BY_TOKEN)]
        (outcome,) = await running.outcomes()
        told = (outcome.status, outcome.way, outcome.because, outcome.uses_left, outcome.shown)
        assert ("succeeded", "token", "exclusive", 1, None) == told
        await running.check()


async def test_a_card_for_one_person_leaves_everybody_elses_as_it_is(either_ledger: Stack) -> None:
    """Nor is it what the next handler sees."""
    async with world(either_ledger, app_of_catalogue()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await running.simulator.click(message_id, {"action": "audience"}, open_id="ou_ada")
        await running.quiet()
        assert {"ou_ada": FOR_ONE["elements"]} == views(running, message_id)
        shown = running.simulator.platform.message(message_id).card
        assert shown is not None
        assert BLANK == json.loads(shown.text)
        assert [None] == [decision.content for decision in await running.decisions()]
        assert [] == running.calls(PATCH)
        await running.check()


@pytest.mark.parametrize(
    ("token", "age_ms", "reason"),
    [(None, 0, "no_token"), ("c-1", CARD_TOKEN_VALID_MS, "token_expired")],
)
async def test_without_a_right_nothing_is_tried(
    either_ledger: Stack, token: str | None, age_ms: int, reason: str
) -> None:
    """A callback that brought none, or half an hour ago: a call is known to fail."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_catalogue(), clock=clock) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        click = facts.click(
            "e1",
            value={"action": "exclusive"},
            message_id=message_id,
            card_token=token,
            occurred_at=clock.now(),
            received_at=clock.now() - age_ms,
        )
        await running.append(click)
        await running.quiet()
        assert [("refused", reason)] == [(each.status, each.reason) for each in await running.outcomes()]
        assert [] == running.calls(BY_TOKEN)
        await running.check()


async def test_what_came_back_is_shown_to_who_asked_by_the_right_of_their_click(either_ledger: Stack) -> None:
    """The right is kept while a result is awaited."""
    async with world(either_ledger, app_of_catalogue(), clock=clock_of_now()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        await running.simulator.click(message_id, {"action": "ask"}, open_id="ou_ada")
        await running.until(lambda: len(running.calls(BY_TOKEN)) == 1)
        await running.quiet()
        assert {"ou_ada": FOR_ONE["elements"]} == views(running, message_id)
        await running.check()


async def test_a_click_is_answered_with_a_message(either_ledger: Stack) -> None:
    """Below the card, or in a topic of its own; a card that was sent so is known by its age, as every one of ours."""
    async with world(either_ledger, app_of_catalogue()) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, BLANK)
        await running.simulator.click(message_id, {"action": "reply"})
        await running.simulator.click(message_id, {"action": "reply_card"})
        await running.quiet()
        _, *replies = running.simulator.platform.chat(chat_id).message_ids
        kinds = sorted(running.simulator.platform.message(reply).msg_type for reply in replies)
        assert ["interactive", "text"] == kinds
        assert {chat_id} == {outcome.chat_id for outcome in await running.outcomes()}
        assert 2 == len(running.calls("im.v1.message.reply"))
        await running.check()


async def test_a_chat_is_changed_in_what_was_given(either_ledger: Stack) -> None:
    """Name, description and names in other languages, by one call."""
    async with world(either_ledger, app_of_catalogue()) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, BLANK)
        await running.simulator.click(message_id, {"action": "chat"})
        await running.quiet()
        assert "跟进中" == running.simulator.platform.chat(chat_id).name
        assert 1 == len(running.calls("im.v1.chat.update"))
        await running.check()


async def test_an_ephemeral_card_is_shown_to_who_clicked_and_taken_away_by_a_click_on_it(either_ledger: Stack) -> None:
    """Whose it is stands in the decision; to be taken away it waits for its own answer."""
    async with world(either_ledger, app_of_catalogue()) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, BLANK)
        await running.simulator.click(message_id, {"action": "ephemeral"}, open_id="ou_ada")
        await running.quiet()
        (outcome,) = await running.outcomes()
        assert outcome.sent_message_id is not None
        shown = running.simulator.platform.message(outcome.sent_message_id)
        assert ("ou_ada", False) == (shown.only_for, shown.is_recalled)
        await running.simulator.click(shown.message_id, {"action": "withdraw"}, open_id="ou_ada")
        await running.quiet()
        assert shown.is_recalled
        assert {"succeeded"} == {each.status for each in await running.outcomes()}
        await running.check()


async def test_a_link_is_asked_for_again(either_ledger: Stack) -> None:
    """By the right that its own callback gave: the client that showed it asks once more, and is answered anew."""
    async with world(either_ledger, app_of_catalogue()) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        person = Person(open_id=OpenId("ou_ada"))
        await running.simulator.deliverer.preview(LINK, operator=person, message_id=message_id)
        await running.until(lambda: len(running.calls(REFRESH)) == 1)
        await running.quiet()
        assert [0] == [call.code for call in running.calls(REFRESH)]
        assert ["succeeded"] == [each.status for each in await running.outcomes()]
        await running.check()
