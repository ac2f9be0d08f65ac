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
from typing import Final

import structlog

from shared.clock import Clock
from shared.core.errors import LedgerUnavailable
from worker.alarm import Alarm
from worker.attempt import Attempts, Job
from worker.ledger.port import EffectKey, Lease, Ledger
from worker.relay import Relay
from worker.settle import Settler

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
        attempts: Attempts,
        settler: Settler,
        relay: Relay,
        alarm: Alarm,
        clock: Clock,
        owner: str,
        concurrency: int,
    ) -> None:
        self._ledger, self._attempts, self._settler, self._relay = ledger, attempts, settler, relay
        self._alarm, self._clock, self._owner, self._concurrency = alarm, clock, owner, concurrency
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.away = False

    def stop(self) -> None:
        """Lease no more, finish what is under way and return from `run`."""
        self._stopping = True
        self._alarm.now()

    async def run(self) -> None:
        """Perform effects until stopped; an absent ledger is waited for."""
        while not self._stopping:
            await self._alarm.wait()
            try:
                while await self._lease_some():
                    pass
                await self._look_again()
            except LedgerUnavailable as error:
                log.warning("leasing_waits", error=type(error).__name__, reason=str(error))
                self.away = True
                await self._clock.sleep(AWAY_S)
                self._alarm.now()
            else:
                self.away = False
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _lease_some(self) -> bool:
        """Lease and start what there is room for; return whether there may be more at once."""
        room = self._concurrency - len(self._under_way)
        if room <= 0 or self._stopping or self._relay.full:
            return False
        lease = await self._ledger.lease(self._owner, limit=room, ttl_ms=LEASE_MS)
        self._alarm.learn(lease.now)
        for job in await self._prepare(lease):
            task = asyncio.create_task(self._perform(job))
            self._under_way.add(task)
            task.add_done_callback(self._finished)
        return len(lease.targets) == room

    async def _look_again(self) -> None:
        """Set the alarm to the next target that is due; while there is no room, whoever finishes rings it."""
        if len(self._under_way) < self._concurrency and not self._relay.full:
            due = await self._ledger.next_due()
            if due is not None:
                # Due already means that another worker holds it just now: give it a moment.
                self._alarm.at(max(due, self._alarm.ledger_now() + CONTENDED_MS))

    async def _prepare(self, lease: Lease) -> list[Job]:
        """Choose for each target; settle those that need no call, and reserve and note what the others need."""
        choices = self._attempts.choose(lease)
        payloads = await self._ledger.payloads([call.key for _, choice in choices if (call := choice.call)])
        jobs = []
        for leased, choice in choices:
            settled = self._attempts.without_call(leased, choice, payloads, lease.now)
            if isinstance(settled, Job):
                jobs.append(settled)
            else:
                self._settler.put(settled)
        return await self._reserve(jobs)

    async def _reserve(self, jobs: list[Job]) -> list[Job]:
        wants = self._attempts.wants(jobs)
        waits = await self._ledger.reserve(wants, ahead_ms=self._attempts.AHEAD_MS) if wants else {}
        ready, put_off = self._attempts.spaced(jobs, waits)
        for settlement in put_off:
            self._settler.put(settlement)
        begun: list[EffectKey] = [job.head.key for job in ready if job.sends]
        if begun:
            await self._ledger.begun(begun)
        return ready

    async def _perform(self, job: Job) -> None:
        await self._clock.sleep(job.wait_s)
        self._settler.put(await self._attempts.perform(job))

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Nothing on this path is meant to raise; the lease ends and the effect is tried again.
            log.error("attempt_broke", error=type(error).__name__, exc_info=error)
        self._alarm.now()
