"""The same stories when callbacks come over the long connection."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from cardwire.demo import alert_card, app
from gateway.app import serve
from gateway.settings import GatewaySettings
from shared.core.codec import decode
from shared.core.events import InteractionAnswered, InteractionReceived
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from shared.feishu.connection import Parameters
from simulator.app import RunningSimulator, run_simulator
from simulator.connections import Ending
from simulator.settings import SimulatorSettings
from tests.support.commands import piped
from tests.support.documents import is_documented
from tests.support.world import LONG_CONNECTION, TOKEN_ONLY, Stack, World, clock_of_now, files, world

VALUE = {"action": "follow_up", "alert": "支付超时率 3.2%"}
AT_ONCE = Parameters(reconnect_nonce_s=0, reconnect_interval_s=1)
BOTH: Mapping[str, str] = {**TOKEN_ONLY, "LARK_DELIVERY": "both"}


async def put(running: World) -> tuple[str, str]:
    """Return a new chat and a new alert in it."""
    chat_id = await running.chat()
    return chat_id, running.simulator.put_card(chat_id, alert_card("支付超时率 3.2%"))


async def received(running: World) -> set[str]:
    """Return the ids of the clicks in the log."""
    events = await running.events(running.topics.interactions)
    return {event.event_id for event in events if isinstance(event, InteractionReceived)}


async def test_a_click_comes_over_the_long_connection(stack: Stack) -> None:
    """Toast at once, then card and chat; there is neither a key of callbacks nor a port for them."""
    async with world(stack, app, credentials=LONG_CONNECTION) as running:
        chat_id, message_id = await put(running)
        seen = await running.simulator.click(message_id, VALUE)
        assert (200, None, "正在跟进") == (seen.status, seen.client_error, seen.client_text)
        await running.quiet()
        platform = running.simulator.platform
        assert "跟进中" == platform.chat(chat_id).name
        assert "跟进中" in str(platform.message(message_id).card)
        assert ["decided"] == [decided.result for decided in await running.decisions()]
        events = await running.events(running.topics.interactions)
        assert [True] == [event.delivered for event in events if isinstance(event, InteractionAnswered)]
        assert "" == running.gateway.url
        await running.check()


async def test_both_ways_lead_into_one_log(tmp_path: Path) -> None:
    """Legacy clicks come by webhook while new ones come in frames."""
    async with world(files(tmp_path), app, credentials=BOTH) as running:
        _, message_id = await put(running)
        new = await running.simulator.click(message_id, VALUE)
        legacy = await running.simulator.click(message_id, VALUE, style="legacy")
        assert [200, 200] == [new.status, legacy.status]
        assert 1 == running.simulator.connections.clients[0].delivered
        assert {new.event_id, legacy.event_id} == await received(running)


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_connection_that_the_platform_ends_costs_no_accepted_click(tmp_path: Path, how: Ending) -> None:
    """Whoever was answered is decided, once; after the reconnection clicks come again."""
    async with world(files(tmp_path), app, credentials=LONG_CONNECTION, asks=AT_ONCE) as running:
        _, message_id = await put(running)
        sim = running.simulator
        clicks = [asyncio.create_task(sim.click(message_id, VALUE)) for _ in range(20)]
        await running.until(lambda: any(click.done() for click in clicks))
        await _replaced(running, how)
        seen = [*await asyncio.gather(*clicks), await sim.click(message_id, VALUE)]
        assert 200 == seen[-1].status
        await running.quiet()
        accepted = {each.event_id for each in seen if each.client_text == "正在跟进"}
        decided = [each.event_id for each in await running.decisions() if each.result == "decided"]
        assert accepted <= set(decided)
        assert len(set(decided)) == len(decided)
        await running.check()


async def _replaced(running: World, how: Ending) -> None:
    """End the connection, and wait for the next one."""
    connections = running.simulator.connections
    [client] = connections.clients
    await client.end(how)
    await running.until(lambda: bool(connections.clients) and connections.clients != (client,))


async def test_one_of_two_gateways_can_be_replaced_under_clicks(tmp_path: Path) -> None:
    """What it had received is answered before it leaves; the other one takes the rest."""
    async with world(files(tmp_path), app, credentials=LONG_CONNECTION) as running:
        _, message_id = await put(running)
        sim = running.simulator
        settings = GatewaySettings.load({**running.env, "LARK_DOMAIN": sim.url})
        async with serve(settings, app):
            assert 2 == len(sim.connections.clients)
            clicks = [asyncio.create_task(sim.click(message_id, VALUE)) for _ in range(40)]
            await running.until(lambda: sum(client.delivered for client in sim.connections.clients) == 40)
        await running.until(lambda: len(sim.connections.clients) == 1)
        seen = [*await asyncio.gather(*clicks), await sim.click(message_id, VALUE)]
        assert {(200, "正在跟进")} == {(each.status, each.client_text) for each in seen}
        assert {each.event_id for each in seen} == await received(running)


async def _healthy(running: World) -> tuple[int, int]:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{running.gateway.admin_url}/healthz") as alive:
            pass
        async with session.get(f"{running.gateway.admin_url}/readyz") as ready:
            pass
    return alive.status, ready.status


async def test_when_no_pong_comes_it_is_not_alive(tmp_path: Path) -> None:
    """For two intervals; with the next pong it is again. Meanwhile it asks for another connection by itself."""
    clock, asks = clock_of_now(), Parameters(ping_interval_s=5, reconnect_nonce_s=0)
    async with world(files(tmp_path), app, credentials=LONG_CONNECTION, clock=clock, workers=0, asks=asks) as running:
        connections = running.simulator.connections
        [first] = connections.clients
        await running.until(lambda: first.pings == 1)
        assert (200, 200) == await _healthy(running)
        connections.asked.has_pongs = False
        await running.until(lambda: first not in connections.clients)
        assert 503 == (await _healthy(running))[0]
        await running.until(lambda: bool(connections.clients) and connections.clients[0].pings > 0)
        assert 503 == (await _healthy(running))[0]
        connections.asked.has_pongs = True

        async def well() -> bool:
            return (200, 200) == await _healthy(running)

        await running.until(well)


async def test_without_a_connection_it_is_not_ready(tmp_path: Path) -> None:
    """Alive it is: it tries again by itself, and a restart would do no more."""
    clock = clock_of_now()
    async with world(files(tmp_path), app, credentials=LONG_CONNECTION, clock=clock, workers=0) as running:
        [client] = running.simulator.connections.clients
        await client.end("close")

        async def unready() -> bool:
            return (200, 503) == await _healthy(running)

        async with asyncio.timeout(5):
            while not await unready():  # noqa: ASYNC110 -- the clock stands still here
                await asyncio.sleep(0.001)


HANDLERS = """
from cardwire import App, Toast

