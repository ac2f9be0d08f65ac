"""
The loop of stage one: read what is there, decide it, store it, go on.

Guarantees: a batch's decisions and its positions are stored in one transaction, so after a crash at any moment a
record is either decided or read again. A worker that lost a partition without noticing is fenced by the
position's compare-and-set: its batch is dropped and it seeks to the ledger's positions. While the ledger is away
nothing is read and nothing is lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

import structlog

from shared.app.app import App
from shared.clock import Clock
from shared.core.callers import NOBODY, Callers
from shared.core.errors import LedgerUnavailable, LogUnavailable, NewerThanUs
from shared.core.events import RequestReceived
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.eventlog.port import Consumer, EventLog, Polled, Topics
from shared.observability.traces import Traces
from worker.deciding.batch import Batch, Taken, take
from worker.deciding.decide import decide
from worker.deciding.draft import Draft
from worker.deciding.failing import Failing
from worker.deciding.grant import is_against
from worker.deciding.handlers import HandlerThreads, Undecided
from worker.deciding.pausing import Pausing
from worker.deciding.spans import trace_decisions
from worker.deciding.telling import Telling
from worker.deciding.wanted import wanted
from worker.ledger.decided import Known, Write
from worker.ledger.port import ClaimRace, DataRefused, DecidingLedger, Fenced
from worker.meter import Meter
from worker.settings import SETTLE_MS

BATCH: Final = 2_000
"""Records decided together at most."""

WAIT_S: Final = 0.5
"""How long one poll waits for a record to arrive; an arriving one ends it at once."""

FEW: Final = 100
GATHER_S: Final = 0.01
"""How long few records wait for more: a click's mark is right behind it, and two transactions cost twice as much."""

STOPPED_HINT: Final = "too many handlers fail: see `cardwire dlq list`, correct them and restart"

Committed = Callable[[Write, EpochMs], None]
"""Told after each commit: what was written, and the ledger's time of it."""

_T = TypeVar("_T")

log = structlog.get_logger("cardwire.worker")


