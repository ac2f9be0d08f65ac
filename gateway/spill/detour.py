"""
Where records go: to the log while it takes them, else to the spill; and back to the log when it is back.

Theory of operation. Groups of records come one at a time, in the order of arrival, and each goes one way as a whole.
When the log does not take a group, nobody knows what became of it: that group is the first of the spill, and
everything behind it follows, until the spill is drained. So the spill has the order of arrival, and whatever the log
still does with the lost group later is a repetition or the very first delivery, never one that passed another.

The spill is drained beside the arriving groups, from its oldest record on. When little is left, one turn is taken
from the groups: the rest is drained while nothing arrives, and then the breaker closes. So it closes also where
clicks never cease, and nothing passes what was spilled. If the rest takes too long, the turn is given back.

Guarantees
    *append* returned: the records are durable, in the log or on this machine's disk, and will be in the log. It
    raised: they may be in the log all the same, now or later.
    *Order* of what returned: as it was appended, for each key, by first deliveries.
    *Crash*: the spill stays, and the next gateway of the folder drains it.
    *A disk that takes nothing* keeps no breaker open: where nothing is spilled, it is enough that the log is ready.
    Every wait is bounded: a log that hangs does not hold up the spill.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from gateway.bounded import append_within, at_most
from gateway.spill.breaker import Breaker
from gateway.spill.forward import Forwarder
from gateway.spill.rejected import Rejected
from gateway.spill.spill import Spill
from shared.clock import Clock
from shared.core.errors import LogUnavailable
from shared.eventlog.port import EventLog, NewRecord
from shared.lacks import Lack
from shared.observability.metrics import (
    APPEND_SECONDS,
    LOG_BREAKER_OPEN,
    SPILL_BYTES,
    SPILL_OLDEST_SECONDS,
    SPILL_ROWS,
    SPILLED,
    Metrics,
)

SPILL_S: Final = 0.9
"""How long one commit of the spill may take behind the log's 1.2 s, so that an answer is still in time; what the log
did not use, as while the breaker is open, is the spill's, too."""

FORWARD_S: Final = 2.5
"""How long one append of spilled records may take."""

TURN_S: Final = 0.8
"""How long arriving groups may be held up for the rest of the spill; after that they go into it in time."""

RENEW_S: Final = 0.3
"""How much longer they may be held up for a new spill file, where a full disk lets nothing be deleted from the old."""

READY_S: Final = 1.0
TELL_AGAIN_S: Final = 60.0
BRIEFLY_S: Final = 0.01

log = structlog.get_logger("cardwire.gateway")


