"""
The client of a row, a process of its own: it signs, encrypts and sends callbacks at constant times, as the platform.

``python -m tests.chaos.matrix.client PLAN RECORD``: ``PLAN`` is a `Plan` as JSON, ``RECORD`` the file in which it notes
what it is about to send, and what became of that, each flushed before it goes on. It prints ``began MS``. Whatever
becomes of the clicks before, the next is sent at its time; the last one when its input has ended. A click whose
connection ended without an answer is sent again, the same bytes, to the next gateway.
"""

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import aiohttp
import msgspec
from yarl import URL

from tests.chaos.matrix.history import Ending, Over, Sending
from tests.support.callbacks import Wire, click, encrypted, signed

PATIENCE_S: Final = 8.0
"""Longer than the platform's 3 s, so that the record shows how late a late answer was."""

AGAIN_FOR_S: Final = 20.0
"""How long the same bytes are sent again: longer than a gateway takes to come back."""

PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 0.4
"""Each time twice as long, or all who wait for a gateway together would keep the machine from starting it."""

LEAVES_WITHIN_S: Final = 0.012
"""Shorter and longer than an append takes."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is clicked.

    Attributes:
        urls: Of the gateways' callbacks, in turns.
        seconds: How long is clicked at least, and ``at_most_s`` how long at most.
        cards: How many cards are clicked, in turns.
        leave_every: Every so manieth client leaves without waiting; 0: none.
    """

    urls: tuple[str, ...]
    name: str
    seconds: float
    at_most_s: float
    per_second: int
    cards: int = 10
    leave_every: int = 0

    def is_over(self, clicks: int, *, enough: bool) -> bool:
        """Say whether so many clicks are all, given whether somebody has said that it is enough."""
        return clicks >= (self.seconds if enough else self.at_most_s) * self.per_second


class _End(NamedTuple):
    ending: Ending
    status: int | None = None
    body: str | None = None


class Client:
    """Everybody who clicks."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession, record: BinaryIO) -> None:
        self._plan, self._session, self._record = plan, session, record
        self._rng = random.Random(plan.name)
        self._epoch_ms = time.time() * 1000 - time.monotonic() * 1000

    async def click(self, enough: asyncio.Event) -> None:
        """Send clicks, each at its time, until it is enough, and return when the last one is over."""
        began = time.monotonic()
        print(f"began {self._at(began):.0f}", flush=True)
        async with asyncio.TaskGroup() as clicks:
            for n in count():
                if self._plan.is_over(n, enough=enough.is_set()):
                    break
                due = began + n / self._plan.per_second
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                clicks.create_task(self._one(n, due))

    async def _one(self, n: int, due: float) -> None:
        event_id, card = f"{self._plan.name}-{n}", f"om_{n % self._plan.cards}"
        leaves = bool(self._plan.leave_every) and n % self._plan.leave_every == 0
        wire = _callback(event_id, card)
        until = time.monotonic() + AGAIN_FOR_S
        for nth in count():
            gateway = (n + nth) % len(self._plan.urls)
            self._note(
                Sending(
                    event_id=event_id, card=card, nth=nth, gateway=gateway, intended_at=self._at(due),
                    sent_at=self._at(time.monotonic()), leaves=leaves,
                )
            )  # fmt: skip
            url = URL(f"{self._plan.urls[gateway]}/webhook/card")
            end = await (self._leave(url, wire) if leaves else self._ask(url, wire))
            self._note(Over(event_id=event_id, nth=nth, at=self._at(time.monotonic()), **end._asdict()))
            if end.ending != "closed" or time.monotonic() > until:
                return
            await asyncio.sleep(min(LONGEST_PAUSE_S, PAUSE_S * 2**nth))
            due = time.monotonic()

    async def _ask(self, url: URL, wire: Wire) -> _End:
        try:
            async with self._session.post(url, data=wire.body, headers=wire.headers) as response:
                return _End("answered", status=response.status, body=await response.text())
        except TimeoutError:
            return _End("timeout")
        except aiohttp.ClientError:
            return _End("closed")

    async def _leave(self, url: URL, wire: Wire) -> _End:
        """Send it, and end the connection shortly after: in an orderly way, or by a reset."""
        try:
            _, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(_request(url, wire))
            await writer.drain()
        except ConnectionError:
            return _End("closed")
        await asyncio.sleep(self._rng.uniform(0, LEAVES_WITHIN_S))
        if self._rng.random() < 0.5:
            writer.close()
        else:
            writer.transport.abort()
        return _End("left")

    def _note(self, what: Sending | Over) -> None:
        self._record.write(msgspec.json.encode(what) + b"\n")
        self._record.flush()

    def _at(self, monotonic: float) -> float:
        return round(self._epoch_ms + monotonic * 1000, 2)


def _callback(event_id: str, card: str) -> Wire:
    body = click(event_id, message_id=card, value={"action": "count"})
    # Now, not the example's time: brokers delete records by their time.
    body["header"]["create_time"] = str(time.time_ns() // 1_000)
    return signed(encrypted(body), at=time.time_ns() // 1_000_000).but(request_id=f"request-{event_id}")


def _request(url: URL, wire: Wire) -> bytes:
    headers: Mapping[str, str] = {"Host": str(url.authority), "Content-Length": str(len(wire.body)), **wire.headers}
    lines = [f"POST {url.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + wire.body


async def _run(plan: Plan, record: Path) -> None:
    enough = asyncio.Event()
    # Nothing is ever written there, so what can be read is its end; also if whoever started us has gone.
    asyncio.get_running_loop().add_reader(sys.stdin, lambda: _end(enough))
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    with record.open("ab") as notes:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await Client(plan, session, notes).click(enough)


def _end(enough: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin)
    enough.set()


if __name__ == "__main__":
    asyncio.run(_run(msgspec.json.decode(sys.argv[1], type=Plan), Path(sys.argv[2])))
