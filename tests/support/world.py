"""
A whole Cardwire beside a platform, in one process: gateway, workers, simulator, each on a port of its own.

Only outside effects are looked at: what the simulator saw, what lies in the log, what the ledger holds.
"""

import asyncio
import inspect
import itertools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from gateway.app import serve as serve_gateway
from gateway.running import RunningGateway
from gateway.settings import GatewaySettings
from shared.app.app import App
from shared.clock import Clock, ManualClock
from shared.core.codec import decode, encode
from shared.core.errors import LedgerUnavailable, LogUnavailable
from shared.core.events import Decided, EffectOutcome, Event, Output
from shared.core.fold import fold
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import EventLog, NewRecord, Topics
from shared.feishu.connection import DEFAULTS, Parameters
from shared.observability.traces import Traces
from simulator.app import RunningSimulator, run_simulator
from simulator.history import KEPT, CallSeen
from simulator.settings import SimulatorSettings
from tests.support.dump import dump
from tests.support.fold_equals_ledger import assert_fold_equals_ledger
from tests.support.proved import promises_broken_in
from tests.support.rebuilt_equals_ledger import assert_rebuilt_equals_ledger
from worker.app import RunningWorker
from worker.app import serve as serve_worker
from worker.keeping import DAY_MS, KEEP_DAYS
from worker.ledger.open import open_ledger
from worker.ledger.sql_ledger import SqlLedger
from worker.platform.client import HttpPlatform
from worker.platform.tickets import LedgerTickets
from worker.settings import WorkerSettings

PATIENCE_S: Final = 60.0
STEP_S: Final = 0.25
"""How far a manual clock moves at a time, unless somebody waits for less."""

_worlds = itertools.count(1)

