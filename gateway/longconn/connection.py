"""
One open connection: what comes in is read and answered, and pings find out whether the other side is still there.

Pings and pongs are the platform's own, in frames; those of WebSocket are left to the library.
"""

import asyncio
from typing import Final

import aiohttp
import structlog

from gateway.longconn.answering import Answering
from gateway.longconn.dial import Dialled
from shared.clock import Clock
from shared.feishu.connection import Parameters, read_parameters
from shared.feishu.fragments import Reassembly
from shared.feishu.frames import CONTROL, DATA, BadFrame, Frame, answer, decode, encode, ping

SILENT_AFTER: Final = 2
"""Ping intervals without a pong after which nobody is there."""

SEND_S: Final = 1.0
"""How long a frame may take to be written: after 3 s nobody waits for it anyway."""

TYPES: Final = frozenset({"event", "card"})
"""Of data frames: callbacks come as the first; the second is in the platform's own list."""

log = structlog.get_logger("cardwire.gateway")


class Pulse:
    """
    When the other side was last heard, and what it asks of us.

    Attributes:
        has_answered: A pong came.
        changed: Set when it asks for something else than before.
    """

    def __init__(self, parameters: Parameters, *, clock: Clock) -> None:
        self._clock = clock
        self.parameters = parameters
        self.has_answered = False
        self.changed = asyncio.Event()
        self._heard_at = clock.monotonic()

    def heard(self, payload: bytes | None) -> None:
        """Take a pong in, with what it asks for from now on."""
        self._heard_at, self.has_answered = self._clock.monotonic(), True
        asked = read_parameters(payload, self.parameters)
        if asked != self.parameters:
            self.parameters = asked
            self.changed.set()

    def silent_in(self) -> float:
        """Return in how many seconds it counts as gone, unless it is heard before; 0 or less: it is."""
        return self._heard_at + SILENT_AFTER * self.parameters.ping_interval_s - self._clock.monotonic()


class Connection:
    """A WebSocket, as long as it is open."""

    def __init__(self, dialled: Dialled, answering: Answering, *, clock: Clock, last_frame: "LastFrame") -> None:
        self._socket, self._service = dialled.socket, dialled.service
        self._answering, self._clock, self._last_frame = answering, clock, last_frame
        self._parts = Reassembly()
        self.pulse = Pulse(dialled.parameters, clock=clock)

    async def serve(self) -> str:
        """Read and answer until the connection is over; return why it is, in a few words."""
        ways = {asyncio.create_task(self._read()), asyncio.create_task(self._ping())}
        try:
            over, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(over)).result()
        finally:
            await self._socket.close()  # Ends the reading, too; no longer than `dial.CLOSE_S`.
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _read(self) -> str:
        while True:
            message = await self._socket.receive()
            match message.type:
                case aiohttp.WSMsgType.BINARY:
                    await self._take(message.data)
                case aiohttp.WSMsgType.CLOSE | aiohttp.WSMsgType.CLOSING | aiohttp.WSMsgType.CLOSED:
                    return f"closed ({self._socket.close_code})"
                case aiohttp.WSMsgType.ERROR:
                    return "broken"
                case _:
                    log.warning("frame_unreadable", reason="no binary message")

    async def _take(self, data: bytes) -> None:
        now = self._clock.monotonic()
        try:
            frame = decode(data)
        except BadFrame as error:
            log.warning("frame_unreadable", reason=str(error))
            return
        if frame.method == CONTROL and frame.type == "pong":
            self.pulse.heard(frame.payload)
        elif frame.method == DATA and frame.type in TYPES:
            self._last_frame.note()
            await self._put_together(frame, now)
        elif frame.method == DATA:
            log.warning("frame_ignored", type=(frame.type or "")[:32])

    async def _put_together(self, frame: Frame, now: float) -> None:
        try:
            whole = self._parts.add(frame, now=now)
        except BadFrame as error:
            log.warning("frame_unreadable", reason=str(error))
            await self._send(answer(frame, None, took_ms=0))
            return
        if whole is not None:
            await self._answering.take(whole, self._send)

    async def _ping(self) -> str:
        pinged_at: float | None = None
        while (silent_in := self.pulse.silent_in()) > 0:
            now, interval_s = self._clock.monotonic(), self.pulse.parameters.ping_interval_s
            if pinged_at is None or now >= pinged_at + interval_s:
                await self._send(ping(self._service))
                pinged_at = now
            await self._rest(min(pinged_at + interval_s - now, silent_in))
        return "silent"

    async def _rest(self, seconds: float) -> None:
        """Wait so long, or until there is another interval to go by."""
        ends = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self.pulse.changed.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.pulse.changed.clear()
            for end in ends:
                end.cancel()

    async def _send(self, frame: Frame) -> bool:
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send_bytes(encode(frame))
        except (OSError, aiohttp.ClientError, TimeoutError):
            return False
        return not self._socket.closed


class LastFrame:
    """When the platform last delivered something; from the beginning, when it has not yet."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock, self._at = clock, clock.monotonic()

    def note(self) -> None:
        """Note that it does so now."""
        self._at = self._clock.monotonic()

    def age_s(self) -> float:
        """Return how long ago that was."""
        return self._clock.monotonic() - self._at
