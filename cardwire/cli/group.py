"""
`cardwire gateway --processes`: several gateways on one machine that look like one.

They share the ports for callbacks and for requests (`gateway.listening.ports`), and nothing else: each has a spill
file and a long connection of its own. This process serves nobody who clicks. It reserves the ports, keeps the others
running, prints one ready line when all of them have said theirs, and speaks for them on the admin port.

The first is started alone: what refuses one refuses all, and is told once.

Guarantees
    *Crash* of one: callers whose callbacks it had not answered see their connections end; the others serve, and one
    of them, or its successor, drains its spill. *Crash* of this process: the others end in an orderly way within a
    second or two, because nobody would start them again. *SIGTERM*: all drain at the same time.
    One that hangs keeps its part of new connections: the kernel does not know. ``/healthz`` tells of it.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import aiohttp
import structlog

from cardwire.cli.asking import Asking
from cardwire.cli.supervise import Child, keep, running
from gateway.listening.ports import reserved, url_of
from gateway.settings import GatewaySettings
from shared.admin import Probes, serve_admin
from shared.clock import Clock, SystemClock
from shared.core.errors import ConfigError
from shared.observability import say
from shared.observability.metrics import GROUP_METRICS, PROCESSES_LOST, Metrics

log = structlog.get_logger("cardwire")


class RunningGroup:
    """
    Gateways at work. Leaving `serve_group` stops them.

    Attributes:
        url: Where callbacks are received; empty without a webhook.
        requests_url: Where requests are received; empty without that port.
        admin_url: Where this process speaks for all.
    """

    def __init__(self, children: Sequence[Child], asking: Asking, metrics: Metrics, *, clock: Clock) -> None:
        self._asking, self._metrics, self._clock = asking, metrics, clock
        self._were_ready = [asyncio.Event() for _ in children]
        self._keeping = [asyncio.create_task(self._keep(*each)) for each in enumerate(children)]
        self.url = ""
        self.requests_url = ""
        self.admin_url = ""

    async def ready(self) -> None:
        """Wait until each of them has been ready."""
        for was_ready in self._were_ready:
            await was_ready.wait()

    async def failed(self) -> BaseException | None:
        """Wait until one of them cannot be kept running, and return why."""
        ends, _ = await asyncio.wait(self._keeping, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(ends)).exception()

    async def stop(self) -> None:
        """Stop all at the same time, and wait until they have ended."""
        for task in self._keeping:
            task.cancel()
        await asyncio.wait(self._keeping)

    async def _keep(self, number: int, child: Child) -> None:
        async def run(child: Child) -> int:
            code = await self._run(child, self._were_ready[number])
            self._metrics.count(PROCESSES_LOST)
            return code

        if number > 0:
            await self._were_ready[0].wait()
        await keep(child, run, clock=self._clock, tell=_tell)

    async def _run(self, child: Child, was_ready: asyncio.Event) -> int:
        async with AsyncExitStack() as stack:
            reading, writing = os.pipe()
            try:
                announced = await stack.enter_async_context(_read(reading))
                command = (*child.command, "--group", str(writing))
                process = await stack.enter_async_context(running(command, child.env, pass_fds=[writing]))
            finally:
                os.close(writing)
            if line := (await announced.readline()).decode():  # Nothing: it ended without.
                stack.enter_context(self._asking.at(_admin_url(line)))
                log.info("process_ready", process=child.name)
                was_ready.set()
            return await process.wait()


@asynccontextmanager
async def serve_group(
    settings: GatewaySettings, env: Mapping[str, str], *, clock: Clock | None = None
) -> AsyncIterator[RunningGroup]:
    """
    Run several gateways until the block is left.

    Args:
        settings: What was told, with the number of processes.
        env: What the settings were read from; each process reads it again.

    Raises:
        ConfigError: Ports cannot be shared here, or one of them cannot be had.
    """
    check_platform(settings.processes, sys.platform)
    async with AsyncExitStack() as stack:
        more, url, requests_url = {}, "", ""
        if any(told.callbacks.delivery != "websocket" for told in settings.apps):
            address = stack.enter_context(reserved(settings.host, settings.port))
            more, url = {"CARDWIRE_PORT": str(address[1])}, url_of(address)
        if (port := settings.requests.port) is not None:
            address = stack.enter_context(reserved(settings.requests.host, port, what="REQUESTS_"))
            more, requests_url = {**more, "CARDWIRE_REQUESTS_PORT": str(address[1])}, url_of(address)
        metrics = Metrics(*GROUP_METRICS)
        asking = Asking(await stack.enter_async_context(aiohttp.ClientSession()), metrics)
        probes = Probes(alive=asking.is_alive, lacks=asking.lacks, metrics=asking)
        admin_url = await stack.enter_async_context(serve_admin(settings.admin_host, settings.admin_port, probes))
        children = [_child(n, {**env, **more, **_OWN}) for n in range(1, settings.processes + 1)]
        group = RunningGroup(children, asking, metrics, clock=clock or SystemClock())
        stack.push_async_callback(group.stop)
        group.url, group.requests_url, group.admin_url = url, requests_url, admin_url
        yield group


def check_platform(processes: int, platform: str) -> None:
    """
    Refuse to share ports where that does not spread callers over processes.

    Args:
        platform: As `sys.platform` has it.

    Raises:
        ConfigError: It does not.
    """
    if platform != "linux":
        raise ConfigError(
            f"CARDWIRE_PROCESSES is {processes}: expected 1 on this system ({platform}), where processes cannot share "
            "a port as they can on Linux, for example CARDWIRE_PROCESSES=1"
        )


_OWN: Final = {"CARDWIRE_PROCESSES": "1", "CARDWIRE_ADMIN_HOST": "127.0.0.1", "CARDWIRE_ADMIN_PORT": "0"}
"""What each process is told instead: it is one, and its own admin port is for us."""


def _child(number: int, env: Mapping[str, str]) -> Child:
    # -P: a folder called `gateway` where the command is run does not take the place of ours.
    command = (sys.executable, "-P", "-m", "cardwire", "gateway", "--parent", str(os.getpid()))
    return Child(name=f"gateway process {number}", command=command, env=env)


@asynccontextmanager
async def _read(descriptor: int) -> AsyncIterator[asyncio.StreamReader]:
    """Give what can be read from a pipe, which is closed then."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        yield reader
    finally:
        transport.close()


def _admin_url(ready_line: str) -> str:
    return dict(told.split("=", 1) for told in ready_line.split()[2:])["admin"]


def _tell(line: str) -> None:
    say(f"cardwire: {line}")
