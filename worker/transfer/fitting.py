"""A folder's files as what they are to become, and what must be so before any of them is imported."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.eventlog.partition import partition_of
from shared.eventlog.port import EventLog, NewRecord, Span, Topics
from worker.transfer import manifest as manifests
from worker.transfer.digest import Chain, fingerprint
from worker.transfer.folder import EXAMPLE
from worker.transfer.manifest import Manifest, Part
from worker.transfer.reading import differs, lines
from worker.transfer.refusals import NotAnExport, TransferRefused
from worker.transfer.telling import Told

BREATH: Final = 2_000
"""Records after which others of this process may go on: a signal, a connection."""

Place = tuple[str, int]
"""A topic, and one of its partitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    One partition's file, and where its records go.

    Attributes:
        partitions: How many the exported topic had.
    """

    path: Path
    place: Place
    part: Part
    partitions: int

    def records(self) -> Iterator[NewRecord]:
        """Yield its records, a frame in memory at a time; raises `TransferRefused` where it is damaged."""
        topic, _ = self.place
        return (line.to(topic) for line in lines(self.path, self.part))

    def __str__(self) -> str:
        topic, partition = self.place
        return f"partition {partition} of {topic}"


def finished(folder: Path) -> Manifest:
    """
    Return what a folder holds, if its export came to its end.

    Raises:
        NotAnExport: It is none of an exported log.
        TransferRefused: The export was broken off.
    """
    found = manifests.load(folder)
    if found is None:
        raise NotAnExport(
            f"FOLDER is {folder}, where no exported log is: expected one that `cardwire log export` made, for example "
            f"cardwire log import {EXAMPLE}"
        )
    if found.finished is None:
        raise TransferRefused(
            f"the export into {folder} did not come to its end: expected a whole one; "
            f"run `cardwire log export {folder}` again, it goes on"
        )
    return found


def sources_of(manifest: Manifest, topics: Topics, folder: Path) -> Sequence[Source]:
    """Return a folder's files, and the partitions of a deployment's topics that they are for."""
    names = dict(manifests.named(topics))
    return [
        Source(
            path=folder / part.file(topic.role),
            place=(names[topic.role], part.partition),
            part=part,
            partitions=len(topic.partitions),
        )
        for topic in manifest.topics
        for part in topic.partitions
    ]


async def check(source: Source, told: Told) -> None:
    """Refuse a file that is not what was exported, or whose records belong elsewhere."""
    chain = Chain()
    for record in source.records():
        if partition_of(record.key, source.partitions) != source.part.partition:
            raise TransferRefused(
                f"{source.path}: record {chain.records + 1} has a key of another partition: expected records that "
                "Cardwire wrote, which choose their partition by their key"
            )
        chain.add(fingerprint(record))
        if not chain.records % BREATH:
            told.advance(BREATH)
            await asyncio.sleep(0)
    told.advance(chain.records % BREATH)
    if (chain.records, chain.digest.hex()) != (source.part.records, source.part.sha256):
        raise differs(source.path)


async def places(event_log: EventLog, sources: Sequence[Source]) -> Mapping[Place, Span]:
    """
    Return what the log holds where records are to go; topics are made where the back end makes them.

    Raises:
        TransferRefused: A topic is missing, or has another number of partitions.
        LogUnavailable: The log cannot be asked.
    """
    wanted = {source.place[0]: source.partitions for source in sources}
    if event_log.features.makes_topics:
        await event_log.create([*wanted])
    found: dict[Place, Span] = {}
    for topic, partitions in wanted.items():
        spans = await event_log.spans(topic)
        if not spans:
            raise TransferRefused(f"the log has no topic {topic}: run `cardwire topics create`")
        if len(spans) != partitions:
            raise TransferRefused(
                f"the log has {len(spans)} partitions of {topic}, the folder {partitions}: expected as many, or cards "
                f"would change their partition; make the topic with {partitions}"
            )
        found |= {(topic, number): span for number, span in spans.items()}
    return found
