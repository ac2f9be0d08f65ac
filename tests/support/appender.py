"""
A process that appends numbered records until it is killed, and prints each number once it is acknowledged.

``python -m tests.support.appender URL TOPIC_PREFIX``: four records are under way at any time, each with a key of its
own; the numbers of one key only grow.
"""

import asyncio
import contextlib
import sys

from shared.core.errors import LogUnavailable
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from tests.support.event_logs import record

KEYS = 4


async def run(url: str, prefix: str) -> None:
    """Append without end."""
    topics = Topics.prefixed(prefix)
    log = open_log(url, topics=topics)

    async def one_key(first: int) -> None:
        number = first
        while True:
            with contextlib.suppress(LogUnavailable):  # on a busy machine: not acknowledged, then
                await log.append([record(number, topic=topics.interactions, key=f"key-{first}")])
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()
            number += KEYS

    async with asyncio.TaskGroup() as group:
        for first in range(KEYS):
            group.create_task(one_key(first))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2]))
