import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from cardwire.cli.asking import Asking
from shared.observability.metrics import CALLBACKS, GATEWAY_METRICS, GROUP_METRICS, Metrics

SOON_S = 0.2


@dataclass(kw_only=True)
class Process:
    """What a process says about itself; may hang instead."""

    lacks: list[str] = field(default_factory=list)
    is_alive: bool = True
    clicks: int = 0
    page: bytes | None = None
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.goes_on.set()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as `shared.admin` does."""
        await self.goes_on.wait()
        match request.path:
            case "/readyz":
                return web.json_response({"lacks": self.lacks}, status=503) if self.lacks else web.Response()
            case "/healthz":
                return web.Response(status=200 if self.is_alive else 503)
            case _:
                return web.Response(body=self.page or self._numbers())

    def _numbers(self) -> bytes:
        metrics = Metrics(*GATEWAY_METRICS)
        metrics.count(CALLBACKS, "cli_a", "card_action", "recorded", by=self.clicks)
        return metrics.exposition()


@asynccontextmanager
async def _asking(*processes: Process) -> AsyncIterator[Asking]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        asking = Asking(session, Metrics(*GROUP_METRICS), within_s=SOON_S)
        for process in processes:
            stack.enter_context(asking.at(await stack.enter_async_context(_served(process))))
        yield asking
        for process in processes:
            process.goes_on.set()


@asynccontextmanager
async def _served(process: Process) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(process.answer), shutdown_timeout=1)  # type: ignore[arg-type]  # BaseRequest
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _number(asking: Asking, name: str) -> float:
    (line,) = (line for line in (await asking.exposition()).decode().splitlines() if line.startswith(name))
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([], ["no_process"]),
        ([[], []], []),
        ([["log_away"], []], []),
        ([["log_away", "spill_full"], ["log_away"]], ["log_away", "spill_full"]),
        ([["said by another program"]], ["no_process"]),
    ],
)
async def test_it_is_ready_when_any_process_is(processes: list[list[str]], expected: list[str]) -> None:
    """Nobody is, before the first one is; then all say what they lack."""
    async with _asking(*(Process(lacks=lacks) for lacks in processes)) as asking:
        assert expected == list(await asking.lacks())


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([], True),
        ([True, True], True),
        ([False, True], False),
    ],
)
async def test_it_is_alive_when_every_process_is(processes: list[bool], expected: bool) -> None:  # noqa: FBT001
    """One that has ended is being started again, and not asked."""
    async with _asking(*(Process(is_alive=is_alive) for is_alive in processes)) as asking:
        assert expected is await asking.is_alive()


async def test_a_process_that_hangs_is_not_waited_for() -> None:
    """It is told of by /healthz, keeps nobody from being ready, and its gauges are left out."""
    hanging = Process(clicks=1)
    async with _asking(hanging, Process(clicks=2)) as asking:
        assert 3.0 == await _number(asking, "cardwire_callbacks_total")
        assert 2.0 == await _number(asking, "cardwire_processes_up")
        hanging.goes_on.clear()
        async with asyncio.timeout(SOON_S * 5):
            assert not await asking.lacks()
            assert not await asking.is_alive()
            assert 1.0 == await _number(asking, "cardwire_processes_up")
        assert 3.0 == await _number(asking, "cardwire_callbacks_total")


async def test_a_process_that_has_ended_is_not_asked_any_more() -> None:
    """What it had counted stays; nobody was ever counted twice."""
    async with _asking(Process(clicks=1)) as asking:
        async with _served(Process(clicks=2, is_alive=False)) as url:
            with ExitStack() as stack:
                stack.enter_context(asking.at(url))
                assert not await asking.is_alive()
                assert 3.0 == await _number(asking, "cardwire_callbacks_total")
        assert await asking.is_alive()
        assert 3.0 == await _number(asking, "cardwire_callbacks_total")


async def test_a_process_whose_port_another_program_has_got_is_left_out() -> None:
    """What that shows is no page of numbers."""
    async with _asking(Process(page=b"{not a metric"), Process(clicks=2)) as asking:
        assert 2.0 == await _number(asking, "cardwire_callbacks_total")
        assert 1.0 == await _number(asking, "cardwire_processes_up")
