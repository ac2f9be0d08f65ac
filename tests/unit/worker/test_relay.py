"""The relay waits for what is away, and says so once."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from structlog.testing import capture_logs

from shared.clock import ManualClock
from shared.core.errors import LedgerUnavailable
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import NewRecord
from tests.support.testable_log import TestableLog
from worker.meter import Meter
from worker.relay import Relay

TOPIC, INPUTS = "lark.card.outcomes.v1", "lark.card.interactions.v1"


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


async def _relayed(ledger: LostLedger, log: MemoryLog | None = None) -> list[Any]:
    """Run a relay until everything is told, and return what it said."""
    clock, log = ManualClock(), log or MemoryLog()
    await log.create([TOPIC, INPUTS])
    relay = Relay(event_log=log, ledger=ledger, inputs=INPUTS, owner="one", clock=clock, meter=Meter())
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


async def test_what_is_to_be_decided_is_in_the_log_before_any_outcome() -> None:
    """One append promises no order across topics, and a log may end between the two."""
    ledger, log = LostLedger(away=0), TestableLog()
    rows = [(TOPIC, b"1"), (INPUTS, b"2"), (TOPIC, b"3"), (INPUTS, b"4")]
    told = [NewRecord(topic=topic, key="k", value=value, headers=(), timestamp=1) for topic, value in rows]
    ledger.rows = list(enumerate(told))
    await _relayed(ledger, log)
    assert [[b"2", b"4"], [b"1", b"3"]] == [[record.value for record in records] for records in log.appends]
