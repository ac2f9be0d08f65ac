"""The gateway, put together: the only module of it that knows which back ends there are."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from gateway.append import EVERY_S, SHARED_EVERY_S, Appender
from gateway.apps import Gates, WebhookApps, in_words_of
from gateway.credentials import style_of
from gateway.listening.site import Site, listening
from gateway.reach import telling
from gateway.requests.accept import Requests
from gateway.requests.http import RequestsHttp
from gateway.running import RunningGateway
from gateway.settings import GatewayApp, GatewaySettings
from gateway.spill.around import spilling
from gateway.webhook import Webhook
from shared.admin import Probes, serve_admin
from shared.app.load import Handlers, of_each
from shared.clock import Clock, SystemClock
from shared.core.callers import NOBODY
from shared.core.secret import Secret
from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from shared.eventlog.sqlite.file import REAL, Disk
from shared.observability import log_lines_lost
from shared.observability.metrics import GATEWAY_METRICS, LOG_LINES_LOST, Metrics
from shared.observability.traces import Traces, open_traces
from shared.reread import rereading

if TYPE_CHECKING:
    from gateway.longconn.keep import LongConnection

TWINS: Final = "a legacy click within ten minutes of a new one of its app is its twin: recorded, and not decided"

log = structlog.get_logger("cardwire.gateway")


@asynccontextmanager
async def serve(
    settings: GatewaySettings,
    handlers: Handlers,
    *,
    reread: Callable[[], GatewaySettings] | None = None,
    event_log: EventLog | None = None,
    clock: Clock | None = None,
    spill_disk: Disk = REAL,
    share_ports: bool = False,
    traces: Traces | None = None,
) -> AsyncIterator[RunningGateway]:
    """
    Run a gateway until the block is left: then it is unready, finishes its requests, flushes marks, and closes.

    A log that is given is used and left open; another is opened and closed. A log that cannot be reached does not
    keep the gateway from starting: with a spill it accepts, without one it is unready and says so to whoever clicks;
    it recovers by itself.

    Args:
        settings: What it was told.
        handlers: The user's, of all apps or of each.
        reread: Reads the settings again, where secrets are in files that may change; may block.
        event_log: Instead of the one that ``settings`` name.
        clock: Instead of the machine's.
        spill_disk: What the spill's disk is like, where that is to be tried out.
        share_ports: Other processes listen on the port for callbacks as well: see `gateway.listening.ports`.
        traces: Where to tell of spans, instead of the collector that ``settings`` name.

    Raises:
        ConfigError: A port is taken, the settings do not allow to tell the platform from anybody else, or the
            platform will not let us open a long connection.
    """
    common = _Common(settings=settings, clock=clock or SystemClock(), share_ports=share_ports)
    async with AsyncExitStack() as stack:
        if traces is None and (traces := open_traces(settings.observability.traces, "cardwire-gateway")) is not None:
            stack.push_async_callback(traces.close)
        appender = await stack.enter_async_context(_appender(common, event_log, spill_disk))
        running = RunningGateway(appender, common.metrics)
        running.admin_url = await stack.enter_async_context(_admin(running, settings))
        appender.start()
        stack.push_async_callback(appender.close)
        gates = _gates(common, appender, handlers, traces)
        stack.callback(gates.close)
        webhook, requests = WebhookApps(settings.apps, gates.gate), _requests(common, appender)
        running.url = await stack.enter_async_context(_webhook(common, webhook))
        running.requests_url = await stack.enter_async_context(_requested(common, requests))
        _warn_of_unserved(settings)
        _tell_of_both(settings)
        _tell_of_forms(settings)
        for told in settings.apps:
            if told.callbacks.delivery != "webhook":
                connecting = _connected(told, gates, proxy=settings.outbound.proxy)
                running.connections.append(await stack.enter_async_context(connecting))
        if reread is not None:
            renew = partial(_renew, webhook=webhook, connections=running.connections, requests=requests)
            await stack.enter_async_context(rereading(reread, settings, renew, clock=common.clock, process="gateway"))
        stack.callback(running.stop)
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What all parts go by."""

    settings: GatewaySettings
    clock: Clock
    share_ports: bool
    metrics: Metrics = field(default_factory=lambda: Metrics(*GATEWAY_METRICS))

    @property
    def topics(self) -> Topics:
        return Topics.prefixed(self.settings.log.topic_prefix)