app = App()

@app.on_action("follow_up", answer=Toast.info("正在跟进"))
def follow_up(click, card):
    return []
"""
READY = re.compile(r"gateway ready callbacks=long-connection admin=(\S+)")


async def _start(folder: Path, sim: RunningSimulator, **env: str) -> asyncio.subprocess.Process:
    (folder / "handlers.py").write_text(HANDLERS)
    settings = {
        "LARK_APP_ID": sim.platform.app.app_id,
        "LARK_APP_SECRET": sim.platform.app.app_secret,
        "LARK_DOMAIN": sim.url,
        "LARK_DELIVERY": "websocket",
        "CARDWIRE_APP": "handlers:app",
        "CARDWIRE_LOG": "sqlite:///log.db",
        "CARDWIRE_ADMIN_PORT": "0",
        **env,
    }
    return await piped("gateway", env=settings, cwd=folder)


@asynccontextmanager
async def _started(folder: Path, sim: RunningSimulator) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await _start(folder, sim)
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    assert READY.match(line), line
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    """Run a simulator without a webhook."""
    settings = SimulatorSettings.load({"LARK_DELIVERY": "websocket", "CARDWIRE_SIMULATOR_PORT": "0"})
    async with run_simulator(settings) as running:
        running.callback_urls = ()
        yield running


@pytest.mark.slow
async def test_told_to_stop_it_answers_what_it_has_received(sim: RunningSimulator, tmp_path: Path) -> None:
    """SIGTERM in the middle of it: everybody reads the toast, and every mark is in the log."""
    async with _started(tmp_path, sim) as process:
        message_id = sim.put_card(sim.platform.new_chat("报警群").chat_id, alert_card("a"))
        clicks = [asyncio.create_task(sim.click(message_id, VALUE)) for _ in range(50)]
        [client] = sim.connections.clients
        async with asyncio.timeout(5):
            while client.delivered < 50:  # noqa: ASYNC110 -- the simulator sets no event for its tests
                await asyncio.sleep(0)
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), 10)
        seen = await asyncio.gather(*clicks)
    assert 0 == process.returncode, err.decode()
    assert {(200, "正在跟进")} == {(each.status, each.client_text) for each in seen}
    log = open_log(f"sqlite:////{tmp_path / 'log.db'}")
    topic = Topics().interactions
    records = [record for number in await log.spans(topic) for record in await log.read(topic, number, 0, limit=1000)]
    await log.close()
    events = [decode(record.headers, record.value) for record in records]
    marks = {event.event_id for event in events if isinstance(event, InteractionAnswered) and event.delivered}
    assert {each.event_id for each in seen} == marks
    shown = (out + err).decode()
    lines = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert 50 == len([line for line in lines if line["event"] == "callback_answered"])
    assert sim.platform.app.app_secret not in shown
    assert "ticket" not in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "limit", "expected"),
    [
        (
            {"LARK_APP_SECRET": "another"},
            50,
            r"LARK_APP_SECRET: the platform refused the long connection \(code 1000040345",
        ),
        (
            {"LARK_APP_SECRET": ""},
            50,
            r"LARK_APP_SECRET is missing: LARK_DELIVERY=websocket expects it, .* for example",
        ),
        (
            {},
            0,
            r"LARK_DELIVERY: the platform refused the long connection \(code 1000040350\): expected fewer than 50 ",
        ),
        (
            {"LARK_DELIVERY": "pigeon"},
            50,
            r"LARK_DELIVERY is malformed: expected one of webhook, websocket, both, for ",
        ),
    ],
)
async def test_what_keeps_it_from_connecting_is_one_line(
    sim: RunningSimulator, tmp_path: Path, env: dict[str, str], limit: int, expected: str
) -> None:
    """The setting and what to do; exit code 2, no traceback, no secret."""
    sim.connections.asked.limit = limit
    process = await _start(tmp_path, sim, **env)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    shown = (out + err).decode()
    assert 2 == process.returncode
    [line] = [line for line in shown.splitlines() if line.startswith("cardwire: ")]
    assert re.search(expected, line)
    assert is_documented(line.removeprefix("cardwire: "))
    assert "Traceback" not in shown
    assert sim.platform.app.app_secret not in shown


@pytest.mark.slow
async def test_after_as_many_attempts_as_the_platform_allows_it_ends(sim: RunningSimulator, tmp_path: Path) -> None:
    """With one line and code 1, so that whoever looks after it starts it again."""
    sim.connections.asked.parameters = Parameters(reconnect_count=0)
    async with _started(tmp_path, sim) as process:
        [client] = sim.connections.clients
        await client.end("close")
        _, err = await asyncio.wait_for(process.communicate(), 10)
    assert 1 == process.returncode
    [line] = [line for line in err.decode().splitlines() if line.startswith("cardwire: ")]
    assert line.startswith("cardwire: LARK_DELIVERY: the long connection is lost")
    assert is_documented(line.removeprefix("cardwire: "))
    assert "Traceback" not in err.decode()
