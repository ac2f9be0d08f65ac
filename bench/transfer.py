"""
A log moved from SQLite to Kafka and back, by the commands that people use, beside reading the same logs raw.

Each command is a process of its own, from its start to its end, so that its memory and its CPU time are its own. In
the end all exports have the same digests, and `cardwire verify` finds nothing in either copy, or this fails.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.reading import COLUMNS, Log, Step, command, read_raw
from bench.recorded import RECORDS_PER_CLICK, record
from bench.stacks import Stack
from bench.verify import verified
from bench.work import make

HEAD: Final = ("move", *COLUMNS)
CARDS: Final = 500


async def measure(stack: Stack, *, records: int) -> Sequence[Step]:
    """Move about so many records there and back."""
    with tempfile.TemporaryDirectory(prefix="cardwire-bench-") as name:
        folder = Path(name)
        clicks = records // RECORDS_PER_CLICK
        made = clicks * RECORDS_PER_CLICK
        here, back = (
            Log(name="SQLite", url=f"sqlite:///{folder / each}.db", prefix="", records=made)
            for each in ("here", "back")
        )
        url, prefix = stack.new_log()
        there = Log(name="Kafka", url=url, prefix=prefix, records=made)
        await record(here.url, here.topics, clicks, cards=CARDS)
        async with there.opened() as log:
            await make(log, there.topics)
        steps = [await read_raw(here), _exported(here, folder / "out"), _imported(there, folder / "out")]
        steps += [await read_raw(there), verified(there), _exported(there, folder / "again")]
        steps += [_imported(back, folder / "again"), verified(back), _exported(back, folder / "last")]
        assert _digests(folder / "out") == _digests(folder / "again") == _digests(folder / "last")
        print(
            f"{made:,} records: SQLite, Kafka and SQLite have the same digests, and every promise was kept", flush=True
        )
        return steps


def _exported(log: Log, folder: Path) -> Step:
    step, _ = command(f"{log.name} → files", log.name, log, "log", "export", str(folder))
    return step


def _imported(log: Log, folder: Path) -> Step:
    step, _ = command(f"files → {log.name}", None, log, "log", "import", str(folder))
    return step


def _digests(folder: Path) -> Sequence[Any]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return [[(part["records"], part["sha256"]) for part in topic["partitions"]] for topic in manifest["topics"]]
