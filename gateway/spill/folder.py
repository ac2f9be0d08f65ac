"""
The folder of spill files: one for each gateway, and those that crashed ones left.

Who uses a file holds a lock beside it, which the system lets go when its process ends, however. So a file whose lock
can be had belongs to nobody, and whoever gets the lock may take it over: of two that try at once, one does. A lock
file is deleted only by its holder, and last; whoever then holds the lock of a deleted file notices, and tries again.

=========================  =====================================================================================
``spill-<ms>-<pid>.db``    the spill of the gateway that started then, with SQLite's files beside it
``spill-….db.lock``        held by whoever uses it
``spill_rejected.db``      records that the brokers refused for good, of all gateways: for a person to look at
=========================  =====================================================================================
"""

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.clock import Clock
from shared.core.errors import ConfigError
from shared.eventlog.sqlite.place import network_file_system

REJECTED: Final = "spill_rejected.db"

_FILES: Final = ("", "-wal", "-shm", "-journal", ".setup.lock")
"""
A file, and what SQLite and the log put beside it. The file comes first: without its write-ahead log it may be of no
use, whereas a crash behind it leaves a lock without a file, and that is cleared away.
"""

_LOCK: Final = ".lock"

_EXAMPLE: Final = "for example CARDWIRE_SPILL=/var/lib/cardwire/spill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A spill file that is ours until it is released, or our process ends."""

    path: Path
    lock: int

    def release(self) -> None:
        """Leave the file for others to take over."""
        os.close(self.lock)

    def remove(self) -> None:
        """
        Delete the file, of which nothing is needed any more, and let go of it.

        Raises:
            OSError: It cannot be deleted. It stays ours: others would forward what is in it once more.
        """
        self.clear()
        _lock_file(self.path).unlink(missing_ok=True)
        os.close(self.lock)

    def clear(self) -> None:
        """
        Delete the file, and keep its name for a new one. That needs no room on the disk.

        Raises:
            OSError: It cannot be deleted.
        """
        for suffix in _FILES:
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def is_blank(self) -> bool:
        """Say whether there is nothing: no file, or one that nobody had the room to begin."""
        try:
            return not self.path.stat().st_size
        except FileNotFoundError:
            return True


class SpillFolder:
    """Where CARDWIRE_SPILL points to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def rejected(self) -> Path:
        """The file of records that the brokers refused for good."""
        return self._folder / REJECTED

    def claim_new(self, clock: Clock) -> Claim:
        """
        Return a file of our own, which is not there yet.

        Raises:
            ConfigError: The folder cannot be used; the text names the setting, and an example.
        """
        kind = network_file_system(self._folder)
        if kind is not None:
            raise ConfigError(
                f"CARDWIRE_SPILL={self._folder} is on a network file system ({kind}), where SQLite loses records: "
                f"expected a folder on a local disk, {_EXAMPLE}"
            )
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what people did lies in it
            name = f"spill-{clock.now()}-{os.getpid()}"
            for n in itertools.count():
                path = self._folder / f"{name}{f'-{n}' if n else ''}.db"
                if not path.exists() and (claim := _claim(path)) is not None:
                    return claim
        except OSError as error:
            raise ConfigError(
                f"CARDWIRE_SPILL={self._folder} cannot be used ({error.strerror}): expected a folder that this process "
                f"may write to, {_EXAMPLE}"
            ) from error
        raise AssertionError("there is always another name")

    def orphans(self) -> Iterator[Claim]:
        """Yield files that belong to nobody, oldest first, each claimed when it is its turn."""
        names = {path.name.removesuffix(_LOCK) for path in self._folder.glob("spill-*.db*")}
        for path in sorted(self._folder / name for name in names if name.endswith(".db")):
            try:
                claim = _claim(path)
            except OSError:  # not ours to open, or the folder is gone
                continue
            if claim is None:
                continue
            if not claim.is_blank():
                yield claim
                continue
            # Its holder died before it wrote anything, or while it deleted the file, or has just drained it.
            with contextlib.suppress(OSError):
                claim.remove()


def _claim(path: Path) -> Claim | None:
    """Return the lock of a spill file; ``None`` if somebody else holds it."""
    while True:
        lock = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(lock, _lock_file(path)):
                return Claim(path=path, lock=lock)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:
            os.close(lock)
            raise
        os.close(lock)  # its holder deleted it between our opening and locking it


def _is_there(lock: int, path: Path) -> bool:
    held = os.fstat(lock)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)


def _lock_file(path: Path) -> Path:
    return path.with_name(path.name + _LOCK)
