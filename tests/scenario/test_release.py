"""The release card, as the tutorial tells it, through the whole system."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.core.effects import SendCard
from shared.core.events import COMMAND_LINE, RequestReceived, request_event_id
from shared.core.ids import AppId, TenantKey
from tests.support.world import Stack, World, clock_of_now, world

ROOT = Path(__file__).parents[2]
GOOD, BAD = "1626958617426", "no number"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handlers of the example."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "release")
    yield importlib.import_module("release")
    sys.modules.pop("release", None)


async def sent(running: World, card: dict[str, Any]) -> str:
    """Have a card sent, so that it is stored, and return its message."""
    chat_id = await running.chat()
    assert running.clock is not None
    await running.append(
        RequestReceived(
            event_id=request_event_id(COMMAND_LINE, "card"),
            app_id=AppId(running.env["LARK_APP_ID"]),
            tenant_key=TenantKey(""),
            caller=COMMAND_LINE,
            request_id="card",
            effects=(SendCard(card, chat_id),),
            occurred_at=running.clock.now(),
            received_at=running.clock.now(),
        )
    )
    await running.quiet()
    return running.simulator.platform.chat(chat_id).message_ids[-1]


def lines(running: World, message_id: str) -> list[dict[str, Any]]:
    """Return the lines of the card as people see them."""
    card = running.simulator.platform.message(message_id).card
    assert card is not None
    found: list[dict[str, Any]] = json.loads(card.text)["i18n_elements"]["zh_cn"]
    return found


async def test_a_release_is_done_on_the_card_and_a_failed_one_changes_nothing(
    either_ledger: Stack, example: Any
) -> None:
    """The stored card is changed where the button stood, after the business call; the other line stays as it was."""
    async with world(either_ledger, example.app, clock=clock_of_now()) as running:
        message_id = await sent(running, example.release_card([GOOD, BAD]))
        before = lines(running, message_id)
        for button_id in (GOOD, BAD):
            await running.simulator.click(message_id, {"button_type": "public_publish", "button_id": button_id})
            await running.quiet()
        after = lines(running, message_id)
        assert "已完成" == after[0]["fields"][0]["text"]["content"]
        assert before[1] == after[1]
        await running.check()


async def test_a_release_from_a_card_that_somebody_else_sent_is_told_below_it_once(
    either_ledger: Stack, example: Any
) -> None:
    """What is on such a card nobody knows, so it stays; pressed again, nothing is released, and nothing told."""
    async with world(either_ledger, example.app, clock=clock_of_now()) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, example.release_card([GOOD]))
        for _ in range(2):
            await running.simulator.click(message_id, {"button_type": "public_publish", "button_id": GOOD})
            await running.quiet()
        platform = running.simulator.platform
        card, *told = [platform.message(each) for each in platform.chat(chat_id).message_ids]
        assert [(message_id, True)] == [
            (each.reply.parent_id if each.reply else None, GOOD in each.content) for each in told
        ]
        assert 1 == len(card.versions)
        await running.check()
