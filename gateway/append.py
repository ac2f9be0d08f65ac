"""
The way into the log: bounded, in order, many callbacks in one append.

Theory of operation. One task writes. While one append is under way, what arrives meanwhile gathers and is the next
one, and an append begins no sooner than a few milliseconds after the one before: to a broker or a disk, one record
costs nearly as much as fifty. So a busy gateway writes large groups, and an idle one writes at once. One append at a
time also keeps the order of every card without any bookkeeping: a record's place in the queue is its number. Each
caller waits with its own deadline, counted from the start of its request; whoever has not been served by then leaves,
and what nobody waits for any more is not written. One timer serves them all: that of the earliest.

With a spill (`Detour`), a group that the log did not take by the time of its oldest request is put on this machine's
disk, with all that follow, until the log is back. Without one its callers are told.

Marks ride behind: a mark is handed over only after its interaction's append returned, so it lies behind it in the
same partition. They join the next group; when nothing else is to be written they wait a few milliseconds for each
other.

Guarantees
    *append* returned: the record is durable. It raised: it may be in the log all the same, now or later.
    *mark*: at most once, best effort; a lost one costs its effects three seconds of waiting, nothing else.
    *Crash*: loses callers' waiting requests, which were not answered, and marks.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import structlog

from gateway.bounded import append_within
from gateway.deadlines import Deadlines
from gateway.spill.detour import Detour
from shared.clock import Clock
from shared.core.errors import LogUnavailable, RecordRefused
from shared.eventlog.port import EventLog, NewRecord
from shared.lacks import Lack
from shared.observability.metrics import APPENDS_IN_FLIGHT, MARKS, Metrics

BUDGET_S: Final = 1.2
"""Of the platform's 3 s, from the start of a request: leaves room for an answer, the network and a slow machine."""

WITH_SPILL_S: Final = 2.3
"""Of the platform's 3 s, where the log's share is followed by the spill's: everybody has an answer within 2.5 s."""

LEAST_S: Final = 0.3
"""What the log is given for a request that came in slowly: its line is to blame, not the log."""

MAX_IN_FLIGHT: Final = 256
"""Records of callers in one append: a broker in trouble is not given more than this."""

MAX_WAITING: Final = 4096
"""Callers that may wait for their turn; at 256 per append they are served well within the budget, or not at all."""

MAX_MARKS: Final = 8192
"""Marks kept while the log is away; beyond that the oldest are given up."""

EVERY_S: Final = 0.005
"""How soon an append may follow upon the beginning of the one before. Nobody waits who clicks after a quiet moment."""

SHARED_EVERY_S: Final = 0.01
"""The same for one of several processes, each of which has a part of the clicks: as many are to come together."""

GATHER_MARKS_S: Final = 0.005
"""How long marks alone wait for each other, or for a click that takes them along."""

RETRY_MARKS_S: Final = 0.25
"""How long marks alone wait after the log did not take them."""

STUCK_S: Final = 2.5
"""After so long an append is given up, whatever the log promised: or one hang would be the last append ever."""

log = structlog.get_logger("cardwire.gateway")


@dataclass(slots=True, eq=False)
class _Waiting:
    record: NewRecord
    started: float
    done: asyncio.Future[None]


