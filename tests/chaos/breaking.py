"""Faults are done here, each at its time: by process ids, and never to a process that is not ours."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from tests.chaos.faults import Fault, Kill, RestartBroker
from tests.chaos.history import FaultDone
from tests.chaos.processes import Fleet, Kept, now
from tests.support.kafka import KafkaBroker

WAIT_S: Final = 15.0
"""How long a kill waits for somebody to kill, where all of a role are just being started again."""


@dataclass(slots=True)
class Breaking:
    """
    Does the faults of a run.

    Attributes:
        done: What was done, in order.
    """

    fleet: Fleet
    broker: KafkaBroker | None
    done: list[FaultDone] = field(default_factory=list)

    async def run(self, faults: Sequence[Fault]) -> None:
        """Do each fault at its time, counted from now; a broker comes back while other faults go on."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(began + fault.at_s - asyncio.get_running_loop().time())
                match fault:
                    case Kill():
                        await self._kill(fault)
                    case RestartBroker():
                        group.create_task(self._restart(fault))
                    case _ as unreachable:
                        assert_never(unreachable)

    async def _kill(self, kill: Kill) -> None:
        victim = await self._victim(kill)
        self._note("kill", kill.role, victim.spec.name)
        victim.kill()

    async def _victim(self, kill: Kill) -> Kept:
        """Return the process that is meant, or another of its role if that one is just being started again."""
        running = self.fleet.of(kill.role)
        preferred = [*running[kill.nth :], *running[: kill.nth]]
        waiting = [asyncio.create_task(each.ready.wait()) for each in preferred]
        try:
            await asyncio.wait(waiting, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return next((each for each in preferred if each.ready.is_set()), preferred[0])

    async def _restart(self, restart: RestartBroker) -> None:
        if self.broker is None:
            return
        self._note("down", "broker", f"kafka, {restart.how}")
        await asyncio.to_thread(self.broker.kill if restart.how == "kill" else self.broker.stop)
        self._note("gone", "broker", "kafka")
        await asyncio.to_thread(self.broker.start)
        self._note("up", "broker", "kafka")

    def _note(self, kind: str, role: str, name: str) -> None:
        self.done.append(FaultDone(at=now(), kind=kind, role=role, name=name))
