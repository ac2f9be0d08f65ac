"""Whoever reserves whatever and whenever: the ledger's one statement answers as the pure arithmetic does."""

import asyncio
import math
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clock import ManualClock
from shared.core.ids import AppId, TenantKey
from shared.feishu.limits import ApiRate
from worker import budget
from worker.ledger.leased import BudgetKey, Rate
from worker.ledger.open import open_ledger

KEY = BudgetKey(AppId("cli_a"), TenantKey("t"), "im.v1.message.patch")

rates = st.builds(
    ApiRate,
    per_second=st.one_of(st.just(math.inf), st.integers(1, 1_000)),
    per_minute=st.one_of(st.just(math.inf), st.integers(1, 20_000)),
).map(budget.rate_of)
# Most of the time the clock goes on; now and then somebody sets it back, by a little or by up to two hours.
passing = st.one_of(st.integers(0, 3_000), st.integers(-7_200_000, 60_000))
asks = st.tuples(passing, st.integers(1, 16), st.sampled_from([0, 50, 2_000]))
blocks = st.tuples(passing, st.one_of(st.integers(1, 5_000), st.integers(1, 3_600_000)))
steps = st.lists(st.one_of(asks, blocks), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(rate=rates, steps=steps)
def test_a_reservation_is_the_arithmetic(rate: Rate, steps: list[tuple[int, ...]]) -> None:
    """Waits, refusals and blocks agree step by step, from an API that nothing is known of, whatever the clock does."""
    assert _expected(rate, steps) == asyncio.run(_answered(rate, steps))


def _expected(rate: Rate, steps: list[tuple[int, ...]]) -> list[int]:
    clock, tats, waits = ManualClock(), None, list[int]()
    for step in steps:
        clock.advance(step[0] / 1000)
        now_us = clock.now() * 1000
        match step:
            case (_, for_ms):
                tats = budget.blocked(tats or budget.Tats(second=0, minute=0), now_us=now_us, for_us=for_ms * 1000)
            case (_, calls, ahead_ms):
                before = tats or budget.empty(now_us, rate)
                found = budget.reserve(before, now_us=now_us, calls=calls, rate=rate, ahead_us=ahead_ms * 1000)
                tats = found.tats
                waits.append(-(-found.wait_us // 1000))
            case _:
                raise AssertionError(step)
    return waits


async def _answered(rate: Rate, steps: list[tuple[int, ...]]) -> list[int]:
    clock, waits = ManualClock(), list[int]()
    with TemporaryDirectory() as folder:
        ledger = open_ledger(f"sqlite:///{Path(folder) / 'ledger.db'}", clock=clock)
        await ledger.check()
        for step in steps:
            clock.advance(step[0] / 1000)
            match step:
                case (_, for_ms):
                    await ledger.blocked(KEY, for_ms=for_ms)
                case (_, calls, ahead_ms):
                    waits.append((await ledger.reserve({KEY: (calls, rate)}, ahead_ms=ahead_ms))[KEY])
                case _:
                    raise AssertionError(step)
        await ledger.close()
    return waits
