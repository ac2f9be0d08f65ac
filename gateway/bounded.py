"""Waiting no longer than one can: also for what does not end when it is cancelled."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

import structlog

from shared.clock import Clock
from shared.core.errors import LogUnavailable, RecordRefused
from shared.eventlog.port import EventLog, NewRecord
from shared.observability.metrics import APPEND_SECONDS, Metrics

_Result = TypeVar("_Result")

_waited_for: Final[set[asyncio.Task[Any]]] = set()
"""What has not ended yet, though it may be cancelled: the loop itself keeps no task alive."""

log = structlog.get_logger("cardwire.gateway")


async def at_most(within_s: float, work: Coroutine[Any, Any, _Result]) -> _Result:
    """
    Return what ``work`` returns, or cancel it; who waits goes on at once, even if the cancelled work does not end.

    Raises:
        TimeoutError: It took longer than ``within_s``, or was cancelled by somebody else.
    """
    task = asyncio.create_task(work)
    _waited_for.add(task)
    task.add_done_callback(_ended)
    try:
        # Not asyncio.timeout: on a busy loop it would call late what is done by now.
        await asyncio.wait([task], timeout=within_s)
    finally:
        task.cancel()  # if it still runs
    if not task.done() or task.cancelled():
        raise TimeoutError
    return task.result()


async def append_within(
    within_s: float, event_log: EventLog, records: Sequence[NewRecord], *, clock: Clock, metrics: Metrics
) -> None:
    """
    Append, with no other end than these; the time it took is measured.

    Raises:
        LogUnavailable: Not in time, or whatever else the back end raised. Records may be in the log all the same.
        RecordRefused: One of them can never be appended.
    """
    began = clock.monotonic()
    outcome = "unavailable"
    try:
        await at_most(within_s, event_log.append(records))
        outcome = "ok"
    except TimeoutError as error:
        raise LogUnavailable("the log gave no answer in time") from error
    except RecordRefused:
        outcome = "refused"
        raise
    except LogUnavailable:
        raise
    except Exception as error:
        # Whatever a back end raises, later callers must still be served.
        log.exception("append_failed")
        raise LogUnavailable(f"the log raised {type(error).__name__}") from error
    finally:
        metrics.observe(APPEND_SECONDS, clock.monotonic() - began, outcome)


def _ended(task: "asyncio.Task[Any]") -> None:
    _waited_for.discard(task)
    if not task.cancelled():
        task.exception()  # who waited may have gone: not to be reported as forgotten
