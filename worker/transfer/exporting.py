"""
From a log into a folder: a file for each topic and partition, and a manifest that says what they hold.

What is exported is what the log held at the beginning, the outcomes' end being looked up before the inputs': so no
decision is exported without its input. A folder that holds an export already is gone on with, from where it ends.

Guarantees:
    Killed at any moment, the same export goes on: the manifest never says more than is on the disk, and what a file
    holds behind that is read again up to the first frame that is not whole. Nothing in the log is changed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from shared.clock import Clock
from shared.eventlog.port import EventLog, Span, Topics
from worker.history.half import no_topic
from worker.transfer import manifest as manifests
from worker.transfer.folder import exporting_into
from worker.transfer.growing import Growing, check_length
from worker.transfer.manifest import Manifest, Part, Role
from worker.transfer.patience import Patience
from worker.transfer.pieces import pieces
from worker.transfer.refusals import TransferRefused
from worker.transfer.same import Spans, begun, check_same
from worker.transfer.telling import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a folder holds now, and how many of its records are new."""

    manifest: Manifest
    new: int


async def export_log(
    event_log: EventLog, topics: Topics, folder: Path, *, clock: Clock, version: str, told: Told
) -> Exported:
    """
    Bring what a log holds now into a folder.

    Args:
        version: Of Cardwire, for the manifest.
        told: Hears how far it is, in offsets.

    Raises:
        NotAnExport: The folder cannot be written, or its manifest not be read.
        TransferRefused: The folder holds something else, or another log, or an export is under way there.
        LogUnavailable: The log cannot be read.
    """
    await _spans(event_log, topics)  # before a folder is made for a log that is not there
    with exporting_into(folder):
        spans = await _spans(event_log, topics)
        before = found = begun(folder, topics, spans, cardwire=version, now=_rfc3339(clock))
        places = _places(found, spans, folder)
        for place in places:  # all of them, before the folder of another log is touched
            check_length(place.path, place.part)
            await check_same(event_log, folder, place.topic, place.part, place.span)
        manifests.save(folder, found)
        told.stage("exporting", sum(max(0, place.span.end - place.part.end) for place in places))
        patience = Patience(clock, tell=told.say)
        for place in places:
            found = found.changed(place.role, await _exported(event_log, place, patience, told))
            manifests.save(folder, found)
        found = msgspec.structs.replace(found, finished=_rfc3339(clock))
        manifests.save(folder, found)
        return Exported(manifest=found, new=found.records - before.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A partition: where it goes, what the folder has of it, what the log has."""

    folder: Path
    role: Role
    topic: str
    part: Part
    span: Span

    @property
    def path(self) -> Path:
        return self.folder / self.part.file(self.role)


async def _exported(event_log: EventLog, place: _Place, patience: Patience, told: Told) -> Part:
    """Bring one partition's file up to the span's end."""
    file = Growing(place.path, place.part)
    try:
        if file.part != place.part:  # an export that was broken off had come further
            await check_same(event_log, place.folder, place.topic, file.part, place.span)
        at = place.part.end
        reading = pieces(
            event_log, place.topic, place.part.partition, begin=file.part.end, end=place.span.end, patience=patience
        )
        async for piece in reading:
            file.add(piece)
            told.advance(file.part.end - at)
            at = file.part.end
        told.advance(place.span.end - at)
        return file.finish(place.span.end)
    finally:
        file.close()


async def _spans(event_log: EventLog, topics: Topics) -> Spans:
    """Return what there is, the outcomes before the inputs that they are about."""
    found = {role: await event_log.spans(name) for role, name in reversed(manifests.named(topics))}
    if not found["interactions"] or not found["outcomes"]:
        missing = topics.outcomes if found["interactions"] else topics.interactions
        raise TransferRefused(no_topic(missing))
    return found


def _places(manifest: Manifest, spans: Spans, folder: Path) -> list[_Place]:
    return [
        _Place(folder=folder, role=topic.role, topic=topic.topic, part=part, span=spans[topic.role][part.partition])
        for topic in manifest.topics
        for part in topic.partitions
    ]


def _rfc3339(clock: Clock) -> str:
    return datetime.fromtimestamp(clock.now() / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
