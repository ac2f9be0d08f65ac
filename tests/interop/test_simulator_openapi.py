"""The platform's official SDK as a client of the simulator, unchanged: only its domain is set."""

import asyncio
import importlib
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.clock import ManualClock
from shared.core.ids import AppId
from simulator.app import RunningSimulator, run_simulator
from simulator.settings import SimulatorSettings
from tests.interop import sdk

# After our own module, which silences what its import would warn of.
assert sdk is not None
lark = importlib.import_module("lark_oapi")
im = importlib.import_module("lark_oapi.api.im.v1")

pytestmark = [pytest.mark.interop, pytest.mark.slow]

CARD = {"config": {"update_multi": True}, "elements": [{"tag": "markdown", "content": "待处理"}]}
DONE = {"config": {"update_multi": True}, "elements": [{"tag": "markdown", "content": "跟进中"}]}


@pytest.fixture
async def sim(request: pytest.FixtureRequest) -> AsyncIterator[RunningSimulator]:
    """Run a simulator with an app of its own: the SDK caches tokens by app, for the whole process."""
    app_id = AppId(f"cli_{zlib.crc32(request.node.name.encode()):016x}")
    async with run_simulator(SimulatorSettings(port=0, app_id=app_id), clock=ManualClock()) as running:
        yield running


class Client:
    """The SDK's client, whose calls block, called from a loop."""

    def __init__(self, sim: RunningSimulator) -> None:
        app = sim.platform.app
        self._client = lark.Client.builder().app_id(app.app_id).app_secret(app.app_secret).domain(sim.url).build()

    async def send(self, to: str, kind: str, msg_type: str, content: Any, uuid: str = "") -> Any:
        """Send a message."""
        body = im.CreateMessageRequestBody.builder().receive_id(to).msg_type(msg_type).content(json.dumps(content))
        asked = (
            im.CreateMessageRequest.builder()
            .receive_id_type(kind)
            .request_body((body.uuid(uuid) if uuid else body).build())
            .build()
        )
        return await asyncio.to_thread(self._client.im.v1.message.create, asked)

    async def patch(self, message_id: str, content: Any) -> Any:
        """Update a card."""
        body = im.PatchMessageRequestBody.builder().content(json.dumps(content)).build()
        asked = im.PatchMessageRequest.builder().message_id(message_id).request_body(body).build()
        return await asyncio.to_thread(self._client.im.v1.message.patch, asked)

    async def get(self, message_id: str) -> Any:
        """Read a message."""
        asked = im.GetMessageRequest.builder().message_id(message_id).build()
        return await asyncio.to_thread(self._client.im.v1.message.get, asked)

    async def rename(self, chat_id: str, name: str) -> Any:
        """Rename a chat."""
        body = im.UpdateChatRequestBody.builder().name(name).build()
        asked = im.UpdateChatRequest.builder().chat_id(chat_id).request_body(body).build()
        return await asyncio.to_thread(self._client.im.v1.chat.update, asked)

    async def chat(self, chat_id: str) -> Any:
        """Read a chat."""
        asked = im.GetChatRequest.builder().chat_id(chat_id).build()
        return await asyncio.to_thread(self._client.im.v1.chat.get, asked)


async def test_a_card_is_sent_updated_and_read(sim: RunningSimulator) -> None:
    """The SDK fetches its token, sends a card, updates it and reads it back."""
    client, chat = Client(sim), sim.platform.new_chat("报警群")
    sent = await client.send(chat.chat_id, "chat_id", "interactive", CARD)
    assert sent.success(), sent.msg
    message_id = sent.data.message_id
    assert (chat.chat_id, str(sim.platform.clock.now())) == (sent.data.chat_id, str(sent.data.create_time))
    assert (await client.patch(message_id, DONE)).success()
    (read,) = (await client.get(message_id)).data.items
    assert (message_id, "interactive") == (read.message_id, read.msg_type)
    assert "跟进中" in read.body.content
    assert [json.dumps(CARD), json.dumps(DONE)] == [each.card for each in sim.platform.message(message_id).versions]


async def test_a_chat_is_renamed_and_read(sim: RunningSimulator) -> None:
    """The SDK renames a chat and reads its name."""
    client, chat = Client(sim), sim.platform.new_chat("报警群")
    assert (await client.rename(chat.chat_id, "跟进中")).success()
    assert "跟进中" == (await client.chat(chat.chat_id)).data.name


async def test_a_text_is_sent_once_for_a_uuid(sim: RunningSimulator) -> None:
    """The SDK repeats a send with the same uuid and gets the same message."""
    client = Client(sim)
    sent = [await client.send("ou_1", "open_id", "text", {"text": "hi"}, uuid="u-1") for _ in range(2)]
    assert 1 == len({each.data.message_id for each in sent}) == len(sim.platform.messages)


async def test_refusals_are_read_with_their_code_and_log_id(sim: RunningSimulator) -> None:
    """The SDK finds code, text and log id where it expects them."""
    refused = await Client(sim).patch("om_unknown", DONE)
    assert not refused.success()
    assert (230001, True) == (refused.code, bool(refused.msg))
    assert refused.get_log_id() == refused.error["log_id"]


async def test_a_full_window_is_read_as_the_platforms_rate_limit(sim: RunningSimulator) -> None:
    """The SDK sees HTTP 429, the code, and the headers that say how long to wait."""
    client, chat = Client(sim), sim.platform.new_chat("报警群")
    for _ in range(50):
        assert (await client.chat(chat.chat_id)).success()
    refused = await client.chat(chat.chat_id)
    headers = {name.lower(): value for name, value in refused.raw.headers.items()}
    assert (429, 99991400, "50") == (refused.raw.status_code, refused.code, headers["x-ogw-ratelimit-limit"])


async def test_the_sdk_keeps_its_token(sim: RunningSimulator) -> None:
    """One token serves many calls, as in production."""
    client, chat = Client(sim), sim.platform.new_chat("报警群")
    for _ in range(3):
        await client.chat(chat.chat_id)
    asked = [each for each in sim.platform.history.calls.after(0) if each.target is None]
    assert 1 == len(asked)
