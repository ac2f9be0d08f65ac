"""A record that a newer program wrote is waited at, whatever else happens in the same moment."""

import asyncio
from pathlib import Path
from typing import Any

from shared.core.codec import encode
from shared.core.events import InteractionReceived
from shared.core.ids import ordering_key
from shared.eventlog.memory import MemoryLog
from shared.eventlog.partition import partition_of
from shared.eventlog.port import PARTITIONS, NewRecord
from tests.scenario.handlers import app_of_stories
from tests.support import facts
from tests.support.world import World, files, world
from worker.ledger.port import Fenced


class FencedOnce:
    """A ledger that refuses the first batch, as if another worker had just decided it."""

    def __init__(self, ledger: Any) -> None:
        self._ledger, self.has_fenced = ledger, False

    def __getattr__(self, name: str) -> Any:
        """Return the ledger's."""
        return getattr(self._ledger, name)

    async def write(self, write: Any) -> Any:
        """Refuse once."""
        if not self.has_fenced:
            self.has_fenced = True
            raise Fenced
        return await self._ledger.write(write)


async def test_a_worker_that_is_fenced_in_front_of_a_newer_record_does_not_step_over_it(tmp_path: Path) -> None:
    """The batch that shows the record is dropped; the record, and the click behind it, are still in front."""
    waiting, other = _on_partition(0, "w"), _on_partition(1, "o")
    async with world(files(tmp_path), app_of_stories(), workers=0, shared_log=MemoryLog()) as running:
        await running.event_log.append([_newer(running, waiting)])
        await running.append(waiting, other)
        ledger = FencedOnce(running.ledger)
        worker = await running.start_worker(ledger=ledger)
        await running.until(lambda: _position(running, 1, 1))
        await running.append(facts.changed(waiting, event_id="later"))
        await asyncio.sleep(0.3)
        assert ledger.has_fenced
        assert await _position(running, 0, 0)
        assert ["newer_record"] == list(await worker.lacks())


def _on_partition(number: int, name: str) -> InteractionReceived:
    """Return a click whose card lies in this partition."""
    for n in range(1000):
        click = facts.click(name, message_id=f"om_{n}")
        if partition_of(ordering_key(click.app_id, click.message_id, click.event_id), PARTITIONS) == number:
            return click
    raise AssertionError("no such card")


def _newer(running: World, click: InteractionReceived) -> NewRecord:
    record = NewRecord.of(running.topics.interactions, encode(click))
    headers = tuple((k, b"lark.card.interaction.received.v2" if k == "ce_type" else v) for k, v in record.headers)
    return NewRecord(
        topic=record.topic, key=record.key, value=record.value, headers=headers, timestamp=record.timestamp
    )


async def _position(running: World, partition: int, at: int) -> bool:
    return (await running.ledger.positions())[partition].next == at
