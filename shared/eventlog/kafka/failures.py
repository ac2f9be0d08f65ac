"""What aiokafka does when something is wrong with the brokers, and how its tasks are ended all the same."""

import asyncio
import contextlib
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

FAILURES: Final = (KafkaError, OSError, TimeoutError, asyncio.CancelledError)
"""What it lets out. It uses cancellation for itself, too: https://github.com/aio-libs/aiokafka/issues/647."""


async def end(task: "asyncio.Task[Any] | None") -> None:
    """Cancel until it ends: cancelled once, aiokafka's sender first waits for requests that nobody will answer."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    if task is not None and not task.cancelled():
        task.exception()


def pass_cancellation(error: BaseException) -> None:
    """Raise a cancellation that is meant for us, not one that aiokafka made up."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


async def stop(consumer: AIOKafkaConsumer, *, timeout_s: float) -> None:
    """Leave the group, if any, and close the connections within about ``timeout_s``. Never raises."""
    try:
        async with asyncio.timeout(timeout_s):
            await consumer.stop()
    except FAILURES as error:  # with the brokers away it raises at once, or hangs, and leaves everything as it was
        fetcher = consumer._fetcher  # noqa: SLF001
        for task in (fetcher._fetch_task, *fetcher._pending_tasks) if fetcher is not None else ():  # noqa: SLF001
            await end(task)
        await close(consumer._client)  # noqa: SLF001
        pass_cancellation(error)


async def close(client: AIOKafkaClient) -> None:
    """Close a client's connections, within a second."""
    with contextlib.suppress(*FAILURES):
        async with asyncio.timeout(1):
            await client.close()