class Detour:
    """
    The way to a log with a spill beside it.

    Args:
        spill: Open, and empty: what other gateways left is drained by `Orphans`.
        turn_s: See `TURN_S`; others in tests.
        spill_s: See `SPILL_S`.
        forward_s: See `FORWARD_S`.
    """

    def __init__(
        self,
        event_log: EventLog,
        spill: Spill,
        rejected: Rejected,
        *,
        clock: Clock,
        metrics: Metrics,
        spill_s: float = SPILL_S,
        turn_s: float = TURN_S,
        forward_s: float = FORWARD_S,
    ) -> None:
        self._log, self._spill, self._clock, self._metrics = event_log, spill, clock, metrics
        self._spill_s, self._turn_s, self._forward_s = spill_s, turn_s, forward_s
        self._breaker = Breaker()
        self._forwarder = Forwarder(spill, event_log, rejected, clock=clock, metrics=metrics)
        self._turn = asyncio.Lock()
        self._opened = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self._told_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether records go to the spill."""
        return self._breaker.is_open

    def start(self) -> None:
        """Begin to bring back what is spilled; to be called on the loop that appends."""
        self._draining = asyncio.create_task(self._drain())

    async def append(self, records: Sequence[NewRecord], *, log_s: float) -> None:
        """
        Make records durable: in the log within ``log_s``, else in the spill. One call at a time.

        Raises:
            LogUnavailable: Neither.
            RecordRefused: One of them can never be appended.
        """
        began = self._clock.monotonic()
        async with self._turn:
            if not self._breaker.is_open:
                try:
                    await append_within(log_s, self._log, records, clock=self._clock, metrics=self._metrics)
                except LogUnavailable as error:
                    self._trip(str(error))
                else:
                    return
            unused_s = max(0.0, log_s - (self._clock.monotonic() - began))
            await self._put_aside(records, within_s=self._spill_s + unused_s)

    async def lacks(self) -> Sequence[Lack]:
        """Say what keeps a click from being recorded now."""
        if await self._spill.has_room() or (not self._breaker.is_open and await self._log.ready()):
            return []
        return ["log_away", "spill_full"]

    async def close(self) -> None:
        """End the draining and leave the spill as it is. Never raises."""
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.wait([self._draining])
        await self._spill.close()
        if self._spill.rows:
            hint = "the next gateway that uses the folder, or one that does now, brings them to the log"
            log.warning("spill_left", rows=self._spill.rows, file=self._spill.name, hint=hint)

    async def _put_aside(self, records: Sequence[NewRecord], *, within_s: float) -> None:
        began = self._clock.monotonic()
        try:
            await self._spill.append(records, within_s=within_s)
        except LogUnavailable:
            self._metrics.count(SPILLED, "refused", by=len(records))
            raise
        self._metrics.count(SPILLED, "spilled", by=len(records))
        self._metrics.observe(APPEND_SECONDS, self._clock.monotonic() - began, "spilled")
        self._measure()

    def _trip(self, reason: str) -> None:
        self._breaker.trip(self._clock.monotonic())
        self._opened.set()
        self._metrics.set(LOG_BREAKER_OPEN, 1)
        log.warning("log_breaker_opened", reason=reason, spill=self._spill.name)

    async def _drain(self) -> None:
        while True:
            await self._opened.wait()
            await self._clock.sleep(self._breaker.pause_s)
            try:
                await self._try_step()
            except Exception:
                # Whatever it was, clicks must not stay on this disk because of it.
                self._breaker.failed()
                log.exception("spill_drain_failed")

    async def _try_step(self) -> None:
        try:
            await self._step()
        except LogUnavailable as error:
            self._breaker.failed()
            self._tell(error)
        finally:
            self._measure()

    def _tell(self, error: LogUnavailable) -> None:
        """Write a line now and then: what keeps the spill from the log may be for a person to mend."""
        now = self._clock.monotonic()
        if now - self._told_at >= TELL_AGAIN_S:
            self._told_at = now
            log.warning("spill_waits", reason=str(error), rows=self._spill.rows, spill=self._spill.name)

    async def _step(self) -> None:
        """Bring back as much as goes at one go, and close the breaker if that is all."""
        # First without a turn: nobody is to wait only for us to learn that the log is still away.
        if not await self._forwarder.forward(within_s=self._forward_s) and not await self._answers():
            raise LogUnavailable("the log is not ready")
        self._breaker.got_through()
        while self._spill.rows > self._forwarder.limit:
            if not await self._forwarder.forward(within_s=self._forward_s):
                await self._clock.sleep(BRIEFLY_S)  # what is counted is not committed yet
            self._measure()
        async with self._turn:
            try:
                await at_most(self._turn_s, self._rest())
            except TimeoutError as error:
                raise LogUnavailable("the log did not take the rest of the spill in time") from error
            await self._spill.renew(within_s=RENEW_S)
            self._close_breaker()
        await self._spill.trim()

    async def _answers(self) -> bool:
        """Ask the log whether it takes records: where the spill took none, draining it proves nothing."""
        try:
            return await at_most(READY_S, self._log.ready())
        except TimeoutError:
            return False

    async def _rest(self) -> None:
        if not self._spill.is_settled:
            raise LogUnavailable("the spill's disk has not answered yet")
        while self._spill.rows:
            await self._forwarder.forward(within_s=self._turn_s)

    def _close_breaker(self) -> None:
        seconds = self._breaker.close(self._clock.monotonic())
        self._opened.clear()
        self._metrics.set(LOG_BREAKER_OPEN, 0)
        log.info("log_breaker_closed", open_s=round(seconds, 1))

    def _measure(self) -> None:
        spill = self._spill
        self._metrics.set(SPILL_ROWS, spill.rows, "own")
        self._metrics.set(SPILL_BYTES, spill.bytes, "own")
        age_ms = 0 if spill.oldest_at is None else self._clock.now() - spill.oldest_at
        self._metrics.set(SPILL_OLDEST_SECONDS, max(0, age_ms) / 1000)