ENCRYPTED: Final = {"LARK_ENCRYPT_KEY": "kudjA9Q2lGrwEXyzTestEncryptKey01", "LARK_VERIFICATION_TOKEN": "vtok0123456789"}
TOKEN_ONLY: Final = {"LARK_VERIFICATION_TOKEN": "vtok0123456789"}
LONG_CONNECTION: Final = {"LARK_DELIVERY": "websocket"}
LEGACY: Final = {"LARK_VERIFICATION_TOKEN": "vtok0123456789", "LARK_CALLBACKS": "legacy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Where log and ledger are, and in which topics."""

    log: str
    ledger: str
    prefix: str = ""

    def env(self) -> dict[str, str]:
        """Return the settings that name them."""
        return {"CARDWIRE_LOG": self.log, "CARDWIRE_LEDGER": self.ledger, "CARDWIRE_TOPIC_PREFIX": self.prefix}


def files(folder: Path) -> Stack:
    """Return a stack of SQLite files."""
    return Stack(log=f"sqlite:///{folder / 'log.db'}", ledger=f"sqlite:///{folder / 'ledger.db'}")


def services(kafka: str, postgres_url: str) -> Stack:
    """Return a stack on a real Kafka and a real PostgreSQL, with topics of its own."""
    return Stack(log=f"kafka://{kafka}", ledger=postgres_url, prefix=f"t{os.getpid()}-{next(_worlds)}.")


def clock_of_now() -> ManualClock:
    """Return a clock that stands at this moment: real brokers and files delete what looks a month old to them."""
    return ManualClock(time.time_ns() // 1_000_000)


class Busy:
    """
    Counts the calls that are under way, so that a manual clock moves only while there are none.

    Attributes:
        patience_s: After so long (real time) it moves all the same: a call may itself be waiting for the clock.
        calm_ms: How long nothing has to be under way (real time).
    """

    def __init__(self) -> None:
        self.under_way = 0
        self.patience_s = 0.05
        self.calm_ms = 3

    def watch(self, behind: Any) -> Any:
        """Return a stand-in for a ledger or a platform whose calls are counted."""
        return _Watched(behind, self)

    async def over(self) -> None:
        """Return when nothing has been under way for a moment."""
        deadline = time.monotonic() + self.patience_s
        calm = 0
        while calm < self.calm_ms and time.monotonic() < deadline:
            await asyncio.sleep(0.001)
            calm = 0 if self.under_way else calm + 1


class _Watched:
    def __init__(self, behind: Any, busy: Busy) -> None:
        self._behind, self._busy = behind, busy

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)
        return self._counted(found) if callable(found) else found

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def awaited(answer: Awaitable[Any]) -> Any:
            self._busy.under_way += 1
            try:
                return await answer
            finally:
                self._busy.under_way -= 1

        def call(*args: Any, **named: Any) -> Any:
            answer = method(*args, **named)
            return awaited(answer) if inspect.isawaitable(answer) else answer

        return call


@dataclass(kw_only=True)
class World:
    """What runs, and how to look at it."""

    stack: Stack
    env: Mapping[str, str]
    app: App
    topics: Topics
    event_log: EventLog
    ledger: SqlLedger
    simulator: RunningSimulator
    gateway: RunningGateway
    workers: list[RunningWorker] = field(default_factory=list)
    clock: Clock | None = None
    shared_log: EventLog | None = None
    closing: AsyncExitStack
    busy: Busy = field(default_factory=Busy)

    async def start_worker(self, **overrides: Any) -> RunningWorker:
        """Start one more worker."""
        return await self.closing.enter_async_context(self.worker(**overrides))

    @asynccontextmanager
    async def worker(
        self, env: Mapping[str, str] = MappingProxyType({}), **overrides: Any
    ) -> AsyncIterator[RunningWorker]:
        """Run a worker for as long as the block lasts, with other settings, handlers or back ends as told."""
        settings = WorkerSettings.load({**self.env, "LARK_DOMAIN": self.simulator.url, **env})
        given: dict[str, Any] = {"clock": self.clock, "app": self.app, "event_log": self.shared_log, **overrides}
        async with AsyncExitStack() as closing:
            if self.clock is not None:
                given["ledger"] = self.busy.watch(given.get("ledger") or self.ledger)
            if self.clock is not None and "platform" not in given:
                platform = await closing.enter_async_context(
                    HttpPlatform.of(settings, self.clock, LedgerTickets(self.ledger, "tests"))
                )
                given["platform"] = self.busy.watch(platform)
            running = await closing.enter_async_context(serve_worker(settings, given.pop("app"), **given))
            self.workers.append(running)
            closing.callback(self.workers.remove, running)
            closing.push_async_callback(self.stop_worker, running)
            yield running

    async def stop_worker(self, running: RunningWorker) -> None:
        """Stop a worker; what it finishes may wait for the clock."""
        stopping = asyncio.ensure_future(running.stop())
        await self.until(stopping.done)

    async def append(self, *events: Event) -> None:
        """Put events into the interactions topic, as a gateway does."""
        await self.event_log.append([NewRecord.of(self.topics.interactions, encode(event)) for event in events])

    def calls(self, api: str | None = None, *, target: str | None = None) -> list[CallSeen]:
        """Return the calls that the simulator saw, of one API, about one target, or all."""
        seen = self.simulator.platform.history.calls.after(0, KEPT)
        return [call for call in seen if (api is None or call.api == api) and (target is None or call.target == target)]

    async def chat(self, name: str = "支付告警") -> str:
        """Return a new chat."""
        return self.simulator.platform.new_chat(name).chat_id

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], *, patience_s: float = PATIENCE_S) -> None:
        """Wait, bounded, until something holds; a manual clock is moved meanwhile, whenever nothing is under way."""
        deadline = time.monotonic() + patience_s
        while not await _holds(condition):
            if time.monotonic() > deadline:
                raise AssertionError("it did not come about in time")
            if isinstance(self.clock, ManualClock):
                await self.busy.over()
                self.clock.advance(min(STEP_S, max(0.001, self.clock.next_wake() or STEP_S)))
            else:
                await asyncio.sleep(0.01)

    async def quiet(self, *, patience_s: float = PATIENCE_S) -> None:
        """Wait until everything logged is decided, every effect is at its end, and everything is told."""
        await self.until(self._is_quiet, patience_s=patience_s)

    async def _is_quiet(self) -> bool:
        try:
            return await self._has_nothing_to_do()
        except (LedgerUnavailable, LogUnavailable):
            return False  # It went away a while ago, and our own connections did not know.

    async def _has_nothing_to_do(self) -> bool:
        ends = await self._all_decided()
        if ends is None:
            return False
        if (await self.ledger.pulse()).next_due is not None:
            return False
        if any(row["status"] == "pending" for row in (await dump(self.ledger.database)).effects):
            return False
        # What was done between these questions has left its row here, or what was relayed from it lies in the log. What
        # was decided of that since has left its row behind our question: then the log is longer than it was.
        return await self.ledger.outbox_depth() == 0 and await self._all_decided() == ends

    async def _all_decided(self) -> Mapping[int, int] | None:
        """Return where the inputs end, if all of them are decided."""
        spans = await self.event_log.spans(self.topics.interactions)
        positions = await self.ledger.positions()
        ends = {partition: span.end for partition, span in spans.items()}
        return ends if all(positions[partition].next == end for partition, end in ends.items()) else None

    async def events(self, topic: str) -> list[Event]:
        """Return the events of a topic, partition by partition."""
        found: list[Event] = []
        for partition, span in (await self.event_log.spans(topic)).items():
            offset = span.begin
            while offset < span.end and (some := await self.event_log.read(topic, partition, offset, limit=1000)):
                found += [decode(record.headers, record.value) for record in some]
                offset = some[-1].offset + 1
        return found

    async def decisions(self) -> list[Decided]:
        """Return what was decided, as told."""
        return [event for event in await self.events(self.topics.outcomes) if isinstance(event, Decided)]

    async def outcomes(self) -> list[EffectOutcome]:
        """Return what became of effects, as told."""
        return [event for event in await self.events(self.topics.outcomes) if isinstance(event, EffectOutcome)]

    async def check(self) -> None:
        """
        Fail unless what was told folds and rebuilds to the ledger, the log proves itself, and limits were kept.

        What the ledger has kept for its time, and deleted since, the log may still have.
        """
        decisions = await self.decisions()
        outputs: list[Output] = [*decisions, *await self.outcomes()]
        held = await dump(self.ledger.database)
        since = await self.ledger.now() - KEEP_DAYS * DAY_MS
        swept = {(one.app_id, one.event_id) for one in decisions if one.decided_at <= since}
        swept -= {(row["app_id"], row["event_id"]) for row in held.claims}
        folded = fold(outputs)
        folded.claims = {key: one for key, one in folded.claims.items() if key not in swept}
        folded.effects = {key: one for key, one in folded.effects.items() if key[:2] not in swept}
        assert_fold_equals_ledger(folded, held)
        await assert_rebuilt_equals_ledger(self.event_log, self.topics, held, clock=self.clock, swept=swept)
        assert [] == await promises_broken_in(self.event_log, self.topics)
        assert not self.simulator.platform.judge.violations


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    held = condition()
    return held if isinstance(held, bool) else await held


