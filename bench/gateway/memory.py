"""What a gateway's memory does over 200,000 clicks: a reference cycle for each would show."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.gateway.callbacks import Callback, requests
from bench.gateway.contenders import Contender
from bench.gateway.load import Clients
from bench.gateway.serving import serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory (MB): after the first answer, after the first and after the second so many clicks."""

    at_start: float
    first: float
    second: float
    clicks: int


def memory(contender: Contender, made: Sequence[Callback], *, core: int, clicks: int) -> Memory:
    """Let a server answer twice so many clicks."""
    with serving(contender, made[0], core=core) as server, Clients(server.port, server.toast) as clients:
        seen = [server.rss_mb()]
        for _ in range(2):
            load = clients.closed(requests(made), count=clicks)
            assert load.bad == 0, f"{load.bad} bad answers"
            server.cpu_s()  # waits for what trails behind
            seen.append(server.rss_mb())
    return Memory(at_start=seen[0], first=seen[1], second=seen[2], clicks=clicks)
