import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.spill.folder import Claim, SpillFolder
from shared.clock import ManualClock, SystemClock
from shared.core.errors import ConfigError


def _left_behind(folder: Path) -> Path:
    """Make a spill file as a crashed gateway leaves it: the lock file is there, and nobody holds it."""
    claim = SpillFolder(folder).claim_new(SystemClock())
    claim.path.write_bytes(b"records")
    claim.release()
    return claim.path


def test_each_gateway_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Also those that start in one millisecond, in containers where each is process 1."""
    folder, clock = SpillFolder(tmp_path), ManualClock()
    claims = [folder.claim_new(clock) for _ in range(5)]
    assert 5 == len({claim.path for claim in claims})


def test_a_file_that_is_in_use_is_no_orphan(tmp_path: Path) -> None:
    """Until it is released."""
    folder = SpillFolder(tmp_path)
    claim = folder.claim_new(SystemClock())
    claim.path.write_bytes(b"records")
    assert [] == list(folder.orphans())
    claim.release()
    (orphan,) = folder.orphans()
    assert claim.path == orphan.path


def test_a_file_whose_process_was_killed_is_an_orphan(tmp_path: Path) -> None:
    """The system lets go of its lock, whatever it had no time for."""
    program = (
        "import sys, os, signal; from pathlib import Path\n"
        "from gateway.spill.folder import SpillFolder; from shared.clock import SystemClock\n"
        "SpillFolder(Path(sys.argv[1])).claim_new(SystemClock()).path.write_bytes(b'records')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert 1 == len(list(SpillFolder(tmp_path).orphans()))


def test_of_gateways_that_look_at_once_one_adopts_each_file(tmp_path: Path) -> None:
    """Eight look for five files, delete what they get, and look again: each file was had once."""
    files = {_left_behind(tmp_path) for _ in range(5)}
    had: list[Path] = []
    begin = threading.Barrier(8)

    def adopt() -> None:
        begin.wait()
        for _ in range(3):
            for claim in SpillFolder(tmp_path).orphans():
                had.append(claim.path)
                claim.remove()

    threads = [threading.Thread(target=adopt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(files) == sorted(had)
    assert [] == list(tmp_path.iterdir())


def test_a_lock_without_a_file_is_cleared_away(tmp_path: Path) -> None:
    """Of a gateway that ended before it made its file."""
    SpillFolder(tmp_path).claim_new(SystemClock()).release()
    assert [] == list(SpillFolder(tmp_path).orphans())
    assert [] == list(tmp_path.iterdir())


def test_the_oldest_comes_first(tmp_path: Path) -> None:
    """Names begin with the time of the start."""
    files = []
    for now in (1_750_000_000_000, 1_760_000_000_000, 1_770_000_000_000):
        claim = SpillFolder(tmp_path).claim_new(ManualClock(now))
        claim.path.write_bytes(b"records")
        claim.release()
        files.append(claim.path)
    assert files == [claim.path for claim in _all(tmp_path)]


def test_parked_records_are_no_orphan(tmp_path: Path) -> None:
    """They wait for a person."""
    SpillFolder(tmp_path).rejected.write_bytes(b"records")
    assert [] == _all(tmp_path)


def test_removing_takes_everything_beside_the_file_along(tmp_path: Path) -> None:
    """SQLite's files, and the locks."""
    path = _left_behind(tmp_path)
    for suffix in ("-wal", "-shm", ".setup.lock"):
        path.with_name(path.name + suffix).write_bytes(b"")
    (claim,) = _all(tmp_path)
    claim.remove()
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_used_is_said_with_the_settings_name(tmp_path: Path) -> None:
    """And an example."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"CARDWIRE_SPILL=.*file.*CARDWIRE_SPILL=/var/lib/cardwire/spill"):
        SpillFolder(tmp_path / "file").claim_new(SystemClock())


def test_a_new_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    """What people did lies in it."""
    SpillFolder(tmp_path / "a" / "spill").claim_new(SystemClock())
    assert 0o700 == (tmp_path / "a" / "spill").stat().st_mode & 0o777


def _all(folder: Path) -> list[Claim]:
    return list(SpillFolder(folder).orphans())
