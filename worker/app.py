"""The worker, put together: the only module of it that knows which back ends there are."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from shared.admin import Probes, serve_admin
from shared.app.app import App
from shared.app.load import Handlers, of_each
from shared.clock import Clock, SystemClock
from shared.core.callers import NOBODY
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from shared.lacks import Lack
from shared.observability.traces import Traces, open_traces
from shared.reread import rereading
from worker.alarm import Alarm
from worker.calling.runner import Runner
from worker.deciding.consume import Consume
from worker.deciding.handlers import HandlerThreads
from worker.ledger.open import open_ledger
from worker.ledger.port import Ledger, Settled, Write
from worker.measure import Measure
from worker.meter import Meter
from worker.performing.pump import Pump
from worker.performing.settle import Settler
from worker.performing.throttle import Throttle
from worker.platform.client import HttpPlatform, Platform
from worker.platform.tickets import LedgerTickets
from worker.relay import Relay
from worker.settings import WorkerSettings
from worker.start import compare

STALLED_S: Final = 30.0
"""A consumer that polled nothing for so long, and is not paused on purpose, is not alive."""

READY_CHECK_S: Final = 0.1

log = structlog.get_logger("cardwire.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stages:
    """The loops, in the order they are stopped in: nobody's work is left to one that has gone."""

    consume: Consume
    pump: Pump
    settler: Settler
    relay: Relay
    measure: Measure


class RunningWorker:
    """A worker at work. Leaving `serve` stops it."""

    def __init__(self, stages: _Stages, event_log: EventLog, clock: Clock, meter: Meter) -> None:
        self._stages, self._log, self._clock = stages, event_log, clock
        self._tasks = _start(stages)
        self.metrics = meter.metrics
        self.admin_url = ""
        stages.measure.lacks = self.lacks

    async def is_ready(self) -> bool:
        """Say whether clicks are decided and effects performed: log and ledger answer, and nothing stands still."""
        return not await self.lacks()

    async def lacks(self) -> Sequence[Lack]:
        """Say what keeps clicks from being decided, or effects from being performed."""
        stages = self._stages
        consume = stages.consume
        told: dict[Lack, bool] = {
            "starting": not consume.began,
            "stalled": not self.is_alive(),
            "log_away": consume.pausing == "log" or not await self._log.ready(),
            "ledger_away": consume.pausing == "ledger" or stages.pump.away,
            "newer_record": consume.halted is not None,
            "too_much_failed": consume.stopped,
            "outbox_full": stages.relay.full,
        }
        return [lack for lack, is_so in told.items() if is_so]

    async def ready(self) -> None:
        """Wait until it is ready: at once, unless it stands by while another worker reads its SQLite log."""
        while not await self.is_ready():
            await self._clock.sleep(READY_CHECK_S)

    def is_alive(self) -> bool:
        """Say whether a restart would not help: all loops run, and the consumer polls unless paused on purpose."""
        consume = self._stages.consume
        polls = self._clock.monotonic() - consume.progress < STALLED_S
        return not self._broken() and bool(polls or consume.pausing or consume.halted or consume.stopped)

    async def failed(self) -> BaseException | None:
        """Wait until a loop ends by an error, and return the error: the process cannot go on. `None` once stopped."""
        await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        return self._broken()

    def _broken(self) -> BaseException | None:
        ended = [task for task in self._tasks.values() if task.done() and not task.cancelled()]
        return next((error for task in ended if (error := task.exception()) is not None), None)

    async def stop(self) -> None:
        """Stop polling, finish the calls under way, settle, relay; each stage only when the one before has ended."""
        stages = self._stages
        for name, stop in (
            ("consume", stages.consume.stop),
            ("pump", stages.pump.stop),
            ("settler", stages.settler.stop),
            ("relay", stages.relay.stop),
            ("measure", stages.measure.stop),
        ):
            stop()
            await asyncio.wait([self._tasks[name]])


