"""What a call made the platform promise is sent after its answer: a store app's ticket, a link asked for again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, assert_never

from shared.clock import Clock
from simulator.deliver import Deliverer
from simulator.platform import AppTicket, Platform, PreviewPull

TICKET_EVERY_S: Final = 60 * 60


class Pusher:
    """Sends what is owed, and every hour a ticket to a store app."""

    def __init__(self, platform: Platform, deliverer: Deliverer, clock: Clock) -> None:
        self._platform = platform
        self._deliverer = deliverer
        self._clock = clock
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Begin to send what is owed."""
        while self._platform.owed:
            task = asyncio.create_task(self._send(self._platform.owed.popleft()))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def keep_in_tickets(self) -> None:
        """Push a ticket every hour, for good."""
        while True:
            await self._clock.sleep(TICKET_EVERY_S)
            ticket = self._platform.access_tokens.new_ticket(now=self._platform.clock.now())
            await self._deliverer.ticket(ticket)

    async def close(self) -> None:
        """Give up what is still under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send(self, owed: AppTicket | PreviewPull) -> None:
        match owed:
            case AppTicket(ticket=ticket):
                await self._deliverer.ticket(ticket)
            case PreviewPull(preview=preview, person=person):
                await self._deliverer.pull(preview, preview.people[person])
            case other:
                assert_never(other)


@asynccontextmanager
async def pushing(pusher: Pusher, *, is_store: bool) -> AsyncIterator[None]:
    """Let things be pushed as long as the context is open."""
    tickets = asyncio.create_task(pusher.keep_in_tickets()) if is_store else None
    try:
        yield
    finally:
        if tickets is not None:
            tickets.cancel()
        await pusher.close()
