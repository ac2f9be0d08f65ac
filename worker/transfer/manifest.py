"""What a folder of an exported log says about itself: ``manifest.json``, replaced as a whole or not at all."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec

from shared.eventlog.port import Topics
from worker.transfer.digest import BEGINNING
from worker.transfer.folder import EXAMPLE, open_private, sync_folder
from worker.transfer.refusals import NotAnExport, TransferRefused

FORMAT: Final = 1
"""The version of files and manifest."""

NAME: Final = "manifest.json"

Role = Literal["interactions", "outcomes", "dead"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""What each topic is for; its name may differ from deployment to deployment."""


Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""A SHA-256, in hexadecimal digits."""


class Last(msgspec.Struct, frozen=True, kw_only=True):
    """The newest exported record of a partition: where it lay, and its own digest, by which its log is known again."""

    offset: int
    sha256: Hex


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """
    One partition, as far as it is in its file.

    Attributes:
        begin: Its oldest record's offset, and `end` the one up to, not including, which it was exported.
        sha256: The digest of its records (`worker.transfer.digest`).
        bytes: How long the file is; what stands behind was not finished.
    """

    partition: int
    begin: int
    end: int
    records: int = 0
    sha256: Hex = BEGINNING.hex()
    bytes: int = 0
    last: Last | None = None

    def file(self, role: Role) -> str:
        """Return the name of its file."""
        return f"{role}-{self.partition:02}.jsonl.zst"


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic: what it is for, its name, its partitions by number."""

    role: Role
    topic: str
    partitions: tuple[Part, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """
    A folder's contents.

    Attributes:
        cardwire: The version that wrote it.
        began: When its first export began, and `finished` when its newest one ended (RFC 3339, UTC); absent while one
            is under way.
    """

    format: int = FORMAT
    cardwire: str
    began: str
    finished: str | None = None
    topics: tuple[Topic, ...]

    @property
    def records(self) -> int:
        """How many records the files hold."""
        return sum(part.records for topic in self.topics for part in topic.partitions)

    def changed(self, role: Role, part: Part) -> "Manifest":
        """Return it with one partition as it is now."""
        topics = tuple(
            topic
            if topic.role != role
            else msgspec.structs.replace(
                topic, partitions=tuple(part if one.partition == part.partition else one for one in topic.partitions)
            )
            for topic in self.topics
        )
        return msgspec.structs.replace(self, topics=topics)


_decode: Final = msgspec.json.Decoder(Manifest).decode


def named(topics: Topics) -> Sequence[tuple[Role, str]]:
    """Return a deployment's topics by what they are for."""
    return [("interactions", topics.interactions), ("outcomes", topics.outcomes), ("dead", topics.dead)]


def load(folder: Path) -> Manifest | None:
    """
    Return what a folder says about itself; ``None`` where it says nothing.

    Raises:
        NotAnExport: Its manifest cannot be read.
        TransferRefused: It was written by a newer version.
    """
    try:
        text = (folder / NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(folder, str(error.strerror)) from error
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version > FORMAT:
            raise TransferRefused(
                f"{folder} was written by a newer Cardwire (format {version}, this one reads {FORMAT}): upgrade "
                "this one"
            )
        found = _decode(text)
    except msgspec.MsgspecError as error:
        raise _unreadable(folder, str(error)) from error
    if tuple(topic.role for topic in found.topics) != ROLES:
        raise _unreadable(folder, f"its topics are not {', '.join(ROLES)}")
    if any([part.partition for part in topic.partitions] != [*range(len(topic.partitions))] for topic in found.topics):
        raise _unreadable(folder, "its partitions are not numbered from 0 on")
    return found


def save(folder: Path, manifest: Manifest) -> None:
    """Replace a folder's manifest; after a crash there is the old one or the new one."""
    beside = folder / f"{NAME}.new"
    with open_private(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / NAME)
    sync_folder(folder)


def _unreadable(folder: Path, why: str) -> NotAnExport:
    return NotAnExport(
        f"{folder / NAME} is not that of an exported log ({why}): expected a folder that `cardwire log export` made, "
        f"for example {EXAMPLE}"
    )


class _Version(msgspec.Struct, frozen=True, kw_only=True):
    format: int
