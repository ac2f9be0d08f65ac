"""A person follows up on an alert: the card and the group's name become 跟进中."""

from collections.abc import Mapping

import pytest

from cardwire.demo import alert_card, app
from tests.support.world import ENCRYPTED, LEGACY, TOKEN_ONLY, Stack, world


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(ENCRYPTED, id="new style, encrypted"),
        pytest.param(TOKEN_ONLY, id="new style, token only"),
        pytest.param(LEGACY, id="legacy"),
    ],
)
async def test_a_click_renames_the_card_and_the_chat(stack: Stack, credentials: Mapping[str, str]) -> None:
    """The toast comes at once; card and chat follow, whatever the callback's style and the storage."""
    async with world(stack, app, credentials=credentials) as running:
        chat_id = await running.chat()
        message_id = running.simulator.put_card(chat_id, alert_card("支付超时率 3.2%"))
        seen = await running.simulator.click(message_id, {"action": "follow_up", "alert": "支付超时率 3.2%"})
        assert (200, None) == (seen.status, seen.client_error)
        assert "正在跟进" in str(seen.body)
        await running.quiet()
        platform = running.simulator.platform
        assert "跟进中" == platform.chat(chat_id).name
        assert "跟进中" in str(platform.message(message_id).card)
        assert ["decided"] == [decided.result for decided in await running.decisions()]
        assert {"succeeded"} == {outcome.status for outcome in await running.outcomes()}
        await running.check()
