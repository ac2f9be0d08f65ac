"""Payloads to answers: each goes through the gate, several at a time, and its answer leaves in the frame it came in."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway.accept import Gate
from gateway.admission import CallbackHeaders
from gateway.reply import Arrival
from shared.clock import Clock
from shared.core.ids import AppId
from shared.feishu.fragments import Whole
from shared.feishu.frames import Frame, answer
from shared.observability.metrics import FRAMES_UNDER_WAY, Metrics

MAX_UNDER_WAY: Final = 1024
"""Payloads that may be under way at once; then nothing is read until one of them is done."""

_ANSWERED: Final = 200

Send = Callable[[Frame], Awaitable[bool]]
"""Writes a frame; says whether there was still somebody to write to. Never raises."""

log = structlog.get_logger("cardwire.gateway")


class Answering:
    """What is under way, of one app, over all of its connections: a lost one takes no click along."""

    def __init__(self, gate: Gate, *, app_id: AppId, clock: Clock, metrics: Metrics) -> None:
        self._gate, self._clock = gate, clock
        self._room = asyncio.Semaphore(MAX_UNDER_WAY)
        self._under_way: set[asyncio.Task[None]] = set()
        metrics.follow(FRAMES_UNDER_WAY, lambda: len(self._under_way), app_id)

    async def take(self, whole: Whole, send: Send) -> None:
        """Begin to answer a payload; waits while too many are under way. They are recorded in the order of taking."""
        await self._room.acquire()
        task = asyncio.create_task(self._answer(whole, send), name="cardwire-frame")
        self._under_way.add(task)
        task.add_done_callback(self._done)

    async def idle(self, *, within_s: float) -> None:
        """Wait until nothing is under way any more, also nothing that is taken meanwhile; so long at most."""
        async with asyncio.timeout(within_s):
            while self._under_way:
                await asyncio.wait(self._under_way)
                await asyncio.sleep(0)  # What has arrived meanwhile is read, and taken, now.

    async def _answer(self, whole: Whole, send: Send) -> None:
        frame = whole.last
        headers = CallbackHeaders(timestamp=frame.header("timestamp"), message_id=frame.message_id)
        try:
            reply = await self._gate.accept(Arrival(body=whole.payload, headers=headers, started=whole.began))
        except Exception:
            # Ours, whatever it was: events are sent again, and whoever clicked sees that it failed.
            log.exception("callback_failed")
            await send(answer(frame, None, took_ms=self._since(whole)))
            return
        # The client shows one and the same error for every status but 200, and no text of ours.
        body = reply.body if reply.status == _ANSWERED else None
        delivered = await send(answer(frame, body, took_ms=self._since(whole)))
        self._gate.answered(reply, delivered=delivered)

    def _since(self, whole: Whole) -> int:
        return round((self._clock.monotonic() - whole.began) * 1000)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._room.release()
