"""Faults of a row are done here, each at its time: by process ids, and never to a process that is not ours."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from tests.chaos.history import FaultDone
from tests.chaos.matrix.rows import Broker, Fault, Kills
from tests.chaos.processes import Fleet, now
from tests.support.kafka import KafkaBroker

FIRST_KILL_S = 3.0


@dataclass(slots=True)
class Breaking:
    """
    Does the faults of a row.

    Attributes:
        broker: The one that is broken.
        done: What was done, in order.
    """

    fleet: Fleet
    broker: KafkaBroker
    done: list[FaultDone] = field(default_factory=list)

    async def before(self, faults: Sequence[Fault]) -> None:
        """Do those that come before any gateway is there."""
        for fault in faults:
            if isinstance(fault, Broker) and fault.from_s is None:
                await self._down(fault)

    async def run(self, faults: Sequence[Fault]) -> None:
        """Do the others, each at its time, counted from now."""
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                match fault:
                    case Broker():
                        group.create_task(self._away(fault))
                    case Kills():
                        group.create_task(self._kill(fault))
                    case _ as unreachable:
                        assert_never(unreachable)

    async def _away(self, fault: Broker) -> None:
        began = asyncio.get_running_loop().time()
        if fault.from_s is not None:
            await asyncio.sleep(fault.from_s)
            await self._down(fault)
        if fault.to_s is not None:
            await asyncio.sleep(began + fault.to_s - asyncio.get_running_loop().time())
            await asyncio.to_thread(self.broker.recover)
            self._note("up", "broker", "kafka")

    async def _down(self, fault: Broker) -> None:
        self._note("down", "broker", f"kafka, {fault.how}")
        await asyncio.to_thread(self.broker.pause if fault.how == "frozen" else self.broker.kill)

    async def _kill(self, fault: Kills) -> None:
        began, gateways = asyncio.get_running_loop().time(), self.fleet.of("gateway")
        for n in range(fault.times):
            at = began + FIRST_KILL_S + n * fault.every_s
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            victim = gateways[n % len(gateways)]
            await victim.until_ready()
            self._note("kill", "gateway", victim.spec.name)
            victim.kill()

    def _note(self, kind: str, role: str, name: str) -> None:
        self.done.append(FaultDone(at=now(), kind=kind, role=role, name=name))
