"""Node and its packages: fetched by npm, which has a cache of its own, and checked against a lock's hashes."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support import ServiceMissing

FETCH_S: Final = 90.0


def node() -> str:
    """
    Return the program that runs Node.

    Raises:
        ServiceMissing: There is none.
    """
    return _program("node")


def installed(folder: Path, into: Path) -> Path:
    """
    Copy a folder with a package.json and its lock, fetch what the lock names, and return the copy.

    Raises:
        ServiceMissing: There is no npm, or it cannot fetch.
    """
    npm = _program("npm")
    copy = into / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("node_modules"))
    fetch = [npm, "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    try:
        subprocess.run(fetch, cwd=copy, check=True, capture_output=True, text=True, timeout=FETCH_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ServiceMissing(
            f"npm could not fetch the packages of {folder.name}; run once with a package registry in reach"
        ) from error
    return copy


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ServiceMissing("a reader in Node needs node and npm (Debian: apt install nodejs npm)")
    return found
