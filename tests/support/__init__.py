"""What tests, the chaos runner and the benchmarks share: real services, and what they need to be started."""

import os
import subprocess
from pathlib import Path


class ServiceMissing(Exception):
    """A real service cannot be started here; the text says what is missing and how to get it."""


# Looks once a second; ends by itself when the server does, and takes it along when we are gone.
_WATCH = 'while kill -0 "$1"; do kill -0 "$2" || exit 0; sleep 1; done; kill -9 "$2"; sleep 1; rm -rf "$3"'


def watch_over(server: int, folder: Path) -> "subprocess.Popen[bytes]":
    """
    Start a process that ends a server and deletes its folder should this process die without having done so.

    Returns:
        The watching process; kill it, and wait for it, once the server has ended.
    """
    return subprocess.Popen(
        ["sh", "-c", _WATCH, "watch", str(os.getpid()), str(server), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
