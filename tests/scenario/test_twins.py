"""A console that is subscribed to card callbacks in both styles sends every click twice."""

import asyncio

import pytest

from cardwire.demo import alert_card, app
from shared.core.events import InteractionReceived
from tests.support.world import ENCRYPTED, Stack, World, world

VALUE = {"action": "follow_up", "alert": "支付超时率 3.2%"}
BOTH = {**ENCRYPTED, "LARK_CALLBACKS": "both"}


async def _press(running: World, message_id: str) -> None:
    """Press the button once: both callbacks leave at the same time."""
    clicks = (running.simulator.click(message_id, VALUE, style=style) for style in ("new", "legacy"))
    assert [200, 200] == [seen.status for seen in await asyncio.gather(*clicks)]


async def test_each_click_is_decided_once_and_one_warning_says_why(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are answered and recorded; the legacy one is the twin, however the two arrive."""
    async with world(stack, app, credentials=BOTH) as running:
        message_id = running.simulator.put_card(await running.chat(), alert_card("支付超时率 3.2%"))
        # The very first pair may be decided twice, so the app is known to be on the new style before.
        await running.simulator.click(message_id, VALUE, style="new")
        await running.quiet()
        for _ in range(3):
            await _press(running, message_id)
        await running.quiet()
        results = sorted(decided.result for decided in await running.decisions())
        assert ["decided"] * 4 + ["twin"] * 3 == results
        assert "跟进中（4）" in str(running.simulator.platform.message(message_id).card)
        kinds = [one.kind for one in await running.events(running.topics.interactions)
                 if isinstance(one, InteractionReceived)]  # fmt: skip
        assert {"card_action": 4, "card_action_v1": 3} == {kind: kinds.count(kind) for kind in kinds}
        await running.check()
    warned = [line for line in capsys.readouterr().out.splitlines() if "clicks_come_twice" in line]
    assert 1 == len(warned)
    assert running.env["LARK_APP_ID"] in warned[0]


async def test_without_a_word_about_styles_an_encrypted_app_takes_the_new_one_alone(stack: Stack) -> None:
    """So a console subscribed to both changes nothing."""
    async with world(stack, app) as running:
        message_id = running.simulator.put_card(await running.chat(), alert_card("支付超时率 3.2%"))
        clicks = [await running.simulator.click(message_id, VALUE, style=style) for style in ("legacy", "new")]
        assert [401, 200] == [seen.status for seen in clicks]
        await running.quiet()
        assert ["decided"] == [decided.result for decided in await running.decisions()]
