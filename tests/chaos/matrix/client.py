"""
The client of a row, a process of its own: it signs, encrypts and sends callbacks at constant times, as the platform.

``python -m tests.chaos.matrix.client PLAN RECORD``: ``PLAN`` is a `Plan` as JSON, ``RECORD`` the file in which it notes
what it is about to send, and what became of that, each flushed before it goes on. It prints ``there``, is told by a
line when gateways are there as well, and prints ``began MS``. Whatever becomes of the clicks before, the next is sent
at its time; the last one when its input has ended. A click whose connection ended without an answer is sent again, the
same bytes, to the next gateway.
"""

import asyncio
import sys
import time
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from tests.chaos.matrix.history import Over, Sending
from tests.chaos.matrix.ways import Way, callback, long_connections, webhooks

AGAIN_FOR_S: Final = 20.0
"""How long the same bytes are sent again: longer than a gateway takes to come back."""

PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 0.4
"""Each time twice as long, or all who wait for a gateway together would keep the machine from starting it."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is clicked.

    Attributes:
        urls: Of the gateways' callbacks, in turns.
        ports: Instead, where they open long connections: each to a platform of its own, on such a port.
        seconds: How long is clicked at least, and ``at_most_s`` how long at most.
        cards: How many cards are clicked, in turns.
        leave_every: Every so manieth client leaves without waiting; 0: none.
    """

    urls: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    name: str
    seconds: float
    at_most_s: float
    per_second: int
    cards: int = 10
    leave_every: int = 0

    @property
    def gateways(self) -> int:
        """How many there are."""
        return len(self.urls) or len(self.ports)

    def is_over(self, clicks: int, *, enough: bool) -> bool:
        """Say whether so many clicks are all, given whether somebody has said that it is enough."""
        return clicks >= (self.seconds if enough else self.at_most_s) * self.per_second


class Client:
    """Everybody who clicks."""

    def __init__(self, plan: Plan, way: Way, record: BinaryIO) -> None:
        self._plan, self._way, self._record = plan, way, record
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
        click = callback(event_id, card)
        until = time.monotonic() + AGAIN_FOR_S
        for nth in count():
            gateway = (n + nth) % self._plan.gateways
            self._note(
                Sending(
                    event_id=event_id, card=card, nth=nth, gateway=gateway, intended_at=self._at(due),
                    sent_at=self._at(time.monotonic()), leaves=leaves,
                )
            )  # fmt: skip
            end = await (self._way.leave(gateway, click) if leaves else self._way.ask(gateway, click))
            self._note(Over(event_id=event_id, nth=nth, at=self._at(time.monotonic()), **end._asdict()))
            if end.ending != "closed" or time.monotonic() > until:
                return
            await asyncio.sleep(min(LONGEST_PAUSE_S, PAUSE_S * 2**nth))
            due = time.monotonic()

    def _note(self, what: Sending | Over) -> None:
        self._record.write(msgspec.json.encode(what) + b"\n")
        self._record.flush()

    def _at(self, monotonic: float) -> float:
        return round(self._epoch_ms + monotonic * 1000, 2)


async def _run(plan: Plan, record: Path) -> None:
    told, enough = await _input(), asyncio.Event()
    with record.open("ab") as notes:
        async with _way(plan) as way:
            print("there", flush=True)
            await told.readline()
            ending = asyncio.create_task(_end(told, enough))
            await way.opened()
            await Client(plan, way, notes).click(enough)
    ending.cancel()


async def _input() -> asyncio.StreamReader:
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    return told


async def _end(told: asyncio.StreamReader, enough: asyncio.Event) -> None:
    """Take note of the input's end; it also ends if whoever started us has gone."""
    await told.read()
    enough.set()


def _way(plan: Plan) -> AbstractAsyncContextManager[Way]:
    return long_connections(plan.ports) if plan.ports else webhooks(plan.urls, name=plan.name)


if __name__ == "__main__":
    asyncio.run(_run(msgspec.json.decode(sys.argv[1], type=Plan), Path(sys.argv[2])))
