"""
The long connection of one app, kept: opened at start, opened again when it is lost, drained at the end.

Theory of operation. The server says how a client that lost its connection comes back: a random part of one time
first, so that not all come at once, then again in steady intervals. An address is good for one connection, so each
attempt asks for a new one. What was received on a lost connection goes on: it is recorded, only its answer has
nowhere to go. The platform gives each callback to one connection, at random, and repeats none: what it sends while
nobody is connected is lost, which is why one runs two gateways.

Guarantees
    Whoever is answered with the handler's toast is in the log, as with the webhook: it is the same gate.
    *End*: what was received is answered first, for `FINISH_S` at most; then the connection is closed.
    *Crash*: callbacks that were not answered yet may be in the log; the platform shows an error and sends no other.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random, SystemRandom
from typing import Final

import aiohttp
import structlog

from gateway.accept import Gate
from gateway.longconn.answering import Answering
from gateway.longconn.connection import Connection, LastFrame
from gateway.longconn.dial import ConnectionRefused, Dialer, Dialled, NotConnected
from shared.clock import Clock
from shared.core.errors import CardwireError, ConfigError
from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.feishu.connection import DEFAULTS, Parameters
from shared.observability.metrics import LAST_FRAME_AGE, LONG_CONNECTION_UP, LONG_CONNECTIONS_LOST, Metrics
from shared.settings import ConnectionSettings

FINISH_S: Final = 3.0
"""How long what was received may take to be answered at the end: the platform waits no longer."""

LINGER_S: Final = 0.05
"""How long what has reached this machine may take to be read at the end, before nothing counts as under way."""

log = structlog.get_logger("cardwire.gateway")


@asynccontextmanager
async def connected(
    gate: Gate,
    settings: ConnectionSettings,
    *,
    app_id: AppId,
    proxy: Secret | None,
    clock: Clock,
    metrics: Metrics,
    rng: Random | None = None,
) -> AsyncIterator["LongConnection"]:
    """
    Keep a long connection of one app until the block is left; then it is drained.

    Args:
        gate: Where callbacks go: one with `gateway.longconn.admission`.
        settings: With the app's secret.
        rng: Spreads reconnections; the system's unless given.

    Raises:
        ConfigError: The platform will not have us before an operator has changed something.
    """
    if settings.app_secret is None:
        raise ConfigError(
            "LARK_APP_SECRET is missing: expected a secret, for example LARK_APP_SECRET=s-from-the-console"
        )
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None),  # Ours counts for all that is done to connect.
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        dialer = Dialer(session, domain=settings.domain, app_id=app_id, app_secret=settings.app_secret, proxy=proxy)
        connection = LongConnection(
            dialer, gate, app_id=app_id, clock=clock, rng=rng or SystemRandom(), metrics=metrics
        )
        try:
            await connection.start()
            yield connection
        finally:
            await connection.close()


class LongConnectionLost(CardwireError):
    """The server lets a client try only so often, and that was it."""


class LongConnection:
    """
    One connection of one app to the platform, for as long as the process lives.

    Attributes:
        app_id: The app.
    """

    def __init__(
        self, dialer: Dialer, gate: Gate, *, app_id: AppId, clock: Clock, rng: Random, metrics: Metrics
    ) -> None:
        self._dialer, self._clock, self._rng, self._metrics = dialer, clock, rng, metrics
        self.app_id = app_id
        self._answering = Answering(gate, app_id=app_id, clock=clock, metrics=metrics)
        self._last_frame = LastFrame(clock=clock)
        self._connection: Connection | None = None
        self._was_silent = False
        self._keeping: asyncio.Task[None] | None = None
        metrics.follow(LAST_FRAME_AGE, self._last_frame.age_s, app_id)
        metrics.set(LONG_CONNECTION_UP, 0, app_id)

    async def start(self) -> None:
        """
        Connect, and stay connected from now on. A platform that cannot be reached now is tried again later.

        Raises:
            ConnectionRefused: The platform will not have us before an operator has changed something.
        """
        dialled: Dialled | None = None
        try:
            dialled = await self._dialer.dial()
        except NotConnected as error:
            log.warning("long_connection_unavailable", app_id=self.app_id, reason=str(error))
        self._keeping = asyncio.create_task(self._keep(dialled), name="cardwire-long-connection")
        await asyncio.sleep(0)  # So that it is connected when we say so.

    def renew(self, app_secret: Secret) -> None:
        """Open the next connection with this secret."""
        self._dialer.app_secret = app_secret

    @property
    def is_connected(self) -> bool:
        """Whether callbacks can arrive."""
        return self._connection is not None

    def is_alive(self) -> bool:
        """
        Say whether a restart would not help.

        It may, from the moment when no pong came for two intervals until one comes, here or on the next connection.
        """
        silent = self._connection is not None and self._connection.pulse.silent_in() <= 0
        heard = self._connection is not None and self._connection.pulse.has_answered
        return self._keeping is not None and not self._keeping.done() and not silent and (heard or not self._was_silent)

    async def failed(self) -> BaseException | None:
        """Wait until it cannot go on, and return why; ``None`` once it was closed."""
        if self._keeping is None:
            return None
        await asyncio.wait({self._keeping})
        return None if self._keeping.cancelled() else self._keeping.exception()

    async def close(self) -> None:
        """Answer what was received, and what is received meanwhile; then close the connection."""
        if self._connection is not None:
            await asyncio.sleep(LINGER_S)  # By the machine's time: sockets know no other.
        try:
            await self._answering.idle(within_s=FINISH_S)
        except TimeoutError:
            log.warning("answers_abandoned", reason="they took too long at the end")
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _keep(self, dialled: Dialled | None) -> None:
        parameters = DEFAULTS if dialled is None else dialled.parameters
        while True:
            if dialled is not None:
                parameters = await self._serve(dialled)
            dialled = await self._dial_again(parameters)

    async def _serve(self, dialled: Dialled) -> Parameters:
        """Serve one connection to its end; return what the server asked for last."""
        connection = Connection(dialled, self._answering, clock=self._clock, last_frame=self._last_frame)
        self._connection = connection
        self._metrics.set(LONG_CONNECTION_UP, 1, self.app_id)
        log.info("long_connection_opened", app_id=self.app_id)
        reason = "broken"
        try:
            reason = await connection.serve()
        except Exception:
            log.exception("long_connection_broke", app_id=self.app_id)
        finally:
            self._connection = None
            self._was_silent = reason == "silent" or (self._was_silent and not connection.pulse.has_answered)
            self._metrics.set(LONG_CONNECTION_UP, 0, self.app_id)
        self._metrics.count(LONG_CONNECTIONS_LOST, self.app_id)
        log.warning("long_connection_lost", app_id=self.app_id, reason=reason)
        return connection.pulse.parameters

    async def _dial_again(self, parameters: Parameters) -> Dialled:
        tries, wait_s = 0, self._rng.random() * parameters.reconnect_nonce_s
        while parameters.reconnect_count is None or tries < parameters.reconnect_count:
            await self._clock.sleep(wait_s)
            tries, wait_s = tries + 1, parameters.reconnect_interval_s
            try:
                return await self._dialer.dial()
            except NotConnected as error:
                log.warning("long_connection_unavailable", app_id=self.app_id, reason=str(error), retry_in_s=wait_s)
            except ConnectionRefused as error:
                # At start this ends the process; now others may depend on it, and an operator may mend it meanwhile.
                told = {"app_id": self.app_id, "reason": str(error), "retry_in_s": wait_s}
                log.error("long_connection_refused", **told)  # noqa: TRY400 -- its text says all there is to say
            except Exception:
                # Whatever a library raises, callbacks must come again.
                log.exception("long_connection_broke", app_id=self.app_id)
        raise LongConnectionLost(
            f"LARK_DELIVERY: the long connection is lost, and the platform allows {tries} attempts to open it again, "
            "which failed: start the gateway again, or use the webhook: LARK_DELIVERY=webhook"
        )
