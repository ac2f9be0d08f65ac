"""A whole worker as a process of its own, on a platform that says yes at once: ``python -m tests.soak.worker``."""

import asyncio
import os
import signal
import sys

from bench.pump import NullPlatform
from tests.soak.handlers import app
from worker.app import serve
from worker.settings import WorkerSettings


async def work() -> None:
    """Work until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with serve(WorkerSettings.load(os.environ), app, platform=NullPlatform()):
        sys.stdout.write("worker ready\n")
        sys.stdout.flush()
        await stopping.wait()


if __name__ == "__main__":
    asyncio.run(work())