class Consume:
    """
    Reads the interactions topic and decides it, until it is told to stop.

    Attributes:
        callers: Who may ask for what; may be replaced at any time.
        reread: Asked to bring ``callers`` up to date before a request is refused by them; never raises.
    """

    def __init__(
        self,
        *,
        apps: Mapping[AppId, App],
        event_log: EventLog,
        ledger: DecidingLedger,
        topics: Topics,
        group: str,
        clock: Clock,
        meter: Meter,
        committed: Committed,
        handlers: HandlerThreads,
        dead_letters_stop: int,
        settle_ms: int = SETTLE_MS,
        callers: Callers = NOBODY,
        stores: Collection[AppId] = frozenset(),
        traces: Traces | None = None,
    ) -> None:
        self._apps, self._log, self._ledger, self._topics, self._group = apps, event_log, ledger, topics, group
        self._clock, self._meter, self._committed, self._handlers = clock, meter, committed, handlers
        self._settle_ms, self._traces = settle_ms, traces
        self.callers = callers
        self._stores = stores
        self._failing = Failing(dead_letters_stop)
        self.reread: Callable[[], Awaitable[None]] = _nothing_to_read
        self._telling = Telling()
        self._next: dict[int, int] = {}
        self._stopping = asyncio.Event()
        self.began = False
        self.halted: NewerThanUs | None = None
        self.stopped = False
        self._pausing = Pausing(event_log, clock)

    @property
    def positions(self) -> Mapping[int, int]:
        """The next offset of each partition that is ours."""
        return self._next

    @property
    def pausing(self) -> str | None:
        """What is waited for: the log, the ledger, or neither."""
        return self._pausing.waiting_for

    @property
    def progress(self) -> float:
        """When it last went on (monotonic, s)."""
        return self._pausing.progress

    def stop(self) -> None:
        """Finish the batch in hand and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """
        Consume until stopped. An absent log or ledger is waited for.

        Raises:
            TooManyStuck: Too many handlers hang; everything decided is committed.
        """
        try:
            await self._keep_consuming()
        finally:
            self._handlers.close()

    async def _keep_consuming(self) -> None:
        while not self._stopping.is_set():
            try:
                consumer = await self._log.consume(self._topics.interactions, group=self._group)
            except LogUnavailable as error:
                await self._pausing.wait("log", error)
                continue
            try:
                await self._consume(consumer)
            except LogUnavailable as error:
                await self._pausing.wait("log", error)
            finally:
                self._next.clear()
                await consumer.close()

    async def _consume(self, consumer: Consumer) -> None:
        while (polled := await self._polled(consumer)) is not None:
            self.began = True
            await self._pausing.heard(polled)
            await self._assign(polled, consumer)
            records = {partition: found for partition, found in polled.records.items() if partition in self._next}
            if not records:
                continue
            batch = take(records)
            decided = await self._decide_all(batch.taken, consumer)
            if batch.halted and decided:
                await self._halt(batch.halted)
            elif batch.halted:
                # The batch was dropped, but the newer record is no part of it: it would be stepped over.
                await self._seek(sorted(set(records) & set(self._next)), consumer)

    async def _polled(self, consumer: Consumer) -> Polled | None:
        """Poll; `None` as soon as the worker is to stop: nobody would decide what it waits for."""
        polling, stopping = asyncio.ensure_future(self._poll(consumer)), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return None if self._stopping.is_set() else polling.result()
        finally:
            polling.cancel()
            stopping.cancel()
            await asyncio.gather(polling, stopping, return_exceptions=True)

    async def _poll(self, consumer: Consumer) -> Polled:
        polled = await consumer.poll(max_records=BATCH, wait_s=WAIT_S)
        if not 0 < sum(map(len, polled.records.values())) < FEW:
            return polled
        await self._clock.sleep(GATHER_S)
        return _joined(polled, await consumer.poll(max_records=BATCH, wait_s=0))

    async def _assign(self, polled: Polled, consumer: Consumer) -> None:
        for partition in polled.revoked:
            self._next.pop(partition, None)
        if polled.assigned:
            await self._seek(sorted(polled.assigned), consumer)

    async def _seek(self, partitions: Sequence[int], consumer: Consumer) -> None:
        positions = await self._patiently(self._ledger.positions)
        if positions is None:
            return
        for partition in partitions:
            self._next[partition] = positions[partition].next
            consumer.seek(partition, positions[partition].next)

    async def _decide_all(self, taken: Sequence[Taken], consumer: Consumer) -> bool:
        """Decide and store records, in as many transactions as it takes; return whether all are."""
        rest = list(taken)
        while rest and not self._stopping.is_set():
            done = await self._decide_some(rest, consumer)
            if done is None:
                return False
            self._handlers.check()
            self._meter.stuck(self._handlers.stuck)
            rest = rest[done:]
            if self._failing.is_too_much:
                await self._stop_deciding()
        return not rest

    async def _decide_some(
        self, rest: Sequence[Taken], consumer: Consumer, *, refused: Sequence[str] = ()
    ) -> int | None:
        """
        Decide and store what fits into one transaction; return how many records that were, `None` if fenced.

        Args:
            refused: Why the only record here could not be decided, or not stored: once, and it fails; as what failed
                it could not be stored either, and it is put aside.
        """
        try:
            draft = await self._drafted(rest, refused)
            await self._store(draft)
        except ClaimRace:
            return 0
        except Fenced:
            fenced = sorted({taken.record.partition for taken in rest})
            log.info("batch_fenced", partitions=fenced)
            self._meter.fenced()
            await self._seek(fenced, consumer)
            return None
        except (DataRefused, Undecided) as error:
            # Halve it until the record is alone that cannot be decided, or whose data the database does not take.
            if len(rest) > 1:
                return await self._decide_some(rest[: len(rest) // 2], consumer)
            if len(refused) > 1:
                raise
            return await self._decide_some(rest, consumer, refused=(*refused, str(error)))
        except LedgerUnavailable as error:
            await self._pausing.wait("ledger", error)
            return 0
        self._pausing.went_on()
        return draft.taken

    async def _drafted(self, rest: Sequence[Taken], refused: Sequence[str]) -> Draft:
        match refused:
            case ():
                return await self._decide(rest[: self._failing.room])
            case (reason,):
                return await self._decide(rest, gives_up=reason)
            case _:
                return await self._parking(rest[0], refused[-1])

    async def _decide(self, rest: Sequence[Taken], *, gives_up: str | None = None) -> Draft:
        known: Known = await self._ledger.read(wanted(rest))
        batch = Batch(taken=rest)
        if self._refuses_some(rest, known):
            await self.reread()  # it is for good: by the lists as they are now
        callers = self.callers  # the same if it is decided again
        return await self._handlers.run(
            lambda call: decide(batch, known, self._apps, call, callers=callers, stores=self._stores, gives_up=gives_up)
        )

    def _refuses_some(self, rest: Sequence[Taken], known: Known) -> bool:
        asked = (taken.fact for taken in rest if isinstance(taken.fact, RequestReceived))
        against = [request for request in asked if is_against(self.callers, request)]
        if not against:
            return False
        draft = Draft(known)
        return not all(draft.is_claimed(request) for request in against)

    async def _parking(self, taken: Taken, reason: str) -> Draft:
        draft = Draft(Known(now=await self._ledger.now()))
        draft.park(taken, reason)
        draft.passed(taken)
        return draft

    async def _store(self, draft: Draft) -> None:
        write = self._written(draft)
        at = await self._ledger.write(write)
        for move in write.moves:
            self._next[move.partition] = move.next
        late = sum(claim.late for claim in write.claims)
        after_s = ((at - asked.received_at) / 1000 for asked, _ in draft.decisions)
        self._meter.decided(draft.results, marks=draft.marks, late=late, after_s=after_s)
        self._failing.note(decided for _, decided in draft.decisions)
        self._telling.decided(draft.decisions, at)
        if self._traces is not None:
            trace_decisions(self._traces, draft.traced, began=draft.now, at=at)
        self._telling.told(write, draft.parked)
        self._telling.misled(draft.misled)
        self._committed(write, at)

    def _written(self, draft: Draft) -> Write:
        try:
            return draft.write(self._next, self._topics, settle_ms=self._settle_ms)
        except Exception as error:
            raise Undecided(error) from error

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T | None:
        """Ask the ledger until it answers; `None` only when the worker stops meanwhile."""
        while not self._stopping.is_set():
            try:
                answer = await ask()
            except LedgerUnavailable as error:
                await self._pausing.wait("ledger", error)
            else:
                self._pausing.went_on()
                return answer
        return None

    async def _halt(self, newer: NewerThanUs) -> None:
        """Stand still at a record that a newer program wrote: unready, effects go on, until this one is upgraded."""
        self.halted = newer
        log.error("consuming_halted", reason=str(newer))
        await self._stopping.wait()

    async def _stop_deciding(self) -> None:
        """Stand still before a broken deploy fills the dead letters: unready, effects go on, until it is restarted."""
        self.stopped = True
        failed, cards = self._failing.share
        log.error("deciding_stopped", failed_cards=failed, of_cards=cards, hint=STOPPED_HINT)
        await self._stopping.wait()


async def _nothing_to_read() -> None:
    """Stand for a file of callers, where there is none that could change."""


def _joined(first: Polled, second: Polled) -> Polled:
    """Return two polls as one; what was revoked in between is dropped."""
    records = {partition: list(some) for partition, some in first.records.items() if partition not in second.revoked}
    for partition, some in second.records.items():
        records.setdefault(partition, []).extend(some)
    return Polled(records=records, assigned=second.assigned, revoked=first.revoked | second.revoked)
