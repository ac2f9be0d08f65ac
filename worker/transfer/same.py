"""Whether a folder is one of this log: what must be so before anything is added to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from shared.eventlog.port import EventLog, Span, Topics
from worker.transfer import manifest as manifests
from worker.transfer.digest import fingerprint
from worker.transfer.folder import LOCK
from worker.transfer.manifest import Manifest, Part, Role, Topic
from worker.transfer.refusals import TransferRefused

Spans = Mapping[Role, Mapping[int, Span]]
"""What a log holds, by what its topics are for."""

_OURS: Final = frozenset({LOCK, f"{manifests.NAME}.new"})
"""What an export leaves that was killed before it had a manifest."""


def begun(folder: Path, topics: Topics, spans: Spans, *, cardwire: str, now: str) -> Manifest:
    """
    Return the manifest with which an export into a folder begins, or goes on.

    Raises:
        NotAnExport: The folder's manifest cannot be read.
        TransferRefused: The folder holds something else, or other topics.
    """
    found = manifests.load(folder)
    if found is None:
        _refuse_strangers(folder)
        return Manifest(cardwire=cardwire, began=now, topics=_new(topics, spans))
    new = _new(topics, spans)
    for topic, other in zip(found.topics, new, strict=True):
        _refuse_other_topic(folder, topic, other)
    both = tuple(old if old.partitions else other for old, other in zip(found.topics, new, strict=True))
    return msgspec.structs.replace(found, cardwire=cardwire, finished=None, topics=both)


async def check_same(event_log: EventLog, folder: Path, topic: str, part: Part, span: Span) -> None:
    """
    Return if a log goes on where a folder's partition ends.

    Raises:
        TransferRefused: The newest record of the folder is not the log's, or the log has forgotten what follows it.
        LogUnavailable: The log cannot be asked.
    """
    what = f"partition {part.partition} of {topic}"
    if part.end > span.end:
        raise _another_log(folder, what, f"the folder ends at {part.end}, the log at {span.end}")
    if part.end < span.begin:
        raise TransferRefused(
            f"{folder} ends at {part.end} of {what}, and the log keeps nothing older than {span.begin}: "
            "expected a new folder, and an export before records are a month old"
        )
    if part.last is None or part.last.offset < span.begin:
        return
    found = await event_log.read(topic, part.partition, part.last.offset, limit=1)
    if not found or found[0].offset != part.last.offset or fingerprint(found[0]).hex() != part.last.sha256:
        raise _another_log(folder, what, f"the record at {part.last.offset} is not the folder's")


def _another_log(folder: Path, what: str, how: str) -> TransferRefused:
    return TransferRefused(f"{folder} holds another log ({what}: {how}): expected a folder of this one, or a new one")


def _refuse_other_topic(folder: Path, kept: Topic, found: Topic) -> None:
    if kept.topic != found.topic:
        raise TransferRefused(
            f"{folder} holds {kept.topic}, not {found.topic}: expected a folder of this log, or a new one"
        )
    if kept.partitions and len(kept.partitions) != len(found.partitions):
        raise TransferRefused(
            f"{folder} holds {len(kept.partitions)} partitions of {kept.topic}, the log {len(found.partitions)}: "
            "expected a folder of this log, or a new one"
        )


def _refuse_strangers(folder: Path) -> None:
    strangers = sorted({path.name for path in folder.iterdir()} - _OURS)
    if strangers:
        raise TransferRefused(
            f"{folder} holds something else ({strangers[0]}): expected a new or an empty folder, or one of this log"
        )


def _new(topics: Topics, spans: Spans) -> tuple[Topic, ...]:
    return tuple(
        Topic(
            role=role,
            topic=name,
            partitions=tuple(
                Part(partition=number, begin=span.begin, end=span.begin) for number, span in sorted(spans[role].items())
            ),
        )
        for role, name in manifests.named(topics)
    )
