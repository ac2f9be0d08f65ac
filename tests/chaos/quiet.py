"""Waiting for the end of all work: everything in the log is decided, done and told."""

import asyncio
from collections.abc import Sequence
from typing import Final

from shared.core.errors import LedgerUnavailable, LogUnavailable
from shared.eventlog.port import EventLog, Topics
from tests.support.dump import dump
from worker.ledger.sql_ledger import SqlLedger

LOOK_EVERY_S: Final = 0.5
LOOKS: Final = 2
"""Quiet is believed when it is seen so often in a row: a mark may still be on its way."""


async def until_quiet(log: EventLog, ledger: SqlLedger, topics: Topics, *, within_s: float) -> Sequence[str]:
    """Wait until nothing is left to do, and return what still is when time is over; empty: nothing."""
    loop = asyncio.get_running_loop()
    until, looks = loop.time() + within_s, 0
    while True:
        try:
            left = await left_to_do(log, ledger, topics)
        except (LogUnavailable, LedgerUnavailable) as away:
            left = [str(away) or type(away).__name__]
        looks = 0 if left else looks + 1
        if looks == LOOKS or loop.time() > until:
            return left
        await asyncio.sleep(LOOK_EVERY_S)


async def left_to_do(log: EventLog, ledger: SqlLedger, topics: Topics) -> Sequence[str]:
    """Return what is not decided, not done or not told yet, one line each."""
    spans = await log.spans(topics.interactions)
    positions = await ledger.positions()
    lag = sum(span.end - (positions[number].next if number in positions else 0) for number, span in spans.items())
    untold = await ledger.outbox_depth()
    left = [f"{lag} records are not decided"] if lag else []
    left += [f"{untold} rows wait in the outbox"] if untold else []
    if not left and (await ledger.pulse()).next_due is not None:
        pending = [row for row in (await dump(ledger.database)).effects if row["status"] == "pending"]
        left += [f"{row['event_id']}/{row['index']} {row['kind']} is pending: {row['outcome']}" for row in pending]
    return left
