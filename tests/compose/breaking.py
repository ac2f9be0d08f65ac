"""What is done to a running stack while people click: killing, scaling, replacing; each noted with its time."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.history import FaultDone
from tests.chaos.processes import now
from tests.compose.engine import Compose, docker


@dataclass(slots=True)
class Breaking:
    """
    Does things to a stack.

    Attributes:
        tell: Given a line for people about each.
        done: What was done, in order.
    """

    compose: Compose
    tell: Callable[[str], None]
    done: list[FaultDone] = field(default_factory=list)

    async def scale(self, service: str, count: int) -> None:
        """Have so many containers of a service."""
        self._note("scale", service, f"{service} × {count}")
        await self.compose.scale(service, count)

    async def kill(self, service: str, *, role: str) -> None:
        """End one container of a service at once, and start it again, as its machine would after a crash."""
        container = (await self.compose.containers(service))[0]
        self._note("kill", role, service)
        await docker("kill", "--signal", "KILL", container)
        await self.start(container, role, service)

    async def kill_broker(self, service: str) -> str:
        """End a broker at once, and return its container."""
        container = (await self.compose.containers(service))[0]
        self._note("down", "broker", service)
        await docker("kill", "--signal", "KILL", container)
        return container

    async def start(self, container: str, role: str, name: str) -> None:
        """Start a container that was ended."""
        await docker("start", container)
        self._note("up" if role == "broker" else "back", role, name)

    async def roll(self, service: str) -> None:
        """Replace a service's containers one by one."""
        self._note("roll", service, service)
        await self.compose.roll(service)
        self._note("rolled", service, service)

    def _note(self, kind: str, role: str, name: str) -> None:
        self.tell(f"{kind} {name}")
        self.done.append(FaultDone(at=now(), kind=kind, role=role, name=name))
