"""`cardwire demo`: a whole Cardwire and a platform to go with it, in one process and a temporary folder."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from cardwire.cli.click import ALERT, CHAT, once
from cardwire.cli.process import run
from cardwire.cli.story import Story
from cardwire.cli.telling import Telling
from cardwire.demo import alert_card, app
from gateway.app import serve as serve_gateway
from gateway.settings import GatewaySettings
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from shared.observability import configure_logs
from simulator.app import run_simulator
from simulator.settings import SimulatorSettings
from worker.app import serve as serve_worker
from worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What runs: the platform's control interface, a reader of the log, and the seeded chat and card."""

    control: str
    gateway: str
    event_log: EventLog
    story: Story


def run_demo(*, is_once: bool, as_json: bool) -> int:
    """
    Run the demo and return its exit code.

    Args:
        is_once: Click, print what happened, and end: 0 if card and chat were renamed, else 1 with what is missing.
        as_json: Print JSON lines.
    """
    configure_logs("warning")
    telling = Telling("demo", as_json=as_json)
    code = 1 if is_once else 0  # unless it runs to its end, or is told to stop

    async def main() -> None:
        nonlocal code
        with tempfile.TemporaryDirectory(prefix="cardwire-demo-") as folder:
            async with _stage(Path(folder)) as stage:
                code = await (once(stage.story, telling) if is_once else _stay(stage, telling))

    run(main())
    return code


async def _stay(stage: Stage, telling: Telling) -> int:
    telling.how_to_click(stage.control, stage.gateway, stage.story)
    while True:
        for step in await stage.story.news():
            telling.step(step)
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[Stage]:
    env = _environment(folder)
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serve_gateway(GatewaySettings.load(env), app))
        callback = {"CARDWIRE_SIMULATOR_CALLBACK": f"{gateway.url}/webhook/card"}
        simulator = await stack.enter_async_context(run_simulator(SimulatorSettings.load({**env, **callback})))
        await stack.enter_async_context(serve_worker(WorkerSettings.load({**env, "LARK_DOMAIN": simulator.url}), app))
        event_log = open_log(env["CARDWIRE_LOG"], topics=Topics())
        stack.push_async_callback(event_log.close)
        session = await stack.enter_async_context(aiohttp.ClientSession(simulator.control_url))
        story = await Story.begin(session, event_log, chat=CHAT, card=alert_card(ALERT))
        yield Stage(control=simulator.control_url, gateway=gateway.url, event_log=event_log, story=story)


def _environment(folder: Path) -> Mapping[str, str]:
    return {
        "LARK_APP_ID": "cli_demo",
        "LARK_APP_SECRET": secrets.token_hex(16),
        "LARK_ENCRYPT_KEY": secrets.token_hex(16),
        "LARK_VERIFICATION_TOKEN": secrets.token_hex(16),
        "CARDWIRE_APP": "cardwire.demo:app",
        "CARDWIRE_LOG": f"sqlite:///{folder / 'log.db'}",
        "CARDWIRE_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
        "CARDWIRE_PORT": "0",
        "CARDWIRE_ADMIN_PORT": "0",
        "CARDWIRE_SIMULATOR_PORT": "0",
    }
