"""Where SQLite's files are, and where they may not be."""

from pathlib import Path

import pytest

from shared.eventlog.sqlite.place import consumer_lock, file_system, topic_file

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
30 22 0:40 / /mnt/team rw shared:9 master:2 - nfs4 nas:/team rw,vers=4.2
31 30 0:41 / /mnt/team/local rw - ext4 /dev/vdb rw
32 22 0:42 / /mnt/my\\040disk rw - cifs //nas/disk rw
33 22 0:43 / /mnt/twice rw - ext4 /dev/vdc rw
34 22 0:44 / /mnt/twice rw - 9p share rw
not a mount
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/cardwire", "ext4"),
        ("/mnt/team/cardwire/log.db", "nfs4"),
        ("/mnt/team/local/log.db", "ext4"),
        ("/mnt/teamwork/log.db", "ext4"),
        ("/mnt/my disk/log.db", "cifs"),
        ("/mnt/twice/log.db", "9p"),
    ],
)
def test_the_innermost_and_latest_mount_decides(path: str, kind: str) -> None:
    """A folder is on the file system mounted nearest above it; a later mount hides an earlier one."""
    assert kind == file_system(Path(path), MOUNTS)


def test_nothing_is_known_without_mounts() -> None:
    """An empty list says nothing."""
    assert file_system(Path("/var"), "") is None


def test_the_first_topic_has_the_named_file_and_others_lie_beside_it() -> None:
    """A topic's name is in its file's name, whatever it holds."""
    log = Path("dir/log.db")
    assert log == topic_file(log, "in", first="in")
    assert Path("dir/log.lark.card.outcomes.v1.db") == topic_file(log, "lark.card.outcomes.v1", first="in")
    assert Path("dir/log.a%2F..%2Fb.db") == topic_file(log, "a/../b", first="in")


def test_each_group_has_a_lock_of_its_own() -> None:
    """The lock lies beside the file that it speaks of."""
    assert Path("dir/log.db.workers.lock") == consumer_lock(Path("dir/log.db"), "workers")
