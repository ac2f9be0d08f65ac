"""How much memory this process has had."""

import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """
    Return the most memory that this process has had.

    What the system counts for a process begins with what the one had that started it. Linux also counts for the program
    alone.
    """
    for line in _status():
        name, _, kib = line.partition(":")
        if name == "VmHWM":
            return int(kib.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status() -> list[str]:
    try:
        return Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return []