@asynccontextmanager
async def _appender(common: _Common, event_log: EventLog | None, spill_disk: Disk) -> AsyncIterator[Appender]:
    """Open the way to the log: ours, if none is given, and the spill beside it."""
    settings, clock, metrics = common.settings, common.clock, common.metrics
    async with AsyncExitStack() as stack:
        if event_log is None:
            event_log = opened = open_log(settings.log.url, topics=common.topics, kafka=settings.log.kafka)
            stack.push_async_callback(opened.close)
            await stack.enter_async_context(telling(opened, common.topics.interactions, clock=clock))
        detour = await stack.enter_async_context(
            spilling(settings.spill, settings.log.url, event_log, clock=clock, metrics=metrics, disk=spill_disk)
        )
        every_s = SHARED_EVERY_S if common.share_ports else EVERY_S
        yield Appender(event_log, clock=clock, metrics=metrics, detour=detour, every_s=every_s)


def _admin(running: RunningGateway, settings: GatewaySettings) -> AbstractAsyncContextManager[str]:
    running.metrics.follow(LOG_LINES_LOST, log_lines_lost)
    probes = Probes(alive=running.is_alive, lacks=running.lacks, metrics=running.metrics)
    return serve_admin(settings.admin_host, settings.admin_port, probes)


def _gates(common: _Common, appender: Appender, handlers: Handlers, traces: Traces | None) -> Gates:
    return Gates(
        handlers=of_each(handlers, common.settings.apps),
        appender=appender,
        topics=common.topics,
        clock=common.clock,
        metrics=common.metrics,
        traces=traces,
    )


@asynccontextmanager
async def _webhook(common: _Common, apps: WebhookApps) -> AsyncIterator[str]:
    """Listen for callbacks, if any come by webhook; give the URL."""
    if not apps.routes:
        yield ""
        return
    site = Site(host=common.settings.host, port=common.settings.port, what="", share=common.share_ports)
    async with listening(Webhook(apps.routes, clock=common.clock, metrics=common.metrics).server(), site) as url:
        yield url


def _warn_of_unserved(settings: GatewaySettings) -> None:
    """Say which callers name apps that are not here: what they ask for in the name of these is refused."""
    served = {told.app_id for told in settings.apps}
    for caller in (settings.callers or NOBODY).by_name.values():
        if unserved := sorted(caller.apps - served):
            log.warning("caller_without_app", caller=caller.name, app_ids=unserved, setting="CARDWIRE_CALLERS")


def _tell_of_both(settings: GatewaySettings) -> None:
    """Say of which apps card callbacks of either style come in, and what that means for a click."""
    for told in settings.apps:
        if style_of(told.callbacks) == "both":
            log.info("both_styles_let_in", app_id=told.app_id, meaning=TWINS, setting="LARK_CALLBACKS")


def _tell_of_forms(settings: GatewaySettings) -> None:
    """Say of which apps no handler sees what was typed into a form: else somebody looks for it for long."""
    for told in settings.apps:
        if not told.recording.keep_form_value:
            log.info(
                "form_values_not_recorded",
                app_id=told.app_id,
                setting="CARDWIRE_KEEP_FORM_VALUE",
                still_recorded="input_value of single inputs; what was recorded before stays",
            )


def _requests(common: _Common, appender: Appender) -> Requests:
    return Requests(
        callers=common.settings.callers or NOBODY,
        apps=frozenset(told.app_id for told in common.settings.apps),
        stores=frozenset(told.app_id for told in common.settings.apps if told.app_type == "store"),
        appender=appender,
        topics=common.topics,
        clock=common.clock,
        metrics=common.metrics,
    )


@asynccontextmanager
async def _requested(common: _Common, requests: Requests) -> AsyncIterator[str]:
    """Listen for requests, if a port is set for them; give the URL."""
    told = common.settings.requests
    if told.port is None:
        yield ""
        return
    site = Site(host=told.host, port=told.port, what="REQUESTS_", share=common.share_ports)
    async with listening(RequestsHttp(requests, clock=common.clock).server(), site) as url:
        yield url


def _renew(
    settings: GatewaySettings, *, webhook: WebhookApps, connections: "Sequence[LongConnection]", requests: Requests
) -> None:
    webhook.renew(settings.apps)
    requests.renew(settings.callers or NOBODY)
    secrets = {told.app_id: told.connection.app_secret for told in settings.apps}
    for connection in connections:
        if (secret := secrets.get(connection.app_id)) is not None:
            connection.renew(secret)


@asynccontextmanager
async def _connected(told: GatewayApp, gates: Gates, *, proxy: Secret | None) -> "AsyncIterator[LongConnection]":
    # Here, because they load the protobuf library, which no webhook needs.
    from gateway.longconn.admission import FrameAdmission  # noqa: PLC0415
    from gateway.longconn.keep import connected  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        with in_words_of(told):
            connecting = connected(
                gates.gate(told, FrameAdmission(told.app_id, style=style_of(told.callbacks))),
                told.connection,
                app_id=told.app_id,
                proxy=proxy,
                clock=gates.clock,
                metrics=gates.metrics,
            )
            connection = await stack.enter_async_context(connecting)
        yield connection
