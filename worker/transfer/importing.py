"""
From a folder into a log: keys, order, headers and ids are kept, and so is each record's partition.

The folder is checked whole before anything is appended, and what the log holds is compared with it afterwards. The
log must be empty, or hold the beginning of this very folder: then the import goes on behind it.

Guarantees:
    Killed at any moment, the same import goes on. Nothing that a log holds is changed. Nobody else may write to the
    log meanwhile; if somebody does, the comparison tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from shared.clock import Clock
from shared.core.errors import RecordRefused
from shared.eventlog.port import EventLog, Span, Topics
from worker.transfer.appending import Appending
from worker.transfer.comparing import Comparison, Stranger
from worker.transfer.fitting import Source, check, finished, places, sources_of
from worker.transfer.manifest import Manifest
from worker.transfer.patience import Patience
from worker.transfer.pieces import pieces
from worker.transfer.refusals import TransferRefused
from worker.transfer.telling import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """
    What a log holds of a folder now: all of it.

    Attributes:
        new: Records that it did not hold before.
        repeated: Records that it holds more often than the folder: appended again, since nobody acknowledged them.
    """

    manifest: Manifest
    new: int
    repeated: int


async def import_log(event_log: EventLog, topics: Topics, folder: Path, *, clock: Clock, told: Told) -> Imported:
    """
    Bring a folder's records into a log, and compare them.

    Args:
        told: Hears how far it is, in records.

    Raises:
        NotAnExport: The folder is none of an exported log.
        TransferRefused: The folder is damaged or unfinished; the log has other partitions, or holds other records.
        LogUnavailable: The log cannot be reached, or has no such topics.
    """
    found = finished(folder)
    sources = sources_of(found, topics, folder)
    told.stage("checking the files", found.records)
    for source in sources:
        await check(source, told)
    there = await places(event_log, sources)
    patience = Patience(clock, tell=told.say)
    told.stage("looking at what is there", sum(span.end - span.begin for span in there.values()))
    had = [
        (await _compared(event_log, source, there[source.place], patience, told)).found.records for source in sources
    ]
    told.stage("importing", found.records)
    told.advance(sum(had))
    for source, count in zip(sources, had, strict=True):
        end = there[source.place].end
        appending = Appending(event_log=event_log, place=source.place, end=end, patience=patience, told=told)
        await _append(appending, source, had=count)
    told.stage("comparing", found.records)
    repeated = await _verified(event_log, sources, patience, told)
    return Imported(manifest=found, new=found.records - sum(had), repeated=repeated)


async def _compared(event_log: EventLog, source: Source, span: Span, patience: Patience, told: Told) -> Comparison:
    """Compare a partition with its file, as far as it goes."""
    comparison = Comparison(source.records())
    reading = pieces(event_log, *source.place, begin=span.begin, end=span.end, patience=patience)
    async for piece in reading:
        try:
            for record in piece:
                comparison.see(record)
        except Stranger as stranger:
            raise TransferRefused(
                f"{source} holds a record that is not that of {source.path} (offset {stranger.offset}): expected "
                "topics without records, or with those of an import of this folder that did not come to its end"
            ) from stranger
        told.advance(len(piece))
    return comparison


async def _append(appending: Appending, source: Source, *, had: int) -> None:
    """Append what a partition does not have: all behind so many records."""
    try:
        await appending.append(islice(source.records(), had, None))
    except RecordRefused as error:
        raise TransferRefused(
            f"{source.path}: {error}: expected a log that takes what the exported one took"
        ) from error


async def _verified(event_log: EventLog, sources: Sequence[Source], patience: Patience, told: Told) -> int:
    """Refuse a log that does not hold what the files do; return how many records it holds more often."""
    there = await places(event_log, sources)
    repeated = 0
    for source in sources:
        comparison = await _compared(event_log, source, there[source.place], patience, told)
        found, part = comparison.found, source.part
        if (found.records, found.digest.hex()) != (part.records, part.sha256):
            raise TransferRefused(
                f"{source} holds {found.records} records of {source.path}, not {part.records}: expected a log that "
                "keeps what it has acknowledged; import into new topics"
            )
        repeated += comparison.repeated
    return repeated
