"""A worker at work: whether it lives, what it lacks, and how it ends."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.clock import Clock
from shared.eventlog.port import EventLog
from shared.lacks import Lack
from worker.deciding.consume import Consume
from worker.measure import Measure
from worker.meter import Meter
from worker.performing.pump import Pump
from worker.performing.settle import Settler
from worker.relay import Relay
from worker.retention import Retention

STALLED_S: Final = 30.0
"""A consumer that polled nothing for so long, and is not paused on purpose, is not alive."""

READY_CHECK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The loops, in the order they are stopped in: nobody's work is left to one that has gone."""

    retention: Retention
    consume: Consume
    pump: Pump
    settler: Settler
    relay: Relay
    measure: Measure


class RunningWorker:
    """A worker at work. Leaving `serve` stops it."""

    def __init__(self, stages: Stages, event_log: EventLog, clock: Clock, meter: Meter) -> None:
        self._stages, self._log, self._clock = stages, event_log, clock
        self._tasks = _start(stages)
        self.metrics = meter.metrics
        self.admin_url = ""
        stages.measure.lacks = self.lacks

    async def is_ready(self) -> bool:
        """Say whether clicks are decided and effects performed: log and ledger answer, and nothing stands still."""
        return not await self.lacks()

    async def lacks(self) -> Sequence[Lack]:
        """Say what keeps clicks from being decided, or effects from being performed."""
        stages = self._stages
        consume = stages.consume
        told: dict[Lack, bool] = {
            "starting": not consume.began,
            "stalled": not self.is_alive(),
            "log_away": consume.pausing == "log" or not await self._log.ready(),
            "ledger_away": consume.pausing == "ledger" or stages.pump.away,
            "newer_record": consume.halted is not None,
            "too_much_failed": consume.stopped,
            "outbox_full": stages.relay.full,
        }
        return [lack for lack, is_so in told.items() if is_so]

    async def ready(self) -> None:
        """Wait until it is ready: at once, unless it stands by while another worker reads its SQLite log."""
        while not await self.is_ready():
            await self._clock.sleep(READY_CHECK_S)

    def is_alive(self) -> bool:
        """Say whether a restart would not help: all loops run, and the consumer polls unless paused on purpose."""
        consume = self._stages.consume
        polls = self._clock.monotonic() - consume.progress < STALLED_S
        return not self._broken() and bool(polls or consume.pausing or consume.halted or consume.stopped)

    async def failed(self) -> BaseException | None:
        """Wait until a loop ends by an error, and return the error: the process cannot go on. `None` once stopped."""
        await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        return self._broken()

    def _broken(self) -> BaseException | None:
        ended = [task for task in self._tasks.values() if task.done() and not task.cancelled()]
        return next((error for task in ended if (error := task.exception()) is not None), None)

    async def stop(self) -> None:
        """Stop polling, finish the calls under way, settle, relay; each stage only when the one before has ended."""
        stages = self._stages
        for name, stop in (
            ("retention", stages.retention.stop),
            ("consume", stages.consume.stop),
            ("pump", stages.pump.stop),
            ("settler", stages.settler.stop),
            ("relay", stages.relay.stop),
            ("measure", stages.measure.stop),
        ):
            stop()
            await asyncio.wait([self._tasks[name]])


def _start(stages: Stages) -> dict[str, asyncio.Task[None]]:
    loops: dict[str, Coroutine[Any, Any, None]] = {
        "retention": stages.retention.run(),
        "consume": stages.consume.run(),
        "pump": stages.pump.run(),
        "settler": stages.settler.run(),
        "relay": stages.relay.run(),
        "measure": stages.measure.run(),
    }
    return {name: asyncio.create_task(loop, name=f"worker-{name}") for name, loop in loops.items()}
