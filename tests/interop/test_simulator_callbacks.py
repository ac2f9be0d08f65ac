"""The platform's official SDK as the receiver of the simulator's callbacks."""

import importlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from shared.core.ids import OpenId
from shared.core.secret import Secret
from shared.settings import CallbackSettings
from simulator.app import RunningSimulator, run_simulator
from simulator.callbacks import Person
from simulator.settings import SimulatorSettings
from tests.interop import sdk

pytestmark = [pytest.mark.interop, pytest.mark.slow]

KEY, TOKEN = "test-encrypt-key", "test-verification-token"
CARD = {"config": {"update_multi": True}, "elements": [{"tag": "markdown", "content": "待处理"}]}
DONE = {"config": {"update_multi": True}, "elements": [{"tag": "markdown", "content": "跟进中"}]}

Answer = importlib.import_module("lark_oapi.event.callback.model.p2_card_action_trigger").P2CardActionTriggerResponse

Serve = Callable[[Mapping[str, str], bytes], tuple[int, bytes]]


@asynccontextmanager
async def running(serve: Serve, encrypt_key: str = KEY) -> AsyncIterator[RunningSimulator]:
    """Run a simulator whose callbacks the SDK serves."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        status, body = serve(request.headers, await request.read())
        return web.Response(status=status, body=body)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        settings = SimulatorSettings(
            port=0,
            callback_urls=(f"http://127.0.0.1:{runner.addresses[0][1]}/card",),
            callbacks=CallbackSettings(
                encrypt_key=Secret(encrypt_key) if encrypt_key else None, verification_token=Secret(TOKEN)
            ),
        )
        async with run_simulator(settings) as sim:
            yield sim
    finally:
        await runner.cleanup()


def put(sim: RunningSimulator) -> str:
    """Return a new card."""
    return sim.put_card(sim.platform.new_chat("报警群").chat_id, CARD)


@pytest.mark.parametrize("encrypt_key", [KEY, ""])
async def test_a_new_callback_is_taken(encrypt_key: str) -> None:
    """The SDK verifies, decrypts and reads a click, and its answer changes the card."""
    clicked: list[Any] = []

    def answer(click: Any) -> Any:
        clicked.append(click)
        return Answer({"toast": sdk.TOAST, "card": {"type": "raw", "data": DONE}})

    async with running(sdk.events(encrypt_key, TOKEN, on_card=answer), encrypt_key) as sim:
        message_id = put(sim)
        seen = await sim.click(message_id, {"action": "follow_up"}, open_id="ou_7", form_value={"备注": "好"})
        assert (200, None, "完成") == (seen.status, seen.client_error, seen.client_text)
        (click,) = clicked
        assert (seen.event_id, "ou_7") == (click.header.event_id, click.event.operator.open_id)
        assert ({"action": "follow_up"}, {"备注": "好"}) == (click.event.action.value, click.event.action.form_value)
        assert message_id == click.event.context.open_message_id
        assert 16 == len(click.header.create_time)
        shown = sim.platform.message(message_id).card
        assert shown is not None
        assert DONE == json.loads(shown.text)


async def test_a_legacy_callback_is_taken_although_there_is_an_encrypt_key() -> None:
    """The SDK verifies the SHA-1 signature and reads the flat body; its card at top level changes the card."""
    clicked: list[Any] = []

    def answer(click: Any) -> Any:
        clicked.append(click)
        return DONE

    async with running(sdk.legacy(KEY, TOKEN, on_card=answer)) as sim:
        message_id = put(sim)
        seen = await sim.click(message_id, {"key": "follow"}, style="legacy")
        assert (200, None) == (seen.status, seen.client_error)
        (click,) = clicked
        assert (message_id, {"key": "follow"}, "button") == (
            click.open_message_id,
            click.action.value,
            click.action.tag,
        )
        shown = sim.platform.message(message_id).card
        assert shown is not None
        assert DONE == json.loads(shown.text)


async def test_another_key_is_refused_by_the_sdk_and_shown_to_the_person() -> None:
    """Where the two sides disagree about the key, the person sees an error and nothing happens."""
    async with running(sdk.events("another key", TOKEN)) as sim:
        seen = await sim.click(put(sim))
        assert (500, 200671) == (seen.status, seen.client_error)


async def test_the_console_can_verify_the_sdk() -> None:
    """The challenge is met."""
    async with running(sdk.events(KEY, TOKEN)) as sim:
        assert (await sim.deliverer.challenge())[1]


async def test_events_of_both_versions_are_taken() -> None:
    """The SDK knows a first version event by its type; one it has no handler for it refuses."""
    async with running(sdk.events(KEY, TOKEN)) as sim:
        known = await sim.deliverer.event("p1", "out_approval", {"instance_code": "A"})
        unknown = await sim.deliverer.event("p2", "im.message.receive_v1", {})
        assert [(200, None), (500, 200671)] == [(each.status, each.client_error) for each in (known, unknown)]


async def test_a_link_preview_is_taken() -> None:
    """The SDK's preview is an answer of the right shape."""
    async with running(sdk.events(KEY, TOKEN)) as sim:
        message_id = put(sim)
        person = Person(open_id=OpenId("ou_1"))
        seen = await sim.deliverer.preview("https://example.com/", operator=person, message_id=message_id)
        assert (200, None) == (seen.status, seen.client_error)