class Appender:
    """
    Writes records to the log on behalf of many callers.

    Args:
        detour: The way to ``event_log`` with a spill beside it, if there is one.
        stuck_s: After so long an append is given up where there is no spill.
        budget_s: The log's share of a request's time where there is one; others in tests.
        every_s: See `EVERY_S`.
    """

    def __init__(
        self,
        event_log: EventLog,
        *,
        clock: Clock,
        metrics: Metrics,
        detour: Detour | None = None,
        stuck_s: float = STUCK_S,
        budget_s: float = BUDGET_S,
        every_s: float = EVERY_S,
    ) -> None:
        self._every_s = every_s
        self._stuck_s, self._budget_s, self._detour = stuck_s, budget_s, detour
        self._log, self._clock, self._metrics = event_log, clock, metrics
        self._waiting: deque[_Waiting] = deque()
        self._marks: deque[NewRecord] = deque()
        self._deadlines = Deadlines("the log did not take the record in time")
        self._work = asyncio.Event()
        self._clicks = asyncio.Event()
        self._closing = False
        self._in_flight = 0
        self._riding = 0
        self._is_away = False
        self._began_at = float("-inf")
        metrics.follow(APPENDS_IN_FLIGHT, lambda: self._in_flight)
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write; to be called on the loop that callers run on."""
        self._writer = asyncio.create_task(self._write())

    async def append(self, record: NewRecord, *, started: float) -> None:
        """
        Make a record durable.

        Args:
            record: What to append.
            started: When its request began, by the clock's `monotonic`.

        Raises:
            LogUnavailable: Not within `BUDGET_S` of ``started`` (with a spill `WITH_SPILL_S`), or too many are
                waiting. It may be in the log.
            RecordRefused: The log will never take it.
        """
        within_s = self._budget_s if self._detour is None else WITH_SPILL_S
        left = within_s - (self._clock.monotonic() - started)
        if left <= 0 or self._closing or self._in_flight >= MAX_WAITING:
            raise LogUnavailable("no time or no room left for an append")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(record, started, done))
        self._deadlines.add(done, left)
        self._work.set()
        self._clicks.set()
        self._in_flight += 1
        try:
            await done
        finally:
            self._in_flight -= 1

    def mark(self, record: NewRecord) -> None:
        """Append a mark soon; nobody waits for it."""
        if len(self._marks) >= MAX_MARKS:
            self._marks.popleft()
            self._metrics.count(MARKS, "lost")
        self._marks.append(record)
        self._work.set()

    def is_alive(self) -> bool:
        """Say whether there is still somebody who writes."""
        return self._writer is not None and not self._writer.done()

    async def is_ready(self) -> bool:
        """Say whether a record would be made durable now."""
        return not await self.lacks()

    async def lacks(self) -> Sequence[Lack]:
        """Say what keeps a record from being made durable now."""
        if self._detour is not None:
            return await self._detour.lacks()
        return [] if await self._log.ready() else ["log_away"]

    async def failed(self, *, unless: asyncio.Task[object]) -> BaseException | None:
        """Wait until nobody writes any more and return why, or ``None`` when ``unless`` is done before."""
        writer = self._writer
        if writer is None:
            return None
        await asyncio.wait({writer, unless}, return_when=asyncio.FIRST_COMPLETED)
        return writer.exception() if writer.done() and not writer.cancelled() else None

    async def close(self, *, within_s: float = 2.0) -> None:
        """Write what is waiting, marks included, for so long; then stop."""
        self._closing = True
        self._work.set()
        self._clicks.set()
        if self._writer is None:
            return
        await asyncio.wait([self._writer], timeout=within_s)
        if self._writer.done():
            return
        self._writer.cancel()
        await asyncio.wait([self._writer])
        lost = len(self._marks) + self._riding
        if lost:
            self._metrics.count(MARKS, "lost", by=lost)
            log.warning("marks_lost", marks=lost, reason="the log did not take them before the end")

    async def _write(self) -> None:
        while self._waiting or self._marks or not self._closing:
            await self._work.wait()
            if not self._closing:
                await self._gather()
            self._work.clear()
            self._clicks.clear()
            group = self._next_group()
            marks = [self._marks.popleft() for _ in range(min(len(self._marks), MAX_IN_FLIGHT))]
            if group or marks:
                self._began_at = asyncio.get_running_loop().time()
                await self._append_group(group, marks)
            if self._waiting or self._marks or self._closing:
                self._work.set()

    async def _gather(self) -> None:
        """Let others come along, for a few milliseconds at most."""
        if not self._waiting:
            await self._gather_marks()
        now = asyncio.get_running_loop().time()
        if self._began_at <= now < self._began_at + self._every_s:
            await asyncio.sleep(self._began_at + self._every_s - now)

    async def _gather_marks(self) -> None:
        try:
            async with asyncio.timeout(RETRY_MARKS_S if self._is_away else GATHER_MARKS_S):
                await self._clicks.wait()
        except TimeoutError:
            return

    def _next_group(self) -> list[_Waiting]:
        """Take the callers whose turn it is, less those who gave up."""
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_IN_FLIGHT))]
        return [waiting for waiting in group if not waiting.done.done()]

    async def _append_group(self, group: Sequence[_Waiting], marks: list[NewRecord]) -> None:
        self._riding = len(marks)
        failed = await self._try([*(waiting.record for waiting in group), *marks], self._log_s(group))
        if isinstance(failed, RecordRefused) and len(group) + len(marks) > 1:
            # One of them can never be appended, and takes those beside it along: each for itself, then.
            for waiting in group:
                _settle(waiting, await self._try([waiting.record], self._log_s([waiting])))
            failed = await self._try(marks, self._budget_s)
        for waiting in group:
            _settle(waiting, failed)
        self._riding = 0
        self._is_away = isinstance(failed, LogUnavailable)
        self._count_marks(marks, failed)

    def _count_marks(self, marks: list[NewRecord], failed: Exception | None) -> None:
        if failed is None:
            self._metrics.count(MARKS, "appended", by=len(marks))
        elif isinstance(failed, RecordRefused) or self._closing:
            self._metrics.count(MARKS, "lost", by=len(marks))
        else:
            # Before younger ones, as far as there is room. A second mark of an event is ignored by the worker.
            room = MAX_MARKS - len(self._marks)
            self._marks.extendleft(reversed(list(islice(marks, room))))
            self._metrics.count(MARKS, "lost", by=max(0, len(marks) - room))

    def _log_s(self, group: Sequence[_Waiting]) -> float:
        """Return how long the log may take for a group: until its oldest request has used up the log's share."""
        now = self._clock.monotonic()
        used = now - min((waiting.started for waiting in group), default=now)
        return max(min(LEAST_S, self._budget_s), self._budget_s - used)

    async def _try(self, records: Sequence[NewRecord], log_s: float) -> LogUnavailable | RecordRefused | None:
        try:
            if records and self._detour is not None:
                await self._detour.append(records, log_s=log_s)
            elif records:
                await append_within(self._stuck_s, self._log, records, clock=self._clock, metrics=self._metrics)
        except (LogUnavailable, RecordRefused) as error:
            return error
        return None


def _settle(waiting: _Waiting, failed: Exception | None) -> None:
    if waiting.done.done():
        return
    if failed is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(failed)
