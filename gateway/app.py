"""The gateway, put together: the only module of it that knows which back ends there are."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from gateway.append import Appender
from gateway.apps import Gates, WebhookApps, in_words_of
from gateway.around import spilling
from gateway.credentials import style_of
from gateway.listen import Site, listening
from gateway.requests import Requests
from gateway.requests_http import RequestsHttp
from gateway.running import RunningGateway
from gateway.settings import GatewayApp, GatewaySettings
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
from shared.reread import rereading

if TYPE_CHECKING:
    from gateway.longconn.keep import LongConnection


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
        share_ports: Other processes listen on the port for callbacks as well: see `gateway.ports`.

    Raises:
        ConfigError: A port is taken, the settings do not allow to tell the platform from anybody else, or the
            platform will not let us open a long connection.
    """
    clock = clock or SystemClock()
    topics = Topics.prefixed(settings.log.topic_prefix)
    metrics = Metrics(*GATEWAY_METRICS)
    metrics.follow(LOG_LINES_LOST, log_lines_lost)
    async with AsyncExitStack() as stack:
        if event_log is None:
            event_log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
            stack.push_async_callback(event_log.close)
        detour = await stack.enter_async_context(
            spilling(settings.spill, settings.log.url, event_log, clock=clock, metrics=metrics, disk=spill_disk)
        )
        appender = Appender(event_log, clock=clock, metrics=metrics, detour=detour)
        appender.start()
        running = RunningGateway(appender, metrics)
        probes = Probes(alive=running.is_alive, ready=running.is_ready, metrics=metrics)
        running.admin_url = await stack.enter_async_context(
            serve_admin(settings.admin_host, settings.admin_port, probes)
        )
        stack.push_async_callback(appender.close)
        gates = Gates(
            handlers=of_each(handlers, settings.apps),
            appender=appender,
            topics=topics,
            clock=clock,
            metrics=metrics,
            keep_callback=settings.keep_callback,
        )
        stack.callback(gates.close)
        webhook = WebhookApps(settings.apps, gates.gate)
        if webhook.routes:
            site = Site(host=settings.host, port=settings.port, what="", share=share_ports)
            server = Webhook(webhook.routes, clock=clock).server()
            running.url = await stack.enter_async_context(listening(server, site))
        requests = Requests(
            callers=settings.callers or NOBODY,
            apps=frozenset(told.app_id for told in settings.apps),
            appender=appender,
            topics=topics,
            clock=clock,
            metrics=metrics,
        )
        if (port := settings.requests.port) is not None:
            site = Site(host=settings.requests.host, port=port, what="REQUESTS_", share=share_ports)
            server = RequestsHttp(requests, clock=clock).server()
            running.requests_url = await stack.enter_async_context(listening(server, site))
        for told in settings.apps:
            if told.callbacks.delivery != "webhook":
                connecting = _connected(told, gates, proxy=settings.outbound.proxy)
                running.connections.append(await stack.enter_async_context(connecting))
        if reread is not None:
            renew = partial(_renew, webhook=webhook, connections=running.connections, requests=requests)
            await stack.enter_async_context(rereading(reread, settings, renew, clock=clock))
        stack.callback(running.stop)
        yield running


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
