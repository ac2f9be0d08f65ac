"""
Run in a container of the stack: waits until nothing is left to do, and prints what log and ledger hold.

Log and database are reached from inside only; what a person would need for that is what the command line has.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

import msgspec

from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from tests.chaos import collect
from tests.chaos.history import LedgerRow, Line
from tests.chaos.quiet import until_quiet
from tests.support.dump import dump
from tests.support.rebuilt_equals_ledger import unlike
from worker.ledger.open import open_ledger
from worker.settings import WorkerSettings


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """
    What log and ledger hold, and what still had to be done when waiting was given up.

    `unlike`: where a ledger that was rebuilt from the log differs.
    """

    unquiet: Sequence[str]
    interactions: Sequence[Line]
    outcomes: Sequence[Line]
    ledger: Sequence[LedgerRow]
    unlike: Sequence[str]


async def gather(within_s: float) -> Gathered:
    """Wait until nothing is left to do, and return what there is."""
    settings = WorkerSettings.load(os.environ)
    topics = Topics.prefixed(settings.log.topic_prefix)
    log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
    ledger = open_ledger(settings.ledger.reveal())
    try:
        return Gathered(
            unquiet=await until_quiet(log, ledger, topics, within_s=within_s),
            interactions=await collect.lines(log, topics.interactions),
            outcomes=await collect.lines(log, topics.outcomes),
            ledger=await collect.ledger_rows(ledger),
            unlike=await unlike(log, topics, await dump(ledger.database)),
        )
    finally:
        await ledger.close()
        await log.close()


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(gather(float(sys.argv[1])))))
