"""
A machine that loses power: what of a folder is left when the disk drops everything that was not synced.

SIGKILL proves nothing of that, because the system writes on what a killed process had written. Here a library is
preloaded into the process that keeps a second copy of its files, as of their last sync (`power_loss.c`).
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_SOURCE: Final = Path(__file__).with_suffix(".c")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLoss:
    """
    A folder on a disk that drops what was not synced.

    Attributes:
        disk: The folder; it is there.
        env: What a process needs in its environment to be watched.
    """

    disk: Path
    env: Mapping[str, str]
    _kept: Path

    @classmethod
    def of(cls, folder: Path) -> "PowerLoss":
        """Return a new folder below ``folder``; skips the test where there is no C compiler."""
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler (cc) to make a disk that loses power: install gcc and libc6-dev")
        library, disk, kept = folder / "power_loss.so", folder / "disk", folder / "kept"
        disk.mkdir()
        kept.mkdir()
        flags = ["-O2", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library)]
        subprocess.run([compiler, *flags, str(_SOURCE), "-ldl", "-pthread"], check=True)
        env = {"LD_PRELOAD": str(library), "DISK": str(disk), "KEPT": str(kept)}
        return cls(disk=disk, env=env, _kept=kept)

    def after(self, folder: Path) -> Path:
        """Return a new folder with what is on the disk when the power is back."""
        folder.mkdir()
        names = self._kept / "names"
        for line in names.read_text().splitlines() if names.exists() else ():
            inode, name = line.split(" ", 1)
            kept = self._kept / inode
            if kept.exists():
                shutil.copyfile(kept, folder / name)
            else:
                (folder / name).touch()  # the name was synced, its bytes never were
        return folder
