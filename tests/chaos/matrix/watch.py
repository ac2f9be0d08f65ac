"""What gateways tell of themselves while a row runs: their metrics, looked at again and again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from shared.observability.metrics import (
    APPEND_SECONDS,
    LOG_BREAKER_OPEN,
    LOG_LINES_LOST,
    SPILL_BYTES,
    SPILL_ROWS,
    SPILLED,
)
from tests.chaos.matrix.history import Sample
from tests.chaos.processes import Fleet, Kept, now

EVERY_S: Final = 0.5
WAIT_S: Final = 2.0


@dataclass(slots=True)
class Watch:
    """
    Looks at all gateways of a fleet.

    Attributes:
        samples: What was seen, in order of time; nothing of a gateway that is just being started again.
    """

    fleet: Fleet
    session: aiohttp.ClientSession
    samples: list[Sample] = field(default_factory=list)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> bool:
        """Look once, and say whether all gateways are there and quiet."""
        gateways = self.fleet.of("gateway")
        seen = await asyncio.gather(*(self._one(number, each) for number, each in enumerate(gateways)))
        found = [sample for sample in seen if sample is not None]
        self.samples += found
        return len(found) == len(gateways) and all(sample.is_quiet for sample in found)

    async def _one(self, number: int, gateway: Kept) -> Sample | None:
        life, admin = len(gateway.back_at) - 1, gateway.addresses.get("admin")
        if admin is None or not gateway.ready.is_set():
            return None
        try:
            async with self.session.get(f"{admin}/metrics", timeout=aiohttp.ClientTimeout(total=WAIT_S)) as response:
                return sample(await response.text(), at=now(), gateway=number, life=life)
        except (aiohttp.ClientError, TimeoutError):
            return None


def sample(metrics: str, *, at: int, gateway: int, life: int) -> Sample:
    """Return what a gateway's ``/metrics`` says."""
    told = {
        (each.name, *each.labels.values()): each.value
        for family in text_string_to_metric_families(metrics)
        for each in family.samples
    }
    return Sample(
        at=at,
        gateway=gateway,
        life=life,
        is_open=bool(told[(LOG_BREAKER_OPEN.name,)]),
        own_rows=_number(told, SPILL_ROWS.name, "own"),
        own_bytes=_number(told, SPILL_BYTES.name, "own"),
        orphan_rows=_number(told, SPILL_ROWS.name, "orphan"),
        failed=_number(told, f"{APPEND_SECONDS.name}_count", "unavailable"),
        spilled=_number(told, f"{SPILLED.name}_total", "spilled"),
        forwarded=_number(told, f"{SPILLED.name}_total", "forwarded"),
        lines_lost=_number(told, f"{LOG_LINES_LOST.name}_total"),
    )


def _number(told: Mapping[tuple[str, ...], float], *name: str) -> int:
    return int(told.get(name, 0))
