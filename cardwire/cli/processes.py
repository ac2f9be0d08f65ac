"""Start a gateway or a worker from the environment's settings, and say in one line that it is ready."""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import structlog
import typer

from cardwire.cli import process
from cardwire.cli.refusals import going_on_if_broken
from shared.app.load import load_apps
from shared.core.errors import CardwireError, ConfigError
from shared.observability import configure_logs
from shared.settings import rereader

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings


class Broken(CardwireError):
    """A process ended by an error that nobody foresaw."""


class Failing(Protocol):
    """A running process that can end by itself."""

    async def failed(self) -> BaseException | None:
        """Wait until it cannot go on, and return why."""


def run_gateway(env: Mapping[str, str], *, parent: int | None, group: int | None = None) -> None:
    """
    Run a gateway, or a group of them, until it is told to stop. Raises what keeps it from starting.

    Args:
        group: It is itself one of a group: see `cardwire.cli.group`. Its ready line goes to this descriptor.
    """
    from gateway.settings import GatewaySettings

    settings = GatewaySettings.load(env)
    configure_logs(settings.observability.level, settings.observability.format)
    handlers = load_apps(settings.apps)
    if settings.processes > 1:
        run_group(settings, env, parent=parent)
        return

    from gateway.app import serve  # what is refused is refused at once, without loading all of it
    from gateway.running import RunningGateway

    async def announce(running: RunningGateway) -> None:
        ready("gateway", to=group, **_addresses(running), **_styles(settings))

    # A click leaves no cycles; looking for them among the clicks under way every 700 objects was a tenth of its cost.
    gc.set_threshold(10_000)
    # A group of clicks goes to Kafka in one piece, which is copied on its way. The C library takes so large pieces
    # from the system and gives them back each time, 130 pages for a group of 64, until it has seen a larger one go.
    bytes(8 << 20)
    serving = serve(settings, handlers, reread=rereader(GatewaySettings, env), share_ports=group is not None)
    process.run(process.serve(serving, announce=announce, ended=ended, parent=parent), fast=False)


def run_group(settings: "GatewaySettings", env: Mapping[str, str], *, parent: int | None) -> None:
    """
    Keep several gateways running as one until told to stop.

    Args:
        settings: What ``env`` says, and every one of them shall read.
    """
    from cardwire.cli.group import RunningGroup, serve_group

    async def announce(running: RunningGroup) -> None:
        await running.ready()
        ready("gateway", to=None, **_addresses(running), **_styles(settings))

    process.run(process.serve(serve_group(settings, env), announce=announce, ended=ended, parent=parent), fast=False)


class _Listening(Protocol):
    """A gateway, or several of them."""

    url: str
    requests_url: str
    admin_url: str


def _addresses(running: _Listening) -> dict[str, str]:
    requests = {"requests": running.requests_url} if running.requests_url else {}
    return {"callbacks": running.url or "long-connection", **requests, "admin": running.admin_url}


def _styles(settings: "GatewaySettings") -> dict[str, str]:
    from gateway.credentials import style_of

    both = any(style_of(told.callbacks) == "both" for told in settings.apps)
    return {"styles": "new+legacy"} if both else {}


def run_worker(env: Mapping[str, str], *, parent: int | None) -> None:
    """Run a worker until it is told to stop. Raises what keeps it from starting or from going on."""
    from worker.settings import WorkerSettings

    settings = WorkerSettings.load(env)
    configure_logs(settings.observability.level, settings.observability.format)
    handlers = load_apps(settings.apps)

    from worker.app import RunningWorker, serve

    async def announce(running: RunningWorker) -> None:
        await running.ready()
        ready("worker", admin=running.admin_url)

    serving = serve(settings, handlers, reread=rereader(WorkerSettings, env))
    process.run(process.serve(serving, announce=announce, ended=ended, parent=parent))


def run_simulator(env: Mapping[str, str]) -> None:
    """Run a simulator until it is told to stop."""
    from simulator.settings import SimulatorSettings

    settings = SimulatorSettings.load(env)
    configure_logs()

    from simulator.app import RunningSimulator
    from simulator.app import run_simulator as serve

    async def announce(running: RunningSimulator) -> None:
        ready("simulator", openapi=running.url, control=running.control_url, callbacks=running.callback_url)

    async def never(_: RunningSimulator) -> None:
        await asyncio.Event().wait()

    @asynccontextmanager
    async def listening() -> AsyncIterator[RunningSimulator]:
        async with AsyncExitStack() as stack:
            try:
                running = await stack.enter_async_context(serve(settings))
            except OSError as error:
                where = f"{settings.host}:{settings.port}"
                raise ConfigError(
                    f"CARDWIRE_SIMULATOR_PORT: cannot listen on {where} ({error.strerror or error}): "
                    "expected a free port, for example CARDWIRE_SIMULATOR_PORT=8901, or 0 for any"
                ) from error
            yield running

    process.run(process.serve(listening(), announce=announce, ended=never, parent=None), fast=False)


async def ended(running: Failing) -> None:
    """
    Raise what ends a process, when it does.

    Raises:
        Broken: By a mistake of ours or of a library's, which is in the log, without what it may hold of secrets.
    """
    match await running.failed():
        case None:
            return
        case CardwireError() as error:
            raise error
        case error:
            structlog.get_logger("cardwire").error("process_broke", exc_info=error)
            raise Broken(f"the process broke ({type(error).__name__}): its last log line says where")


def ready(name: str, *, to: int | None = None, **addresses: str) -> None:
    """
    Print a process's ready line: ``gateway ready callbacks=http://… admin=http://…``.

    Args:
        addresses: What is bound where, and what else is worth a word, as ``styles=new+legacy``.
        to: A descriptor to write it to, instead of standard output; it is closed then.
    """
    line = " ".join([name, "ready", *(f"{what}={address}" for what, address in addresses.items())])
    if to is None:
        with going_on_if_broken(sys.stdout):
            typer.echo(line)
        return
    with os.fdopen(to, "w") as whoever:
        whoever.write(f"{line}\n")
