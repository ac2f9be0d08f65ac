"""
`cardwire verify` beside reading the same log raw: how fast it goes, and what memory it takes whatever the log's length.

The log is an honest one, and long and short: every decision is that of the worker's decider, every effect has come to
its end. So it must find nothing, and have judged everything.
"""

import json
from collections.abc import Sequence
from typing import Final

from bench.reading import COLUMNS, Log, Step, command, read_raw
from bench.recorded import RECORDS_PER_CLICK, record
from bench.stacks import Stack

HEAD: Final = ("verify", *COLUMNS)
CARDS: Final = 500
SHORT: Final = 4
"""By this the shorter log is shorter."""


async def measure(stack: Stack, *, records: int) -> Sequence[Step]:
    """Verify a log of about so many records, of both topics together, and one of a quarter."""
    steps: list[Step] = []
    for clicks in (records // RECORDS_PER_CLICK // SHORT, records // RECORDS_PER_CLICK):
        url, prefix = stack.new_log()
        log = Log(name=stack.log_name, url=url, prefix=prefix, records=clicks * RECORDS_PER_CLICK)
        await record(log.url, log.topics, clicks, cards=CARDS)
        steps += [await read_raw(log), verified(log)]
    return steps


def verified(log: Log) -> Step:
    """Verify a log that `bench.recorded` made, wherever it is by now: all of it is judged, and nothing is found."""
    step, printed = command(f"{log.name}, verified", log.name, log, "verify", "--json")
    told = json.loads(printed.splitlines()[-1])
    clicks = log.records // RECORDS_PER_CLICK
    expected = {
        "violations": 0, "records": log.records, "inputs": 2 * clicks, "decisions": clicks, "outcomes": clicks,
        "not_decided": 0, "begun_before_the_log": 0,
    }  # fmt: skip
    assert expected == {name: told[name] for name in expected}, printed
    return step
