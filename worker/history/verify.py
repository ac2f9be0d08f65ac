"""
Does a log keep the promises? Read once, whole, as it stands when it is asked for; nothing is written, no group joined.

Outcomes are looked at before inputs: so everything that is told to be decided is among the inputs that are read, also
while workers go on deciding.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.eventlog.port import EventLog, Record, Span, Topics
from worker.history.verifying.proof import Proof, told
from worker.history.verifying.story import Violation
from worker.history.walk import length, walk

Progressed = Callable[[int], None]
Found = Callable[[Violation], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """
    What a proof came to.

    Attributes:
        counts: What was read and judged, by name.
        violations: How many promises were not kept.
        took_s: How long it took, and `read_s` how much of that until everything was read.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    violations: int = 0
    took_s: float = 0.0
    read_s: float = 0.0

    @property
    def records(self) -> int:
        """Records that were read."""
        return sum(self.counts.get(name, 0) for name in ("inputs", "decisions", "outcomes", "undecodable"))

    @property
    def records_per_s(self) -> int:
        """Records that were read and judged in a second."""
        return round(self.records / self.took_s) if self.took_s else 0


async def verify(
    event_log: EventLog,
    topics: Topics,
    *,
    found: Found,
    begun: Progressed = lambda _: None,
    progressed: Progressed = lambda _: None,
) -> Verified:
    """
    Judge everything that is recorded, and return what was judged.

    Args:
        found: Given each violation as it is found: while reading nothing is, everything afterwards.
        begun: Told how many records there are, about.
        progressed: Told how many more of them were read.

    Raises:
        LogUnavailable: The log cannot be read.
        NewerThanUs: It holds records of a newer program.
    """
    spans = {topic: await event_log.spans(topic) for topic in (topics.outcomes, topics.interactions, topics.dead)}
    begun(sum(map(length, spans.values())))
    began = time.monotonic()
    proof = Proof(outcome_partitions=len(spans[topics.outcomes]) or 1)
    try:
        for topic, partitions in spans.items():
            read = proof.read_parked if topic == topics.dead else proof.read
            async for piece in _pieces(event_log, topic, partitions):
                await asyncio.to_thread(read, piece)
                progressed(len(piece))
        read_s = time.monotonic() - began
        violations = await asyncio.to_thread(_judge, proof, found)
        took_s = time.monotonic() - began
        return Verified(counts=told(proof.counts), violations=violations, took_s=took_s, read_s=read_s)
    finally:
        proof.close()


async def _pieces(event_log: EventLog, topic: str, partitions: Mapping[int, Span]) -> AsyncIterator[Sequence[Record]]:
    for partition, span in sorted(partitions.items()):
        async for piece in walk(event_log, topic, partition, begin=span.begin, end=span.end):
            yield piece


def _judge(proof: Proof, found: Found) -> int:
    count = 0
    for violation in proof.violations():
        found(violation)
        count += 1
    return count
