"""
Do log and ledger tell the same history? Looked at once, before anything is consumed or sent.

`examine` is pure, on values that `compare` reads. What it refuses would lose clicks or send things twice; what it
only reports has already happened and cannot be undone by not starting.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.core.codec import decode
from shared.core.errors import StartRefused, Undecodable
from shared.core.events import Decided
from shared.core.json_text import EpochMs
from shared.eventlog.port import EventLog, Record, Span, Topics
from worker.identity import record_id
from worker.ledger.decided import ClaimKey, Position
from worker.ledger.port import StartingLedger

LOOK_BACK: Final = 500
"""Outcomes read at a time while looking backwards for the newest `Decided` of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """
    What log and ledger hold, as far as the comparison needs it.

    Attributes:
        before: The ``ce_id`` of the record right before each position, where the log still has that record.
        decided: The newest decision of each partition of the outcomes topic, and `claimed` which of them the
            ledger knows.
    """

    spans: Mapping[int, Span]
    positions: Mapping[int, Position]
    before: Mapping[int, str | None] = field(default_factory=dict)
    decided: Collection[ClaimKey] = frozenset()
    claimed: Collection[ClaimKey] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Records of a partition that retention deleted before they were decided: lost, and said so."""

    partition: int
    position: int
    begin: int


def examine(history: History, topics: Topics) -> Sequence[Passed]:
    """
    Return what is to be reported.

    Raises:
        StartRefused: Log and ledger do not belong together; the text says what differs and what to do.
    """
    if not history.spans:
        raise StartRefused(f"the log has no topic {topics.interactions!r}: run `cardwire topics create`")
    unknown = sorted(set(history.decided) - set(history.claimed))
    if unknown:
        raise StartRefused(
            f"the outcomes topic holds decisions that the ledger lacks ({len(unknown)} of its newest, among them "
            f"event {unknown[0].event_id}): the ledger is empty or older than the log; restore its backup, or fill an "
            "empty one with `cardwire rebuild`"
        )
    if history.decided and not history.positions:
        raise StartRefused(
            "the ledger is being made from the log and is not finished: run `cardwire rebuild` to its end"
        )
    if history.positions and len(history.positions) != len(history.spans):
        raise StartRefused(
            f"{topics.interactions!r} has {len(history.spans)} partitions, the ledger was begun with "
            f"{len(history.positions)}: keys would change partition; restore the topic"
        )
    passed = []
    for partition, position in sorted(history.positions.items()):
        span = history.spans[partition]
        _same_record(partition, position, span, history, topics)
        if position.next < span.begin:
            passed.append(Passed(partition=partition, position=position.next, begin=span.begin))
    return passed


def _same_record(partition: int, position: Position, span: Span, history: History, topics: Topics) -> None:
    where = f"partition {partition} of {topics.interactions!r}"
    if position.next > span.end:
        raise StartRefused(
            f"{where} ends at {span.end}, the ledger is at {position.next}: the topic was re-created or truncated; "
            "restore it, or begin anew with an empty ledger and another CARDWIRE_TOPIC_PREFIX"
        )
    if partition in history.before and history.before[partition] != position.last_id:
        raise StartRefused(
            f"{where} holds another record at {position.next - 1} than the ledger decided there: the topic was "
            "re-created; restore it, or begin anew with an empty ledger and another CARDWIRE_TOPIC_PREFIX"
        )


async def compare(event_log: EventLog, ledger: StartingLedger, topics: Topics, *, kept_ms: EpochMs) -> Sequence[Passed]:
    """
    Compare log and ledger, begin an empty ledger on an undecided log, and return what is to be reported.

    Args:
        kept_ms: For how long the ledger knows what it decided (ms).

    Raises:
        StartRefused: See `examine`.
        LogUnavailable, LedgerUnavailable: They cannot be read.
    """
    # Positions first: the log only grows, so a worker that decides meanwhile cannot make a position look too far.
    positions = await ledger.positions()
    spans = await event_log.spans(topics.interactions)
    forgotten = await ledger.now() - kept_ms
    newest = await _newest_decisions(event_log, topics.outcomes)
    decided = {
        ClaimKey(one.app_id, one.event_id)
        for one in newest
        if not _is_forgotten(one, positions, spans, before=forgotten)
    }
    history = History(
        spans=spans,
        positions=positions,
        before=await _before(event_log, topics.interactions, positions, spans),
        decided=decided,
        claimed=await ledger.claimed(decided) if decided else frozenset(),
    )
    passed = examine(history, topics)
    if not positions:
        await ledger.begin(len(spans))
    return passed


async def _before(
    event_log: EventLog, topic: str, positions: Mapping[int, Position], spans: Mapping[int, Span]
) -> Mapping[int, str | None]:
    found: dict[int, str | None] = {}
    for partition, position in positions.items():
        span = spans.get(partition)
        if span is None or not span.begin < position.next <= span.end:
            continue
        for record in await event_log.read(topic, partition, position.next - 1, limit=1):
            if record.offset == position.next - 1:
                found[partition] = record_id(record)
    return found


def _is_forgotten(
    decision: Decided, positions: Mapping[int, Position], spans: Mapping[int, Span], *, before: EpochMs
) -> bool:
    """
    Say whether the ledger may lack a decision that it made: of a log where nothing has happened since.

    A SQLite log deletes old records with new ones, a broker as it is set; and a ledger that is empty or older than the
    decision has not got so far. In a log that was moved, offsets were others: there it has got to the end.
    """
    position, span = positions.get(decision.partition), spans.get(decision.partition)
    if decision.decided_at >= before or position is None:
        return False
    return decision.offset < position.next or (span is not None and position.next >= span.end)


async def _newest_decisions(event_log: EventLog, topic: str) -> Collection[Decided]:
    found = []
    for partition, span in (await event_log.spans(topic)).items():
        end = span.end
        while end > span.begin:
            begin = max(span.begin, end - LOOK_BACK)
            records = await event_log.read(topic, partition, begin, limit=end - begin)
            newest = _newest_decision([record for record in records if record.offset < end])
            if newest is not None:
                found.append(newest)
                break
            end = begin
    return found


def _newest_decision(records: Sequence[Record]) -> Decided | None:
    for record in reversed(records):
        try:
            event = decode(record.headers, record.value)
        except Undecodable:
            continue
        if isinstance(event, Decided):
            return event
    return None