@asynccontextmanager
async def serve(
    settings: WorkerSettings,
    handlers: Handlers,
    *,
    reread: Callable[[], WorkerSettings] | None = None,
    event_log: EventLog | None = None,
    ledger: Ledger | None = None,
    platform: Platform | None = None,
    clock: Clock | None = None,
    rng: random.Random | None = None,
    traces: Traces | None = None,
) -> AsyncIterator[RunningWorker]:
    """
    Run a worker until the block is left. Back ends that are given are used and left open; others are made and closed.

    Args:
        handlers: The user's, of all apps or of each.
        reread: Reads the settings again, where secrets are in files that may change; may block.

    Raises:
        StartRefused: Log and ledger do not tell the same history.
        SchemaMismatch: The database's schema is not this program's.
        LedgerUnavailable, LogUnavailable: They cannot be reached at start.
    """
    clock = clock or SystemClock()
    topics = Topics.prefixed(settings.log.topic_prefix)
    async with AsyncExitStack() as stack:
        if traces is None and (traces := open_traces(settings.observability.traces, "cardwire-worker")) is not None:
            stack.push_async_callback(traces.close)
        if ledger is None:
            ledger = open_ledger(settings.ledger.reveal(), settle_ms=settings.settle_ms)
            stack.push_async_callback(ledger.close)
        if event_log is None:
            event_log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
            stack.push_async_callback(event_log.close)
        if platform is None:
            tickets = LedgerTickets(ledger, f"{socket.gethostname()}/{os.getpid()}")
            platform = await stack.enter_async_context(HttpPlatform.of(settings, clock, tickets))
        await ledger.check()
        if event_log.features.makes_topics:
            await event_log.create([topics.interactions, topics.outcomes, topics.dead])
        meter = Meter()
        for passed in await compare(event_log, ledger, topics):
            log.error("records_lost_to_retention", partition=passed.partition, at=passed.position, begin=passed.begin)
            meter.lost(passed.begin - passed.position)
        stages = _stages(
            settings,
            of_each(handlers, settings.apps),
            event_log,
            ledger,
            platform,
            topics=topics,
            clock=clock,
            meter=meter,
            traces=traces,
            rng=rng or random.Random(),  # noqa: S311 - spreads retries, guards nothing
        )
        if reread is not None:
            renew = partial(_renew, platform=platform, consume=stages.consume)
            reading = await stack.enter_async_context(rereading(reread, settings, renew, clock=clock))
            stages.consume.reread = reading.now
        running = RunningWorker(stages, event_log, clock, meter)
        stack.push_async_callback(running.stop)
        probes = Probes(alive=running.is_alive, lacks=running.lacks, metrics=meter.metrics)
        running.admin_url = await stack.enter_async_context(
            serve_admin(settings.admin_host, settings.admin_port, probes)
        )
        yield running


def _renew(settings: WorkerSettings, *, platform: Platform, consume: Consume) -> None:
    if isinstance(platform, HttpPlatform):
        platform.renew(settings.platforms)
    consume.callers = settings.callers or NOBODY


def _stages(
    settings: WorkerSettings,
    apps: Mapping[AppId, App],
    event_log: EventLog,
    ledger: Ledger,
    platform: Platform,
    *,
    topics: Topics,
    clock: Clock,
    meter: Meter,
    traces: Traces | None,
    rng: random.Random,
) -> _Stages:
    owner = f"{socket.gethostname()}/{os.getpid()}/{rng.getrandbits(32):08x}"
    shows_cards = any(app.shows_cards for app in apps.values())
    alarm = Alarm(clock)
    relay = Relay(event_log=event_log, ledger=ledger, owner=owner, clock=clock, meter=meter)

    def committed(write: Write, at: EpochMs) -> None:
        alarm.learn(at)
        for effect in write.effects:
            alarm.at(at + effect.due_in_ms)
        if write.marks:
            # A card that a click was answered with is on the screen: it is written down at once.
            alarm.at(at if shows_cards else at + settings.settle_ms)
            alarm.at(at + settings.settle_ms)
        relay.nudge()

    def settled(by: Settled) -> None:
        if by.next_due is not None:
            alarm.at(by.next_due)
        meter.leases_lost(len(by.lost))
        relay.nudge()

    settler = Settler(ledger=ledger, owner=owner, clock=clock, settled=settled)
    consume = Consume(
        apps=apps,
        event_log=event_log,
        ledger=ledger,
        topics=topics,
        group=settings.group,
        clock=clock,
        meter=meter,
        committed=committed,
        handlers=HandlerThreads(),
        settle_ms=settings.settle_ms,
        callers=settings.callers or NOBODY,
        stores=settings.stores,
        traces=traces,
    )
    return _Stages(
        consume=consume,
        pump=Pump(
            ledger=ledger,
            platform=platform,
            topics=topics,
            throttle=Throttle(settings.limits, settings.stores),
            settler=settler,
            relay=relay,
            alarm=alarm,
            clock=clock,
            meter=meter,
            rng=rng,
            owner=owner,
            concurrency=settings.concurrency,
            settle_ms=settings.settle_ms,
            apps=apps,
            runner=Runner(),
            traces=traces,
        ),
        settler=settler,
        relay=relay,
        measure=Measure(
            event_log=event_log,
            ledger=ledger,
            topic=topics.interactions,
            positions=lambda: consume.positions,
            limits=settings.limits,
            clock=clock,
            meter=meter,
        ),
    )


def _start(stages: _Stages) -> dict[str, asyncio.Task[None]]:
    loops: dict[str, Coroutine[Any, Any, None]] = {
        "consume": stages.consume.run(),
        "pump": stages.pump.run(),
        "settler": stages.settler.run(),
        "relay": stages.relay.run(),
        "measure": stages.measure.run(),
    }
    return {name: asyncio.create_task(loop, name=f"worker-{name}") for name, loop in loops.items()}
