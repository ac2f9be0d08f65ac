"""CPU time of processes that are not ours, from /proc (Linux); elsewhere it is left out."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Iterable[int]) -> float | None:
    """Return the CPU time (user and system) of these processes and all their descendants; `None` where unknown."""
    if not Path("/proc/self/stat").exists():
        return None
    stats = _stats()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in stats.items():
        children.setdefault(parent, []).append(pid)
    todo, ticks = list(pids), 0
    while todo:
        pid = todo.pop()
        ticks += stats[pid][1] if pid in stats else 0
        todo += children.get(pid, [])
    return ticks / _TICKS


def _stats() -> dict[int, tuple[int, int]]:
    """Return each process's parent, and its ticks with those of children that ended."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The second field is a name in parentheses that may hold anything.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(folder.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    return found
