"""
Calls of the user's own functions: made by the pump, beside the platform's.

Guarantees: a function is called at least once, and what it returned, or why it was given up, is told in the transaction
that ends its effect. A call may take longer than a lease: the lease is prolonged as long as it lasts, and ends soon
after the process does; then the function is called again, by whoever takes the lease, with the same key. Calls take
no room from the platform's, and are bounded by themselves. Where too many hang, none is made, which counts for nothing,
and the process starts afresh.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import structlog

from shared.app.app import App
from shared.app.calls import RegisteredCall
from shared.core.errors import LedgerUnavailable
from shared.core.ids import AppId
from shared.core.json_text import EpochMs
from shared.feishu.openapi import idempotency_key
from worker.calling.came import Broke, Came
from worker.calling.runner import Runner, TooManyHang
from worker.ledger.leased import Head
from worker.performing.errand_result import errand_result
from worker.performing.job import Errand
from worker.performing.lease import LEASE_MS, PROLONGED_EVERY_MS
from worker.performing.ports import Performing
from worker.performing.turn import Result
from worker.performing.waiting import Waiting

CALLS: Final = 64
"""How many functions may be under way at once."""

HANG_MS: Final = 500
"""How long to wait where too many hang: the process is about to start afresh."""

FINISH_S: Final = 5.0
"""How long calls under way may take to end when the worker stops; the others are made again."""

log = structlog.get_logger("cardwire.worker")


class Errands:
    """Calls under way."""

    def __init__(
        self,
        performing: Performing,
        *,
        runner: Runner,
        apps: Mapping[AppId, App],
        put: Callable[[Result], None],
        finish_s: float = FINISH_S,
    ) -> None:
        self._ledger, self._owner, self._chance = performing.ledger, performing.owner, performing.chance
        self._clock, self._alarm, self._meter = performing.clock, performing.alarm, performing.meter
        self._runner, self._apps, self._put, self._finish_s = runner, apps, put, finish_s
        self._under_way: set[asyncio.Task[None]] = set()
        self._waiting = Waiting(CALLS)
        self._calling_up: asyncio.Task[None] | None = None
        self._meter.under_way("own", self._under_way)
        self._meter.stuck_calls(lambda: runner.stuck)

    def start(self, errand: Errand, now: EpochMs) -> Result | None:
        """Begin a call; without room, or where too many hang, return the turn as it is put off, and unchanged."""
        if self.too_many() is not None:
            return errand.turn.settled(now, pace_ms=HANG_MS)
        key = errand.turn.leased.key
        if len(self._under_way) >= CALLS:
            self._meter.put_off("calls_full")
            return errand.turn.settled(now, pace_ms=self._waiting.join(key))
        self._waiting.leave(key)
        task = asyncio.create_task(self._run(errand))
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        return None

    def too_many(self) -> TooManyHang | None:
        """Return why no function is called until the process has started afresh."""
        return self._runner.too_many()

    async def finish(self) -> None:
        """Wait for what is under way, for a while, and give up the rest: it is called again, with the same keys."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._finish_s)
        left = [*self._under_way, *([] if self._calling_up is None else [self._calling_up])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._runner.close()

    async def _run(self, errand: Errand) -> None:
        call = self._registered(errand)
        keeping = asyncio.create_task(self._keep(errand))
        try:
            came = None if call is None else await self._call(errand, call)
        except asyncio.CancelledError:
            self._put(errand.turn.settled(self._alarm.ledger_now()))
            raise
        except Exception as error:
            # What nobody foresaw counts as an attempt all the same: a call that always ends so, ends.
            log.exception("call_broke", error=type(error).__name__)
            came = Broke(reason="raised", text=f"{type(error).__name__} around {errand.effect.name}")
        finally:
            keeping.cancel()
        allowed = 0 if call is None else call.attempts
        now = self._alarm.ledger_now()
        self._put(errand_result(errand, came, allowed=allowed, now=now, chance=self._chance))

    def _registered(self, errand: Errand) -> RegisteredCall | None:
        app = self._apps.get(errand.head.app_id)
        return None if app is None else app.registered_call(errand.effect.name)

    async def _call(self, errand: Errand, call: RegisteredCall) -> Came | Broke:
        key = idempotency_key(errand.head.app_id, errand.head.event_id, errand.head.index)
        came = await self._runner.call(call, errand.effect.args, key)
        if isinstance(came, Broke):
            text = None if came.reason == "refused" else came.text
            log.warning("call_failed", name=call.name, **_named(errand.head), reason=came.reason, text=text)
        return came

    async def _keep(self, errand: Errand) -> None:
        """Prolong the lease, as long as it is ours and the call lasts."""
        leased = errand.turn.leased
        while True:
            await self._clock.sleep(PROLONGED_EVERY_MS / 1000)
            try:
                if not await self._ledger.prolong(self._owner, leased.key, leased.leased_at, ttl_ms=LEASE_MS):
                    return  # Somebody else has it, and what this call brings is dropped when it is settled.
            except LedgerUnavailable:
                continue

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug: the lease ends and the function is called again.
            log.error("call_broke", error=type(error).__name__, exc_info=error)
        if self._waiting and (self._calling_up is None or self._calling_up.done()):
            self._calling_up = asyncio.create_task(self._call_up())

    async def _call_up(self) -> None:
        """Have those come whose turn it is; if the ledger is away, they come by themselves, later."""
        with suppress(LedgerUnavailable):
            while keys := self._waiting.call_up(len(self._under_way), self._clock.monotonic()):
                await self._ledger.resume(keys)
                self._alarm.at(self._alarm.ledger_now())


def _named(head: Head) -> dict[str, str | int]:
    """Return what an effect is found by, in the names of every line."""
    card = {} if head.message_id is None else {"open_message_id": head.message_id}
    return {"app_id": head.app_id, "event_id": head.event_id, "index": head.index, **card}
