"""
Bytes leave by HTTP or over a long connection, and what comes back is heard.

Where somebody is connected, callbacks go to one of the connections; else to the receivers, which take turns. Nobody
waits longer than the platform does; nothing is ever repeated that was not asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from shared.clock import Clock
from shared.feishu.limits import CALLBACK_DEADLINE_S
from simulator.answers import (
    CALL_FAILED,
    CONNECT_FAILED,
    NAME_UNKNOWN,
    NO_ANSWER_IN_TIME,
    NO_CALLBACK_URL,
    Answered,
    Heard,
    NotAnswered,
)
from simulator.callbacks import Delivery
from simulator.connections import SOCKET_PATH, Connections
from simulator.faults import ON_CALLBACKS, Faults
from simulator.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How bytes are repeated: so often at once, with the same ``X-Request-Id`` or each with its own."""

    copies: int = 1
    has_same_request_id: bool = True


ONCE: Final = Copies()

Ask = Callable[[], Awaitable[Heard]]
"""Delivers once and hears what comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllHeard:
    """What came back: the first answer, all of it in order of arrival, and after how long the first one."""

    first: Heard
    all: tuple[Heard, ...]
    in_ms: int


class Sender:
    """
    Sends deliveries to the receivers.

    Attributes:
        urls: Where they are; empty: nobody can be asked.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        clock: Clock,
        names: Names,
        faults: Faults,
        connections: Connections,
        *,
        urls: Sequence[str],
    ) -> None:
        self.urls = tuple(urls)
        self._connections = connections
        self._session = session
        self._clock = clock
        self._names = names
        self._faults = faults
        self._turns = count()

    async def deliver(
        self,
        delivery: Delivery,
        copies: Copies,
        *,
        within_s: float = CALLBACK_DEADLINE_S,
        at_first: Callable[[Heard], None] = lambda _: None,
    ) -> AllHeard:
        """Send every copy; ``at_first`` is told the first answer, or that there is none, as soon as that is known."""
        clock = self._clock
        started = clock.monotonic()
        heard: list[Heard] = []
        first: tuple[Heard, float] | None = None
        async with asyncio.TaskGroup() as group:
            sendings = [
                group.create_task(self._send(self._copy(delivery, copies, number), within_s))
                for number in range(copies.copies)
            ]
            for sending in asyncio.as_completed(sendings):
                heard.append(await sending)
                if first is None and (isinstance(heard[-1], Answered) or len(heard) == copies.copies):
                    first = (heard[-1], clock.monotonic())
                    at_first(heard[-1])
        answer, at = first or (NotAnswered(code=CALL_FAILED), started)
        return AllHeard(first=answer, all=tuple(heard), in_ms=round((at - started) * 1000))

    def _copy(self, delivery: Delivery, copies: Copies, number: int) -> Delivery:
        if number == 0 or copies.has_same_request_id:
            return delivery
        return replace(delivery, headers={**delivery.headers, "X-Request-Id": self._names.request()})

    async def _send(self, delivery: Delivery, within_s: float) -> Heard:
        """Send once to whoever's turn it is; who answers later than ``within_s`` is not heard."""
        way = self._way(delivery)
        if way is None:
            return NotAnswered(code=NO_CALLBACK_URL)
        path, ask = way
        attempt = asyncio.create_task(self._through_faults(path, ask))
        timer = asyncio.create_task(self._clock.sleep(within_s))
        try:
            await asyncio.wait((attempt, timer), return_when=asyncio.FIRST_COMPLETED)
            return attempt.result() if attempt.done() else NotAnswered(code=NO_ANSWER_IN_TIME)
        finally:
            attempt.cancel()
            timer.cancel()

    def _way(self, delivery: Delivery) -> tuple[str, Ask] | None:
        """Return by which path, in rules of faults, and how to ask; ``None``: there is nobody to be asked."""
        payload, message_id = delivery.payload, delivery.headers["X-Request-Id"]
        if payload is not None and self._connections.clients:
            return SOCKET_PATH, lambda: self._connections.deliver(payload, message_id=message_id)
        if not self.urls:
            return None
        url = self.urls[next(self._turns) % len(self.urls)]
        return urlsplit(url).path, lambda: self._post(url, delivery)

    async def _through_faults(self, path: str, ask: Ask) -> Heard:
        faulty = self._faults.meet("POST", path, ON_CALLBACKS)
        if faulty.delay_ms:
            await self._clock.sleep(faulty.delay_ms / 1000)
        match faulty.kind:
            case "drop_before":
                return NotAnswered(code=CONNECT_FAILED)
            case "drop_after":
                await ask()
                return NotAnswered(code=CALL_FAILED)
            case "duplicate":
                heard, _ = await asyncio.gather(ask(), ask())
                return heard
            case _:
                return await ask()

    async def _post(self, url: str, delivery: Delivery) -> Heard:
        try:
            async with self._session.post(
                url, data=delivery.body, headers=delivery.headers, allow_redirects=False
            ) as response:
                return Answered(status=response.status, body=await response.read())
        except aiohttp.ClientConnectorDNSError:
            return NotAnswered(code=NAME_UNKNOWN)
        except aiohttp.ClientConnectorError:
            return NotAnswered(code=CONNECT_FAILED)
        except (aiohttp.ClientError, OSError):
            return NotAnswered(code=CALL_FAILED)
