"""
Time travel: the handlers of today, or of tomorrow, over the interactions of the log.

Nothing is sent, and nothing written but temporary files: this is given no client, and no ledger.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.core.errors import CardwireError
from shared.eventlog.port import Span, Topics
from shared.settings import LogSettings
from worker.history.half import no_topic
from worker.history.walk import length
from worker.memory import peak_bytes
from worker.traveling.crew import Crew, crew
from worker.traveling.findings import Findings, HandlerFindings, add, added
from worker.traveling.partition import TOLD, Found, Look, Trip, Walk, opened, serve
from worker.traveling.requests import Requests, asked_otherwise
from worker.traveling.store import temporary

NOTHING: Final = Span(begin=0, end=0)


class NothingRecorded(CardwireError):
    """The log has no records of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What the log holds at this moment: of each partition, its interactions and its outcomes."""

    interactions: Mapping[int, Span]
    outcomes: Mapping[int, Span]

    @property
    def records(self) -> int:
        """How many records are walked, outcomes twice."""
        return length(self.interactions) + 2 * length(self.outcomes)

    @property
    def partitions(self) -> Sequence[int]:
        """Those in which there is anything, the longest first."""
        both = {**self.interactions, **self.outcomes}
        found = [one for one in both if self._length(one)]
        return sorted(found, key=self._length, reverse=True)

    def _length(self, partition: int) -> int:
        spans = (self.interactions.get(partition, NOTHING), self.outcomes.get(partition, NOTHING))
        return sum(span.end - span.begin for span in spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traveled:
    """What was found, and the most memory that all processes together had, this one included (bytes)."""

    findings: Findings
    peak_bytes: int


async def extent(settings: LogSettings) -> Extent:
    """
    Return what the log holds now; what is appended later is left out.

    Raises:
        LogUnavailable: The log cannot be asked.
        NothingRecorded: It is not there, or its topics are not.
    """
    topics = Topics.prefixed(settings.topic_prefix)
    async with opened(settings, topics) as log:
        interactions, outcomes = await asyncio.gather(log.spans(topics.interactions), log.spans(topics.outcomes))
    if not interactions or not outcomes:
        missing = topics.outcomes if interactions else topics.interactions
        raise NothingRecorded(no_topic(missing))
    if len(interactions) != len(outcomes):
        raise NothingRecorded(
            f"CARDWIRE_LOG: {topics.interactions} has {len(interactions)} partitions, {topics.outcomes} "
            f"{len(outcomes)}: expected as many, for decisions lie where their inputs do; see `cardwire topics check`"
        )
    return Extent(interactions=interactions, outcomes=outcomes)


def travel(trip: Trip, over: Extent, *, processes: int | None = None, moved: Callable[[int], None]) -> Traveled:
    """
    Decide again what the log holds, partitions side by side, and return what differs.

    Args:
        processes: How many; as many as there are cores.
        moved: Told how many more records were walked.

    Raises:
        ConfigError: A process cannot load the handlers.
        LogUnavailable: The log cannot be read.
        NewerThanUs: It holds records of a newer program.
        CrewLost: A process has ended.
    """
    partitions = over.partitions
    findings, peaks = Findings(), dict[int, int]()
    size = min(processes or os.cpu_count() or 1, max(1, len(partitions)))
    with crew(size, serve, trip) as members:
        hands: Crew[Look | Walk, Found] = members
        looks = [Look(partition=one, outcomes=over.outcomes.get(one, NOTHING)) for one in partitions]
        walks = [
            Walk(
                partition=one,
                interactions=over.interactions.get(one, NOTHING),
                outcomes=over.outcomes.get(one, NOTHING),
            )
            for one in partitions
        ]
        # What outcomes tell of a card lies anywhere: all of them are looked through before the first click.
        for tasks in (looks, walks):
            for came in hands.work(tasks, moved):
                findings = added(findings, came.findings, examples=trip.examples)
                peaks[came.process] = max(came.peak_bytes, peaks.get(came.process, 0))
    with temporary(trip.folder / TOLD) as shared, (trip.folder / "differences-requests.jsonl").open("wb") as written:
        for one, is_first in asked_otherwise(Requests(shared), with_values=trip.with_values):
            found = findings.by_handler.setdefault(one.handler, HandlerFindings())
            add(found, one, is_first_of_card=is_first, examples=trip.examples)
            written.write(msgspec.json.encode(one) + b"\n")
    return Traveled(findings=findings, peak_bytes=sum(peaks.values()) + peak_bytes())