@asynccontextmanager
async def world(
    stack: Stack,
    app: App,
    *,
    credentials: Mapping[str, str] = ENCRYPTED,
    limits: str = "1",
    clock: Clock | None = None,
    workers: int = 1,
    shared_log: OpenedLog | None = None,
    asks: Parameters = DEFAULTS,
    traces: Traces | None = None,
) -> AsyncIterator[World]:
    """
    Run everything on ``stack`` as long as the block lasts.

    Args:
        clock: One for all of them, the ledger included; else each has its own.
        shared_log: Used by all of them instead of the stack's log, and left open.
        asks: What the platform asks of long connections.
        traces: Where the gateway tells of spans.
    """
    env = {
        "LARK_APP_ID": "cli_a1b2c3d4e5f60718",
        "LARK_APP_SECRET": "s3cr3t-not-real",
        "CARDWIRE_APP": "tests:app",
        "CARDWIRE_PORT": "0",
        "CARDWIRE_ADMIN_PORT": "0",
        "CARDWIRE_SIMULATOR_PORT": "0",
        "CARDWIRE_LIMITS": limits,
        "CARDWIRE_SIMULATOR_LIMITS": limits,
        **credentials,
        **stack.env(),
    }
    topics = Topics.prefixed(stack.prefix)
    async with AsyncExitStack() as closing:
        event_log = shared_log or open_log(stack.log, topics=topics)
        if shared_log is None:
            closing.push_async_callback(event_log.close)
        await event_log.create([topics.interactions, topics.outcomes, topics.dead])
        ledger = open_ledger(stack.ledger, clock=clock)
        closing.push_async_callback(ledger.close)
        await ledger.upgrade()
        simulator = await closing.enter_async_context(run_simulator(SimulatorSettings.load(env), clock=clock))
        simulator.connections.asked.parameters = asks
        settings = GatewaySettings.load({**env, "LARK_DOMAIN": simulator.url})
        gateway = await closing.enter_async_context(
            serve_gateway(settings, app, event_log=shared_log, clock=clock, traces=traces)
        )
        simulator.callback_urls = (f"{gateway.url}/webhook/card",) if gateway.url else ()
        running = World(
            stack=stack,
            env=env,
            app=app,
            topics=topics,
            event_log=event_log,
            ledger=ledger,
            simulator=simulator,
            gateway=gateway,
            clock=clock,
            shared_log=shared_log,
            closing=closing,
        )
        for _ in range(workers):
            await running.start_worker()
        yield running
