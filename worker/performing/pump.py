"""
Stage two: perform what was decided.

The pump leases targets that are due, chooses one call for each, and settles what became of it. Nothing is open
while the platform is called: a lease is a row with an end.

Guarantees: an effect is performed at least once, or superseded, refused or given up, and its outcome is stored
with the target's release in one transaction. A crash in between leaves the lease to end; then the effect is
performed again under the same idempotency key. Two pumps never work on one target at a time, unless one was frozen
for longer than its lease: it may complete one stale call, and then the newest state is sent again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog

from shared.core.errors import LedgerUnavailable
from shared.core.folded import RightKey
from shared.core.json_text import EpochMs
from shared.core.targets import shown_target
from shared.eventlog.port import Topics
from worker.ledger.leased import EffectKey, GivenRight
from worker.performing.attempt import attempt
from worker.performing.attempted import Attempt
from worker.performing.choose import Choice, choose
from worker.performing.errands import Errands
from worker.performing.job import Errand, Job
from worker.performing.lease import LEASE_MS
from worker.performing.outages import Outages
from worker.performing.ports import Performing
from worker.performing.prepare import needless, no_way, prepare
from worker.performing.reporting import Reporting
from worker.performing.result import result
from worker.performing.throttle import AHEAD_MS, Throttle
from worker.performing.turn import Result, Turn
from worker.performing.way import right_for
from worker.platform.client import Platform
from worker.relay import Relay

NOT_UNDERSTOOD_MS: Final = 60_000
AWAY_S: Final = 0.5
CONTENDED_MS: Final = 5

log = structlog.get_logger("cardwire.worker")


class Pump:
    """Performs effects, many targets at a time."""

    def __init__(
        self,
        performing: Performing,
        *,
        platform: Platform,
        throttle: Throttle,
        errands: Errands,
        reporting: Reporting,
        relay: Relay,
        topics: Topics,
        concurrency: int,
        settle_ms: int,
    ) -> None:
        """
        Perform nothing yet.

        Args:
            errands: Makes the calls that are not the platform's business.
            relay: While it is full, nothing is leased.
            concurrency: How many calls of the platform may be under way.
            settle_ms: How long a client may still be painting an answer.
        """
        self._ledger, self._owner, self._chance = performing.ledger, performing.owner, performing.chance
        self._clock, self._alarm, self._meter = performing.clock, performing.alarm, performing.meter
        self._platform, self._throttle, self._errands = platform, throttle, errands
        self._put, self._relay, self._topics = reporting.put, relay, topics
        self._concurrency, self._settle_ms = concurrency, settle_ms
        self._outages = Outages(self._meter)
        self._under_way: set[asyncio.Task[None]] = set()
        self._meter.under_way("platform", self._under_way)
        self._stopping = False
        self.away = False

    def stop(self) -> None:
        """Lease no more, finish what is under way and return from `run`."""
        self._stopping = True
        self._alarm.at(self._alarm.ledger_now())

    async def run(self) -> None:
        """
        Perform effects until stopped; an absent ledger is waited for.

        Raises:
            TooManyHang: Too many users' functions hang; what is under way has ended, and waits to be settled.
        """
        hang = None
        while not self._stopping and (hang := self._errands.too_many()) is None:
            await self._alarm.wait()
            try:
                while await self._lease_some():
                    pass
            except LedgerUnavailable as error:
                if not self.away:
                    log.warning("leasing_waits", error=type(error).__name__, reason=str(error))
                self.away = True
                await self._clock.sleep(AWAY_S)
            else:
                self.away = False
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._errands.finish()
        if hang is not None:
            raise hang

    async def _lease_some(self) -> bool:
        """Lease and start what there is room for; return whether there may be more at once."""
        room = self._concurrency - len(self._under_way)
        if room <= 0 or self._stopping or self._relay.full:
            return False  # Whoever finishes rings the alarm.
        lease = await self._ledger.lease(self._owner, limit=room, ttl_ms=LEASE_MS)
        self._alarm.learn(lease.now)
        turns = [Turn(leased=one, choice=choose(one, lease.now), topics=self._topics) for one in lease.targets]
        for job in await self._jobs(turns, lease.now):
            task = asyncio.create_task(self._perform(job))
            self._under_way.add(task)
            task.add_done_callback(self._finished)
        if len(lease.targets) == room:
            return True
        if lease.next_due is not None:
            # Due already means that another worker holds it just now: give it a moment.
            self._alarm.at(max(lease.next_due, lease.now + CONTENDED_MS))
        return False

    async def _jobs(self, turns: list[Turn], now: EpochMs) -> list[Job]:
        """Return the calls to make; turns that need none, or come too early, are settled."""
        try:
            heads = [turn.choice.call for turn in turns if turn.choice.call]
            payloads = await self._ledger.payloads([head.key for head in heads])
            needed = {key for head in heads if (key := right_for(head)) is not None}
            rights = await self._ledger.tokens(needed) if needed else {}
            jobs = [job for turn in turns if (job := self._prepared(turn, payloads, rights, now)) is not None]
            return await self._reserve(jobs, now)
        except LedgerUnavailable:
            for turn in turns:
                self._put(turn.given_back(now))  # For when the ledger is there again.
            raise

    def _prepared(
        self, turn: Turn, payloads: Mapping[EffectKey, bytes], rights: Mapping[RightKey, GivenRight], now: EpochMs
    ) -> Job | None:
        app_id, head = turn.leased.key.app_id, turn.choice.call
        try:
            payload = payloads.get(head.key) if head else None
            right = rights.get(needed) if head and (needed := right_for(head)) else None
            prepared: Job | Errand | Result = prepare(
                turn, payload, self._outages.breaker(app_id), now, settle_ms=self._settle_ms, right=right
            )
        except Exception:
            # An effect of a newer worker, or a bug: it waits, for this worker's upgrade, and holds nobody up.
            log.exception("effect_not_understood", target=shown_target(turn.leased.key.target))
            prepared = replace(turn, choice=Choice()).settled(now, pace_ms=NOT_UNDERSTOOD_MS)
        if isinstance(prepared, Job):
            # Now, so that an open breaker lets one of these turns through; put off, it is silent for 10 s more.
            self._outages.calls(app_id, now)
            return prepared
        put_off = self._errands.start(prepared, now) if isinstance(prepared, Errand) else prepared
        if put_off is not None:
            self._put(put_off)
        return None

    async def _reserve(self, jobs: list[Job], now: EpochMs) -> list[Job]:
        """Wait for nobody: reserve each call's time, put off what is too far ahead, note which sends begin."""
        wants = self._throttle.wants(jobs)
        waits = await self._ledger.reserve(wants, ahead_ms=AHEAD_MS) if wants else {}
        ready, put_off = self._throttle.spaced(jobs, waits, now)
        self._meter.put_off("rate_limit", len(put_off))
        for one in put_off:
            self._put(one)
        return await self._begin(ready, now)

    async def _begin(self, jobs: list[Job], now: EpochMs) -> list[Job]:
        """Record what is begun and may not be begun for ever; return the jobs that were given what they need."""
        beginnings = [beginning for job in jobs if (beginning := job.beginning) is not None]
        begun = await self._ledger.begun(beginnings) if beginnings else {}
        ready = []
        for job in (job.given(begun.get(job.head.key)) for job in jobs):
            if job.counted is not None and (job.begun is None or job.begun.uses_left is None):
                self._put(no_way(job.turn, job.head, "token_spent", now, right=None))
            else:
                ready.append(job)
        return ready

    async def _perform(self, job: Job) -> None:
        self._meter.budget_wait(job.api, job.wait_s)
        await self._clock.sleep(job.wait_s)
        now = self._alarm.ledger_now()
        instead = needless(job, now) or self._silenced(job, now)
        if instead is not None:
            self._put(job.not_made(instead))
            return
        made = await attempt(job, self._platform, self._clock, started_at=now, pace_ms=self._throttle.pace_ms(job))
        self._note(made)
        came_to = result(made, self._chance)
        self._put(came_to, api=job.api)
        if came_to.block_ms is not None:
            budget = self._throttle.budget(job)
            self._throttle.silence(budget, made.now + came_to.block_ms)
            await self._ledger.blocked(budget, for_ms=came_to.block_ms)

    def _silenced(self, job: Job, now: EpochMs) -> Result | None:
        if (silenced := self._throttle.silenced(job, now)) is not None:
            self._meter.put_off("silence")
        return silenced

    def _note(self, made: Attempt) -> None:
        """Learn from a call about the platform's health."""
        head = made.job.head
        self._outages.came_to(head.app_id, made.performed, target=head.target, started_at=made.started_at, now=made.now)
        self._meter.call(head.app_id, made.job.api, started_at=made.started_at, ended_at=made.now)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # An absent ledger, or a bug: the lease ends and the effect is tried again.
            log.error("attempt_broke", error=type(error).__name__, exc_info=error)
        if len(self._under_way) == self._concurrency - 1:
            self._alarm.at(self._alarm.ledger_now())
