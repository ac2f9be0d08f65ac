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
import random
from typing import Final

import structlog

from shared.clock import Clock
from shared.core.errors import LedgerUnavailable
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.eventlog.port import Topics
from worker.alarm import Alarm
from worker.attempt import Called, call, result
from worker.breaker import CLOSED, Breaker, called, heard, retry_at
from worker.choose import choose
from worker.client import Platform
from worker.ledger.port import Lease, Ledger
from worker.meter import Meter
from worker.prepare import Job, prepare, ruled
from worker.relay import Relay
from worker.settle import Settler
from worker.settlement import Result, Turn
from worker.throttle import AHEAD_MS, Throttle

LEASE_MS: Final = 15_000
"""Longer than the longest wait for a rate limit and the longest call together, with room for a settlement."""

AWAY_S: Final = 0.5
CONTENDED_MS: Final = 5

log = structlog.get_logger("cardwire.worker")


class Pump:
    """Performs effects, many targets at a time."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        platform: Platform,
        topics: Topics,
        throttle: Throttle,
        settler: Settler,
        relay: Relay,
        alarm: Alarm,
        clock: Clock,
        meter: Meter,
        rng: random.Random,
        owner: str,
        concurrency: int,
    ) -> None:
        self._ledger, self._platform, self._topics, self._throttle = ledger, platform, topics, throttle
        self._settler, self._relay, self._alarm, self._clock = settler, relay, alarm, clock
        self._meter, self._rng, self._owner, self._concurrency = meter, rng, owner, concurrency
        self._breakers: dict[AppId, Breaker] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.away = False

    def stop(self) -> None:
        """Lease no more, finish what is under way and return from `run`."""
        self._stopping = True
        self._alarm.at(self._alarm.ledger_now())

    async def run(self) -> None:
        """Perform effects until stopped; an absent ledger is waited for."""
        while not self._stopping:
            await self._alarm.wait()
            try:
                while await self._lease_some():
                    pass
            except LedgerUnavailable as error:
                log.warning("leasing_waits", error=type(error).__name__, reason=str(error))
                self.away = True
                await self._clock.sleep(AWAY_S)
            else:
                self.away = False
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _lease_some(self) -> bool:
        """Lease and start what there is room for; return whether there may be more at once."""
        room = self._concurrency - len(self._under_way)
        if room <= 0 or self._stopping or self._relay.full:
            return False  # Whoever finishes rings the alarm.
        lease = await self._ledger.lease(self._owner, limit=room, ttl_ms=LEASE_MS)
        self._alarm.learn(lease.now)
        for job in await self._reserve(await self._prepare(lease), lease.now):
            task = asyncio.create_task(self._perform(job))
            self._under_way.add(task)
            task.add_done_callback(self._finished)
        if len(lease.targets) == room:
            return True
        if lease.next_due is not None:
            # Due already means that another worker holds it just now: give it a moment.
            self._alarm.at(max(lease.next_due, lease.now + CONTENDED_MS))
        return False

    async def _prepare(self, lease: Lease) -> list[Job]:
        """Choose for each target, settle those that need no call, and return the others' calls."""
        turns = [Turn(leased=one, choice=choose(one, lease.now), topics=self._topics) for one in lease.targets]
        payloads = await self._ledger.payloads([turn.choice.call.key for turn in turns if turn.choice.call])
        jobs = []
        for turn in turns:
            payload = payloads.get(turn.choice.call.key) if turn.choice.call else None
            app_id = turn.leased.key.app_id
            prepared = prepare(turn, payload, self._breaker(app_id), lease.now)
            if isinstance(prepared, Job):
                # Now, so that an open breaker lets one of these turns through; put off, it is silent for 10 s more.
                self._breakers[app_id] = called(self._breaker(app_id), now=lease.now)
                jobs.append(prepared)
            else:
                self._put(prepared)
        return jobs

    async def _reserve(self, jobs: list[Job], now: EpochMs) -> list[Job]:
        """Wait for nobody: reserve each call's time, put off what is too far ahead, note which sends begin."""
        wants = self._throttle.wants(jobs)
        waits = await self._ledger.reserve(wants, ahead_ms=AHEAD_MS) if wants else {}
        ready, put_off = self._throttle.spaced(jobs, waits, now)
        for one in put_off:
            self._put(one)
        if sends := [job.head.key for job in ready if job.sends]:
            await self._ledger.begun(sends)
        return ready

    async def _perform(self, job: Job) -> None:
        self._meter.budget_wait(job.api, job.wait_s)
        await self._clock.sleep(job.wait_s)
        now_ruled = ruled(job.turn, job.head, job.effect, self._alarm.ledger_now())
        if isinstance(now_ruled, Result):
            self._put(now_ruled)  # The card's time ran out while its call waited for the rate limit.
            return
        made = await call(
            job, self._platform, self._clock, ahead_ms=self._alarm.ahead_ms, pace_ms=self._throttle.pace_ms(job)
        )
        self._note(made)
        came_to = result(made, self._rng.random)
        if came_to.block_ms is not None:
            await self._ledger.blocked(job.budget, for_ms=came_to.block_ms)
        self._put(came_to)

    def _note(self, made: Called) -> None:
        """Learn from a call about the platform's health."""
        head = made.job.head
        breaker = heard(self._breaker(head.app_id), made.performed, target=head.target, now=made.now)
        self._breakers[head.app_id] = breaker
        self._meter.breaker(head.app_id, is_open=retry_at(breaker) is not None)
        self._meter.call(made.job.api, (made.now - made.started_at) / 1000)

    def _put(self, came_to: Result) -> None:
        for head, outcome in came_to.outcomes:
            self._meter.outcome(outcome, received_at=head.received_at)
            log.info(
                "effect_performed",
                status=outcome.status,
                event_id=outcome.event_id,
                index=outcome.index,
                k=outcome.k,
                kind=outcome.kind,
                target=outcome.target,
                code=outcome.code,
                reason=outcome.reason,
                retry_at=outcome.retry_at,
                log_id=outcome.log_id,
            )
        self._settler.put(came_to.settlement)

    def _breaker(self, app_id: AppId) -> Breaker:
        return self._breakers.get(app_id, CLOSED)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # An absent ledger, or a bug: the lease ends and the effect is tried again.
            log.error("attempt_broke", error=type(error).__name__, exc_info=error)
        if len(self._under_way) == self._concurrency - 1:
            self._alarm.at(self._alarm.ledger_now())
