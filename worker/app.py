"""The worker, put together: the only module of it that knows which back ends there are."""

import os
import random
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from shared.admin import Probes, serve_admin
from shared.app.app import App
from shared.app.load import Handlers, of_each
from shared.clock import Clock, SystemClock
from shared.core.callers import NOBODY
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import Topics
from shared.observability.traces import Traces, open_traces
from shared.reread import rereading
from worker.alarm import Alarm
from worker.calling.runner import Runner
from worker.deciding.consume import Consume
from worker.deciding.handlers import HandlerThreads
from worker.ledger.decided import Write
from worker.ledger.leased import Settled
from worker.ledger.open import open_ledger
from worker.ledger.port import Ledger
from worker.measure import Measure
from worker.meter import Meter
from worker.performing.errands import Errands
from worker.performing.ports import Performing
from worker.performing.pump import Pump
from worker.performing.reporting import Reporting
from worker.performing.settle import Settler
from worker.performing.throttle import Throttle
from worker.platform.client import HttpPlatform, Platform
from worker.platform.tickets import LedgerTickets
from worker.relay import Relay
from worker.retention import Retention
from worker.running import RunningWorker, Stages
from worker.settings import WorkerSettings
from worker.start import compare

__all__ = ["RunningWorker", "serve"]

log = structlog.get_logger("cardwire.worker")


@asynccontextmanager
async def serve(
    settings: WorkerSettings,
    handlers: Handlers,
    *,
    reread: Callable[[], WorkerSettings] | None = None,
    event_log: OpenedLog | None = None,
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
            ledger = open_ledger(settings.ledger.reveal())
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
        kept_ms = settings.keeping.of("events")
        for passed in await compare(event_log, ledger, topics, kept_ms=kept_ms):
            log.error("records_lost_to_retention", partition=passed.partition, at=passed.position, begin=passed.begin)
            meter.lost(passed.begin - passed.position)
        parts = _Parts(
            settings=settings,
            apps=of_each(handlers, settings.apps),
            event_log=event_log,
            ledger=ledger,
            platform=platform,
            topics=topics,
            clock=clock,
            meter=meter,
            traces=traces,
            rng=rng or random.Random(),  # noqa: S311 - spreads retries, guards nothing
        )
        stages = _stages(parts)
        if reread is not None:
            renew = partial(_renew, platform=platform, consume=stages.consume)
            reading = await stack.enter_async_context(rereading(reread, settings, renew, clock=clock, process="worker"))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What the loops are made of."""

    settings: WorkerSettings
    apps: Mapping[AppId, App]
    event_log: OpenedLog
    ledger: Ledger
    platform: Platform
    topics: Topics
    clock: Clock
    meter: Meter
    traces: Traces | None
    rng: random.Random


def _stages(parts: _Parts) -> Stages:
    owner = f"{socket.gethostname()}/{os.getpid()}/{parts.rng.getrandbits(32):08x}"
    alarm, meter, clock = Alarm(parts.clock), parts.meter, parts.clock
    relay = Relay(
        event_log=parts.event_log,
        ledger=parts.ledger,
        inputs=parts.topics.interactions,
        owner=owner,
        clock=clock,
        meter=meter,
    )

    def settled(by: Settled) -> None:
        if by.next_due is not None:
            alarm.at(by.next_due)
        meter.leases_lost(len(by.lost))
        relay.nudge()

    settler = Settler(ledger=parts.ledger, owner=owner, clock=clock, settled=settled)
    consume = _consume(parts, alarm, relay)
    performing = Performing(
        ledger=parts.ledger, owner=owner, clock=clock, alarm=alarm, meter=meter, chance=parts.rng.random
    )
    return Stages(
        consume=consume,
        pump=_pump(parts, performing, settler, relay),
        settler=settler,
        relay=relay,
        measure=Measure(
            event_log=parts.event_log,
            ledger=parts.ledger,
            topic=parts.topics.interactions,
            positions=lambda: consume.positions,
            limits=parts.settings.limits,
            clock=clock,
            meter=meter,
        ),
        retention=Retention(
            ledger=parts.ledger,
            event_log=parts.event_log,
            topics=parts.topics,
            keeping=parts.settings.keeping,
            owner=owner,
            clock=clock,
            meter=meter,
        ),
    )


def _consume(parts: _Parts, alarm: Alarm, relay: Relay) -> Consume:
    settings = parts.settings
    shows_cards = any(app.shows_cards for app in parts.apps.values())

    def committed(write: Write, at: EpochMs) -> None:
        # What was just stored is performed when it is due: no sweep is waited for.
        alarm.learn(at)
        for effect in write.effects:
            alarm.at(at + effect.due_in_ms)
        waits = {mark.due_in_ms for mark in write.marks}
        if shows_cards:
            waits |= {mark.card_due_in_ms for mark in write.marks}
        for wait_ms in waits:
            alarm.at(at + wait_ms)
        relay.nudge()

    return Consume(
        apps=parts.apps,
        event_log=parts.event_log,
        ledger=parts.ledger,
        topics=parts.topics,
        group=settings.group,
        clock=parts.clock,
        meter=parts.meter,
        committed=committed,
        handlers=HandlerThreads(),
        dead_letters_stop=settings.dead_letters_stop,
        settle_ms=settings.settle_ms,
        callers=settings.callers or NOBODY,
        stores=settings.stores,
        traces=parts.traces,
    )


def _pump(parts: _Parts, performing: Performing, settler: Settler, relay: Relay) -> Pump:
    settings = parts.settings
    reporting = Reporting(settler, parts.meter, parts.traces)
    return Pump(
        performing,
        platform=parts.platform,
        throttle=Throttle(settings.limits, settings.stores),
        errands=Errands(performing, runner=Runner(), apps=parts.apps, put=reporting.put),
        reporting=reporting,
        relay=relay,
        topics=parts.topics,
        concurrency=settings.concurrency,
        settle_ms=settings.settle_ms,
    )
