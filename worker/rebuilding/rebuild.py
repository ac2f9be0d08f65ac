"""
The spine: fold the outcomes, join the inputs, finish.

It is given a log to read and a ledger to fill, and nothing to call: no platform, no handler. Whatever the length of
the log, two pieces of it are in memory.

Guarantees: a run that is killed goes on behind its last piece when it is started again. The workers of the lost ledger
must be stopped: what they tell while this runs is noticed in the end, and nothing is finished then. Gateways may go on.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.core.errors import StartRefused
from shared.eventlog.port import RETENTION_MS, EventLog, Span, Topics
from worker.history.half import no_topic
from worker.history.walk import PIECE, walk
from worker.identity import record_id
from worker.ledger.restored import Finished, Place, Progress, Reached, Stage, Step
from worker.ledger.restoring import Restoring
from worker.rebuilding import inputs, outcomes
from worker.rebuilding.ahead import ahead
from worker.rebuilding.joining import found

Tell = Callable[[Stage, int, int], None]
"""Is told of every piece: the stage, how many records of it are read, and of how many."""

NEAR: Final = PIECE
"""Places of decisions that lie no farther apart are looked up by one reading."""

CLOCKS_APART_MS: Final = 3_600_000
"""By so much the clocks of gateways, brokers and the database may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """
    What a rebuild came to.

    Attributes:
        records: How many of each topic were read by this run.
        unreadable: How many of the outcomes topic nobody can read.
        forgotten: How many inputs are so old that retention may have deleted what was decided about them, and no
            decision is there: none of them is decided again.
        resumed: It went on where an earlier run had ended.
    """

    records: Mapping[Stage, int]
    unreadable: int
    forgotten: int
    resumed: bool
    finished: Finished
    seconds: float


@dataclass(slots=True, kw_only=True)
class _Run:
    log: EventLog
    ledger: Restoring
    topics: Topics
    tell: Tell
    read: dict[Stage, int] = field(default_factory=lambda: {"outcomes": 0, "inputs": 0})
    unreadable: int = 0
    forgotten: int = 0

    async def spans(self, topic: str) -> Mapping[int, Span]:
        return await _spans(self.log, topic)

    async def fold_outcomes(self) -> Mapping[int, int]:
        """Fold the outcomes topic, and return up to where, by partition."""
        spans = await self.spans(self.topics.outcomes)
        ends = {partition: span.end for partition, span in spans.items()}
        reached = await self.ledger.start("outcomes", {partition: span.begin for partition, span in spans.items()})
        now = await self.ledger.now()
        done, of = _done(reached, spans)
        for partition, end in ends.items():
            expected = reached[partition].next
            pieces = walk(self.log, self.topics.outcomes, partition, begin=expected, end=end)
            async for records in ahead(pieces):
                piece = outcomes.read(records)
                known = await self.ledger.known(outcomes.touched(piece.outputs))
                to = Progress(next=records[-1].offset + 1)
                step = Step(stage="outcomes", partition=partition, expected=expected, to=to)
                await self.ledger.store(outcomes.folded(piece, known, now), step)
                done += to.next - expected
                expected = to.next
                self.unreadable += piece.unreadable
                self.read["outcomes"] += len(records)
                self.tell("outcomes", done, of)
        return ends

    async def join_inputs(self) -> Mapping[int, Progress]:
        """Join the interactions topic, and return how far each partition is read."""
        spans = await self.spans(self.topics.interactions)
        begins = {partition: span.begin for partition, span in spans.items()}
        reached = dict(await self.ledger.start("inputs", begins))
        now = await self.ledger.now()
        old = now - RETENTION_MS + CLOCKS_APART_MS
        done, of = _done(reached, spans)
        for partition, span in spans.items():
            pieces = walk(self.log, self.topics.interactions, partition, begin=reached[partition].next, end=span.end)
            async for records in ahead(pieces):
                before = reached[partition]
                laid = inputs.read(records)
                known = await self.ledger.decisions(inputs.events(laid), inputs.deliveries(laid), inputs.marked(laid))
                homeless = await self._homeless(list(inputs.strays(laid, known)), spans)
                to = inputs.advanced(before, laid, known, moved=bool(homeless), forgotten=old)
                self.forgotten += sum(inputs.is_lost(one, known, old) for one in laid)
                step = Step(stage="inputs", partition=partition, expected=before.next, to=to)
                await self.ledger.add(found(laid, known, homeless, now, moved=to.moved), step)
                done += to.next - before.next
                reached[partition] = to
                self.read["inputs"] += len(records)
                self.tell("inputs", done, of)
        return reached

    async def _homeless(
        self, strays: Sequence[tuple[inputs.Laid, Place]], spans: Mapping[int, Span]
    ) -> Sequence[inputs.Laid]:
        """Return those inputs in whose place something else lies: the log was moved since they were decided."""
        places = await self._ids_at({place for _, place in strays}, spans) if strays else {}
        return [one for one, place in strays if not inputs.told_there(places, one, place)]

    async def _ids_at(self, wanted: set[Place], spans: Mapping[int, Span]) -> Mapping[Place, str | None]:
        """Return the ids of the records at places, as far as this log has records there."""
        inside = sorted(
            place
            for place in wanted
            if (span := spans.get(place.partition)) is not None and span.begin <= place.offset < span.end
        )
        found: dict[Place, str | None] = {}
        for place in inside:
            if place in found:
                continue
            records = await self.log.read(
                self.topics.interactions, place.partition, place.offset, limit=_reach(place, inside)
            )
            found.update({Place(place.partition, each.offset): record_id(each) for each in records})
            found.setdefault(place, None)
        return found


