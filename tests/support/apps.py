"""Several apps: the file that names them, and a world of two with a platform for each."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.app import serve as serve_gateway
from gateway.settings import GatewaySettings
from shared.app.load import Handlers
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from shared.settings import load, rereader
from shared.settings.apps import setting_of
from simulator.app import RunningSimulator, run_simulator
from simulator.settings import SimulatorSettings
from tests.support.world import Stack, World
from worker.app import serve as serve_worker
from worker.ledger.open import open_ledger
from worker.settings import WorkerSettings

ALERTS: Final = {
    "app_id": "cli_a1b2c3d4e5f60718",
    "app_secret": "secret-of-alerts",
    "encrypt_key": "key-of-alerts",
    "verification_token": "token-of-alerts",
}
"""New style, encrypted."""

BILLING: Final = {
    "app_id": "cli_b1b2c3d4e5f60718",
    "app_secret": "secret-of-billing",
    "verification_token": "token-of-billing",
    "callbacks": "legacy",
}
"""Legacy style, with a token only."""


def write_apps(path: Path, apps: Mapping[str, Mapping[str, str]]) -> Path:
    """Write the file of several apps, and return where it is."""
    lines = [
        line
        for name, fields in apps.items()
        for line in (f"[apps.{name}]", *(f"{field} = {json.dumps(text)}" for field, text in fields.items()))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(kw_only=True)
class Several:
    """Two apps in one gateway and one worker; `world` looks at log and ledger, each simulator is one app's platform."""

    world: World
    alerts: RunningSimulator
    billing: RunningSimulator


@asynccontextmanager
async def several(
    stack: Stack,
    folder: Path,
    handlers: Handlers,
    *,
    alerts: Mapping[str, str] = ALERTS,
    billing: Mapping[str, str] = BILLING,
    known_to_worker: tuple[str, ...] = ("alerts", "billing"),
) -> AsyncIterator[Several]:
    """
    Run two apps on ``stack`` as long as the block lasts.

    Args:
        folder: Where the files of apps are written.
        alerts, billing: What their tables say; where the platform is, is added.
        known_to_worker: The apps that the worker is told of.
    """
    topics = Topics.prefixed(stack.prefix)
    async with AsyncExitStack() as closing:
        event_log = open_log(stack.log, topics=topics)
        closing.push_async_callback(event_log.close)
        await event_log.create([topics.interactions, topics.outcomes, topics.dead])
        ledger = open_ledger(stack.ledger)
        closing.push_async_callback(ledger.close)
        await ledger.upgrade()
        simulators = {
            name: await closing.enter_async_context(run_simulator(SimulatorSettings.load(alone(table))))
            for name, table in (("alerts", alerts), ("billing", billing))
        }
        tables = {
            name: {**table, "domain": simulators[name].url}
            for name, table in (("alerts", alerts), ("billing", billing))
        }
        env = {**stack.env(), "CARDWIRE_APP": "tests:app", "CARDWIRE_PORT": "0", "CARDWIRE_ADMIN_PORT": "0"}
        for_gateway = {**env, "CARDWIRE_APPS": str(write_apps(folder / "gateway.toml", tables))}
        gateway = await closing.enter_async_context(
            serve_gateway(GatewaySettings.load(for_gateway), handlers, reread=rereader(GatewaySettings, for_gateway))
        )
        for name, simulator in simulators.items():
            simulator.callback_urls = (f"{gateway.url}/webhook/{name}/card",) if gateway.url else ()
        known = {name: tables[name] for name in known_to_worker}
        for_worker = {**env, "CARDWIRE_APPS": str(write_apps(folder / "worker.toml", known))}
        worker = await closing.enter_async_context(serve_worker(load(WorkerSettings, for_worker), handlers))
        world = World(
            stack=stack,
            env=for_worker,
            app=next(iter(handlers.values())) if isinstance(handlers, Mapping) else handlers,
            topics=topics,
            event_log=event_log,
            ledger=ledger,
            simulator=simulators["alerts"],
            gateway=gateway,
            workers=[worker],
            closing=closing,
        )
        yield Several(world=world, alerts=simulators["alerts"], billing=simulators["billing"])


def alone(table: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment of the simulator of one app, whose table holds its secrets itself."""
    env = {setting_of(field): text for field, text in table.items()}
    return {**env, "CARDWIRE_SIMULATOR_PORT": "0"}
