"""
A command as a process of its own, and what it took.

The system counts a process's memory from that of whoever started it: a command that a benchmark starts would have had
at least the benchmark's. So this file is run in between, which is small.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """
    What a command printed, and took from its start to its end.

    Attributes:
        peak_mb: The most memory that it had.
    """

    told: str
    status: int
    wall_s: float
    cpu_s: float
    peak_mb: float


def apart(command: Sequence[str], env: Mapping[str, str]) -> Took:
    """Run a command, whose errors are printed, and return what it took."""
    ran = subprocess.run([sys.executable, "-P", __file__, *command], env=dict(env), stdout=subprocess.PIPE, check=True)
    return Took(**json.loads(ran.stdout))


def _took(command: Sequence[str]) -> Took:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as stdout:
        told = stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Took(
        told=told,
        status=process.returncode,
        wall_s=time.perf_counter() - began,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss / 1024,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(_took(sys.argv[1:]))))
