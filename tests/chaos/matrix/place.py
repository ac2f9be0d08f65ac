"""The brokers that a row stands on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.eventlog.open import open_log
from shared.eventlog.port import EventLog, Topics
from tests.chaos import collect
from tests.chaos.history import Line
from tests.support.kafka import KafkaBroker


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One broker or three, the first of which is to be broken. Several rows may use them, each with its prefix."""

    brokers: Sequence[KafkaBroker]

    @property
    def bootstrap(self) -> str:
        """Where clients find them."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> None:
        """Run them, and return when all serve."""
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_ready()

    async def mend(self) -> None:
        """Undo every fault."""
        for broker in self.brokers:
            await asyncio.to_thread(broker.resume)
        await asyncio.to_thread(self.start)

    async def make_topic(self, prefix: str) -> None:
        """Create the topic of interactions."""
        async with self._log(prefix) as log:
            await log.create([Topics.prefixed(prefix).interactions])

    async def lines(self, prefix: str) -> Sequence[Line]:
        """Return every record of it."""
        async with self._log(prefix) as log:
            return await collect.lines(log, Topics.prefixed(prefix).interactions)

    @asynccontextmanager
    async def _log(self, prefix: str) -> AsyncIterator[EventLog]:
        log = open_log(f"kafka://{self.bootstrap}", topics=Topics.prefixed(prefix))
        try:
            yield log
        finally:
            await log.close()
