"""Logs to be moved, and ears for what is told meanwhile."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.clock import ManualClock
from shared.core.codec import encode
from shared.eventlog.port import EventLog, NewRecord, Topics
from tests.support.facts import click, mark
from worker.transfer.digest import Chain, fingerprint
from worker.transfer.exporting import Exported, export_log
from worker.transfer.importing import Imported, import_log

AWKWARD = NewRecord(
    topic="",
    key="cli_a:om_awkward",
    value=b'\xff\x00 not JSON \n{"a": "\\u0000"}',
    headers=(("ce_id", b"awkward"), ("twice", b"\xfe"), ("twice", b""), ("twice", b"\xfe"), ("", b"\n")),
    timestamp=1_790_000_000_001,
)
"""What no program of ours writes, and what is kept all the same."""


@dataclass(slots=True)
class Heard:
    """What was told: the stages, how far each came of how far, and lines."""

    stages: list[str] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def stage(self, name: str, total: int) -> None:
        self.stages.append(name)
        self.totals.append(total)
        self.steps.append(0)

    def advance(self, steps: int) -> None:
        self.steps[-1] += steps

    def say(self, line: str) -> None:
        self.lines.append(line)


def unheard(_line: str) -> None:
    """Hear nothing."""


class QuickClock(ManualClock):
    """A clock on which waiting is over at once."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


def story(topics: Topics, *, clicks: int, first: int = 0) -> list[NewRecord]:
    """Return clicks and their marks, of some cards, for the interactions; and some of them as if of other topics."""
    events = [click(f"e{first + n}", message_id=f"om_{n % 37}") for n in range(clicks)]
    inputs = [NewRecord.of(topics.interactions, encode(each)) for one in events for each in (one, mark(one))]
    outputs = [NewRecord.of(topics.outcomes, encode(one)) for one in events[::2]]
    dead = [NewRecord.of(topics.dead, encode(one)) for one in events[:1]]
    return [*inputs, *outputs, *dead]


def awkward(topic: str) -> NewRecord:
    """Return a record that holds what no program of ours writes."""
    return NewRecord(
        topic=topic,
        key=AWKWARD.key,
        value=AWKWARD.value,
        headers=AWKWARD.headers,
        timestamp=AWKWARD.timestamp,
    )


async def export(log: EventLog, topics: Topics, folder: Path, *, heard: Heard | None = None) -> Exported:
    """Export a log, as the command does."""
    return await export_log(log, topics, folder, clock=QuickClock(), version="0.0.test", told=heard or Heard())


async def bring(log: EventLog, topics: Topics, folder: Path, *, heard: Heard | None = None) -> Imported:
    """Import a folder, as the command does."""
    return await import_log(log, topics, folder, clock=QuickClock(), told=heard or Heard())


Held = tuple[str, tuple[tuple[str, bytes], ...], bytes]


async def held(log: EventLog, topics: Topics) -> Mapping[tuple[int, int], Sequence[Held]]:
    """Return what each partition of each topic holds, in order: keys, headers, values."""
    found: dict[tuple[int, int], Sequence[Held]] = {}
    for role, topic in enumerate((topics.interactions, topics.outcomes, topics.dead)):
        for number, span in (await log.spans(topic)).items():
            records = await log.read(topic, number, span.begin, limit=1_000_000)
            found[role, number] = [(one.key, tuple(one.headers), one.value) for one in records]
    return found


def digest_of(records: Sequence[NewRecord]) -> str:
    """Return the digest of records of one partition, in hexadecimal digits."""
    chain = Chain()
    for record in records:
        chain.add(fingerprint(record))
    return chain.digest.hex()
