"""A gateway at work: whether it lives, is ready, or cannot go on."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.append import Appender
from shared.lacks import Lack
from shared.observability.metrics import Metrics

if TYPE_CHECKING:
    from gateway.longconn.keep import LongConnection


class RunningGateway:
    """
    A gateway at work. Leaving `serve` stops it.

    Attributes:
        url: Where callbacks are received; empty without a webhook.
        requests_url: Where requests are received; empty without that port.
        connections: Those that we opened, one for each app that has one.
    """

    def __init__(self, appender: Appender, metrics: Metrics) -> None:
        self._appender = appender
        self._stopped = asyncio.Event()
        self.metrics = metrics
        self.url = ""
        self.requests_url = ""
        self.admin_url = ""
        self.connections: list[LongConnection] = []

    def is_alive(self) -> bool:
        """Say whether a restart would not help."""
        return self._appender.is_alive() and all(connection.is_alive() for connection in self.connections)

    async def is_ready(self) -> bool:
        """Say whether a callback would be recorded now."""
        return not await self.lacks()

    async def lacks(self) -> Sequence[Lack]:
        """Say what keeps a callback from being recorded now."""
        if self._stopped.is_set():
            return ["stopping"]
        # Beside a webhook, a lost connection is no reason to send the webhook's callers away: a metric tells of it.
        comes_in = bool(self.url) or all(connection.is_connected for connection in self.connections)
        lacks = await self._appender.lacks()
        return lacks if comes_in else ["no_long_connection", *lacks]

    async def failed(self) -> BaseException | None:
        """Wait until it cannot go on, and return why; `None` once it was stopped."""
        stopped = asyncio.create_task(self._stopped.wait())
        ends = [asyncio.create_task(connection.failed()) for connection in self.connections]
        ends.append(asyncio.create_task(self._appender.failed(unless=stopped)))
        try:
            first, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(first)).result()
        finally:
            for task in (stopped, *ends):
                task.cancel()

    def stop(self) -> None:
        """Be unready from now on."""
        self._stopped.set()