async def refuse_without_topics(log: EventLog, topics: Topics) -> None:
    """
    Look whether this is a log that a ledger can be made from, before anything is made.

    Raises:
        StartRefused: A topic is missing.
        LogUnavailable: The log cannot be asked.
    """
    for topic in (topics.outcomes, topics.interactions):
        await _spans(log, topic)


async def rebuild(log: EventLog, ledger: Restoring, topics: Topics, *, tell: Tell = lambda *_: None) -> Rebuilt:
    """
    Fill an empty ledger from the log alone, or go on where an earlier run ended.

    Raises:
        NotEmpty: The ledger holds something.
        StartRefused: The log has no such topics, or workers still tell of decisions: nothing was finished.
        NewerThanUs: A newer program wrote into the log.
        LogUnavailable, LedgerUnavailable: Start it again: it goes on.
    """
    began = time.monotonic()
    earlier: Reached = await ledger.reached()
    run = _Run(log=log, ledger=ledger, topics=topics, tell=tell)
    ends = await run.fold_outcomes()
    reached = await run.join_inputs()
    grown = {partition: span.end for partition, span in (await log.spans(topics.outcomes)).items()}
    if grown != ends:
        more = sum(grown.values()) - sum(ends.values())
        raise StartRefused(
            f"{more} records came into {topics.outcomes!r} meanwhile: workers still run on the old ledger; stop them, "
            "and run `cardwire rebuild` again: it goes on where it was"
        )
    return Rebuilt(
        records=run.read,
        unreadable=run.unreadable,
        forgotten=run.forgotten,
        resumed=bool(earlier),
        finished=await ledger.finish(reached),
        seconds=time.monotonic() - began,
    )


async def _spans(log: EventLog, topic: str) -> Mapping[int, Span]:
    found = await log.spans(topic)
    if not found:
        raise StartRefused(no_topic(topic))
    return dict(sorted(found.items()))


def _done(reached: Mapping[int, Progress], spans: Mapping[int, Span]) -> tuple[int, int]:
    """Return how many records of a topic are read already, and of how many."""
    done = sum(max(0, reached[partition].next - span.begin) for partition, span in spans.items())
    return done, sum(span.end - span.begin for span in spans.values())


def _reach(place: Place, inside: Sequence[Place]) -> int:
    """Return how many records to read from a place on, so that those near it are found as well."""
    near = [
        each.offset for each in inside if each.partition == place.partition and 0 <= each.offset - place.offset < NEAR
    ]
    return max(near) - place.offset + 1
