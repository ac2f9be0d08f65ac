"""The platform's official SDK as a client of the simulator's long connection."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from shared.core.ids import OpenId
from shared.feishu.connection import Parameters
from simulator.app import RunningSimulator, run_simulator
from simulator.callbacks import Person
from simulator.connections import Client as End
from simulator.connections import Ending
from simulator.settings import SimulatorSettings

pytestmark = [pytest.mark.interop, pytest.mark.slow]

ROOT: Final = Path(__file__).parents[2]
CARD: Final = {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "待处理"}]}}
PERSON: Final = Person(open_id=OpenId("ou_7"))


class Client:
    """The SDK in its process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def handled(self) -> Any:
        """Return what it handled next."""
        assert self._process.stdout is not None
        line = b""
        while not line.startswith(b"{"):
            line = await asyncio.wait_for(self._process.stdout.readline(), 20)
            assert line, "the SDK's process has ended"
        return json.loads(line)


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    """Run a simulator without a webhook."""
    settings = SimulatorSettings.load({"LARK_DELIVERY": "websocket", "CARDWIRE_SIMULATOR_PORT": "0"})
    async with run_simulator(settings) as running:
        running.callback_urls = ()
        running.connections.asked.parameters = Parameters(
            reconnect_nonce_s=0, reconnect_interval_s=1, ping_interval_s=1
        )
        yield running


@pytest.fixture
async def client(sim: RunningSimulator) -> AsyncIterator[Client]:
    """Run the SDK's client until it is connected."""
    app = sim.platform.app
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "tests.interop.sdk_client", sim.url, app.app_id, app.app_secret,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await connected(sim)
        yield Client(process)
    finally:
        process.kill()
        await process.communicate()


async def connected(sim: RunningSimulator, *, other_than: End | None = None) -> None:
    """Wait until somebody is connected, and has sent a ping; the SDK has one loop of pings for all connections."""
    async with asyncio.timeout(60):
        while not any(end.pings for end in sim.connections.clients if end is not other_than):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def put(sim: RunningSimulator) -> str:
    """Return a new card."""
    return sim.put_card(sim.platform.new_chat("报警群").chat_id, CARD)


async def test_the_sdk_answers_what_the_simulator_sends(sim: RunningSimulator, client: Client) -> None:
    """Clicks, in one frame and in fragments, previews, and events of the first version."""
    message_id = put(sim)
    seen = await sim.click(message_id, {"action": "follow_up"})
    assert (200, None, "完成") == (seen.status, seen.client_error, seen.client_text)
    told = await client.handled()
    assert ("card", seen.event_id, {"action": "follow_up"}, message_id) == tuple(told.values())
    shown = sim.platform.message(message_id).card
    assert shown is not None
    assert {"schema": "2.0", "body": {"elements": []}} == json.loads(shown.text)

    sim.connections.asked.fragment_bytes = 64
    seen = await sim.click(message_id, {"text": "支付" * 100})
    assert (None, {"text": "支付" * 100}) == (seen.client_error, (await client.handled())["value"])

    previewed = await sim.deliverer.preview("https://example.com/", operator=PERSON, message_id=message_id)
    assert (None, "preview") == (previewed.client_error, (await client.handled())["kind"])
    event = await sim.deliverer.event("p1", "out_approval", {"instance_code": "A"})
    assert (None, event.event_id) == (event.client_error, (await client.handled())["event_id"])


async def test_what_the_sdk_has_no_handler_for_fails(sim: RunningSimulator, client: Client) -> None:
    """It answers code 500: the platform would send an event again."""
    assert 200671 == (await sim.deliverer.event("p2", "im.chat.updated_v1", {})).client_error


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_sdk_comes_back_when_its_connection_ends(sim: RunningSimulator, client: Client, how: Ending) -> None:
    """With the parameters that the simulator gave."""
    [first] = sim.connections.clients
    await first.end(how)
    await connected(sim, other_than=first)
    assert 200 == (await sim.click(put(sim), {"action": "follow_up"})).status
    assert "card" == (await client.handled())["kind"]


async def test_the_sdk_pings_as_often_as_it_is_asked(sim: RunningSimulator, client: Client) -> None:
    """Every second here, and it stays."""
    [first] = sim.connections.clients
    async with asyncio.timeout(20):
        while first.pings < 3:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.01)
    assert (first,) == sim.connections.clients
