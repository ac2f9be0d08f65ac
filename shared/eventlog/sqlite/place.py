"""Where a topic's file is, and whether SQLite can be trusted there."""

from collections.abc import Iterable
from glob import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

_MOUNTS: Final = Path("/proc/self/mountinfo")

NETWORK_FILE_SYSTEMS: Final = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs",
    "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs",
})  # fmt: skip
"""
File systems, as Linux names them, on which processes of different machines may meet.

SQLite's write-ahead log needs memory shared by all its processes and locks that work:
https://www.sqlite.org/wal.html ("WAL does not work over a network filesystem").
"""


def topic_file(path: Path, topic: str, *, first: str) -> Path:
    """Return the file of ``topic`` in the log at ``path``, which is itself the file of the topic ``first``."""
    if topic == first:
        return path
    return path.with_name(f"{path.stem}.{quote(topic, safe='')}{path.suffix}")


def consumer_lock(path: Path, group: str) -> Path:
    """Return the file that a group's only consumer of the topic file ``path`` holds locked."""
    return path.with_name(f"{path.name}.{quote(group, safe='')}.lock")


def consumer_locks(path: Path) -> Iterable[Path]:
    """Return those of all groups that ever had a consumer of the topic file ``path``."""
    setup = path.with_name(f"{path.name}.setup.lock")
    return sorted(found for found in path.parent.glob(f"{escape(path.name)}.*.lock") if found != setup)


def network_file_system(path: Path) -> str | None:
    """Return the kind of network file system that ``path`` would be on; ``None`` if it is local or cannot be told."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        return None
    kind = file_system(path.resolve(), mounts)
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def file_system(path: Path, mounts: str) -> str | None:
    """
    Return the kind of file system that the absolute ``path`` is on.

    Args:
        path: Without symbolic links; it need not exist.
        mounts: The text of Linux' ``/proc/self/mountinfo``: the fifth field is the mount point, with octal escapes
            for spaces; the first one after a lone ``-`` is the kind. Of two on one point the later hides the earlier.
    """
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        match line.split(" "):
            case [_, _, _, _, mount_point, *options, "-", kind, _, _] if "-" not in options:
                point = Path(mount_point.replace("\\040", " "))
                if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
                    found = len(point.parts), kind
    return None if found is None else found[1]
