"""The folder of an exported log: for its owner alone, and for one export at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from worker.transfer.refusals import NotAnExport, TransferRefused

LOCK: Final = ".lock"
EXAMPLE: Final = "/var/backups/cardwire-log"

_PRIVATE_FILE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700


@contextmanager
def exporting_into(folder: Path) -> Iterator[None]:
    """
    Make a folder if need be, and keep other exports out of it until the block is left.

    Raises:
        NotAnExport: It cannot be made or written.
        TransferRefused: Another export is under way, or there is no more room.
    """
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, _PRIVATE_FILE)
    except OSError as error:
        raise NotAnExport(
            f"FOLDER is {folder}, where nothing can be written ({error.strerror}): expected a folder for the files, "
            f"for example cardwire log export {EXAMPLE}"
        ) from error
    try:
        _lock(lock, folder)
        yield
    except OSError as error:
        raise TransferRefused(
            f"{folder} cannot be written any more ({error.strerror}): expected room for the files; run the same "
            "command again, it goes on"
        ) from error
    finally:
        os.close(lock)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TransferRefused(f"{folder} is being exported into by another process: expected one at a time") from error


def open_private(path: Path, flags: int) -> BinaryIO:
    """Open a file for its owner alone: tokens are a part of the log."""
    descriptor = os.open(path, flags, _PRIVATE_FILE)
    os.fchmod(descriptor, _PRIVATE_FILE)
    return os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "wb")


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
