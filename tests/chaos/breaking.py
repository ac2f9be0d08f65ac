"""Faults are done here, each at its time: by process ids, and never to a process that is not ours."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, assert_never

from tests.chaos.faults import Fault, Freeze, Join, Kill, Restart, Service, Weather
from tests.chaos.history import FaultDone
from tests.chaos.processes import Kept, now
from tests.chaos.scene import Scene
from tests.chaos.stack import Stack
from tests.support.kafka import KafkaBroker
from tests.support.postgres import PostgresServer

WAIT_S: Final = 15.0
"""How long a kill waits for somebody to kill, where all of a role are just being started again."""

BEGINS: Final = {"away": "down", "bad": "worse", "hangs": "hang"}
ENDS: Final = {"away": "up", "bad": "better", "hangs": "free"}


@dataclass(slots=True)
class Breaking:
    """
    Does the faults of a run.

    Attributes:
        hung: The card whose calls may hang.
        done: What was done, in order.
    """

    scene: Scene
    stack: Stack
    seed: int
    hung: str = ""
    done: list[FaultDone] = field(default_factory=list)
    _weather: list[Weather] = field(default_factory=list)

    async def run(self, faults: Sequence[Fault]) -> None:
        """Do each fault at its time, counted from now, whatever becomes of those before; return when all are over."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(began + fault.at_s - asyncio.get_running_loop().time())
                group.create_task(self._do(fault))

    async def _do(self, fault: Fault) -> None:
        match fault:
            case Kill():
                await self._kill(fault)
            case Restart():
                await self._restart(fault)
            case Freeze():
                await self._freeze(fault)
            case Join():
                await self._join(fault)
            case Weather():
                await self._turn(fault)
            case _ as unreachable:
                assert_never(unreachable)

    async def _kill(self, kill: Kill) -> None:
        victim = await self._victim(kill.role, kill.nth)
        self._note("kill", kill.role, victim.spec.name)
        victim.kill()

    async def _victim(self, role: str, nth: int) -> Kept:
        """Return the process that is meant, or another of its role if that one is just being started again."""
        running = self.scene.fleet.of(role)
        nth %= len(running)
        preferred = [*running[nth:], *running[:nth]]
        waiting = [asyncio.create_task(each.ready.wait()) for each in preferred]
        try:
            await asyncio.wait(waiting, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return next((each for each in preferred if each.ready.is_set()), preferred[0])

    async def _restart(self, restart: Restart) -> None:
        service, name = self._service(restart.what)
        if service is None:
            return
        self._note("down", restart.what, f"{name}, {restart.how}")
        await asyncio.to_thread(service.kill if restart.how == "kill" else service.stop)
        self._note("gone", restart.what, name)
        await asyncio.sleep(restart.for_s)
        await asyncio.to_thread(service.start)
        self._note("up", restart.what, name)

    def _service(self, what: Service) -> tuple[KafkaBroker | PostgresServer | None, str]:
        match what:
            case "broker":
                return self.stack.broker, "kafka"
            case "database":
                return self.stack.server, "postgresql"

    async def _freeze(self, freeze: Freeze) -> None:
        victim = await self._victim("worker", freeze.nth)
        self._note("freeze", "worker", victim.spec.name)
        victim.freeze()
        try:
            await asyncio.sleep(freeze.for_s)
        finally:
            victim.thaw()
            self._note("thaw", "worker", victim.spec.name)

    async def _join(self, join: Join) -> None:
        free = (number for number in count(1) if f"worker-{number}" not in self.scene.fleet.kept)
        specs = [self.scene.worker(next(free)) for _ in range(join.workers)]
        for each in specs:
            self._note("join", "worker", each.name)
        joined = await self.scene.fleet.start(*specs)
        await asyncio.sleep(join.for_s)
        await asyncio.gather(*(each.stop() for each in joined))
        for each in specs:
            self._note("leave", "worker", each.name)

    async def _turn(self, weather: Weather) -> None:
        name = self.hung if weather.how == "hangs" else ", ".join(sorted({each.kind for each in weather.spells}))
        self._note(BEGINS[weather.how], "platform", name)
        self._weather.append(weather)
        try:
            await self._tell_platform()
            await asyncio.sleep(weather.for_s)
        finally:
            self._weather.remove(weather)
            await self._tell_platform()
            self._note(ENDS[weather.how], "platform", name)

    async def _tell_platform(self) -> None:
        rules = [spell.on(self.hung) for weather in self._weather for spell in weather.spells]
        await self.scene.platform.post("faults", {"seed": self.seed, "rules": rules})

    def _note(self, kind: str, role: str, name: str) -> None:
        self.done.append(FaultDone(at=now(), kind=kind, role=role, name=name))
