"""The relay waits for what is away, and says so once."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from structlog.testing import capture_logs

from shared.clock import ManualClock
from shared.core.errors import LedgerUnavailable
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord
from worker.meter import Meter
from worker.relay import Relay

TOPIC = "lark.card.outcomes.v1"


class LostLedger:
    """A ledger with one row to tell, which is away for so many questions."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.rows = [(1, NewRecord(topic=TOPIC, key="k", value=b"{}", headers=(), timestamp=1))]

    async def hold(self, name: str, owner: str, *, ttl_ms: int) -> bool:
        """Give the role to whoever asks."""
        return bool(name and owner) or ttl_ms > 0

    async def outbox(self, *, limit: int) -> Sequence[tuple[int, NewRecord]]:
        """Be away, or tell the row."""
        if self.away:
            self.away -= 1
            raise LedgerUnavailable("the ledger at db/cards does not take part")
        return self.rows[:limit]

    async def relayed(self, ids: Collection[int]) -> None:
        """Delete what was told."""
        self.rows = [row for row in self.rows if row[0] not in ids]

    async def outbox_depth(self) -> int:
        """Return how many rows are left."""
        return len(self.rows)


async def _relayed(ledger: LostLedger) -> list[Any]:
    """Run a relay until everything is told, and return what it said."""
    clock, log = ManualClock(), MemoryLog()
    await log.create([TOPIC])
    relay = Relay(event_log=log, ledger=ledger, owner="one", clock=clock, meter=Meter())
    with capture_logs() as lines:
        running = asyncio.create_task(relay.run())
        for _ in range(100):
            await asyncio.sleep(0.001)
            clock.advance(0.5)
            if not ledger.rows:
                break
        relay.stop()
        await asyncio.wait([running])
    assert [] == ledger.rows
    return [line["event"] for line in lines]


async def test_an_absent_ledger_is_told_of_once_and_its_return_once() -> None:
    """However many seconds it takes."""
    assert ["relay_waiting", "relay_resumed"] == await _relayed(LostLedger(away=12))


async def test_without_trouble_nothing_is_said() -> None:
    """Rows are told all the time."""
    assert [] == await _relayed(LostLedger(away=0))
