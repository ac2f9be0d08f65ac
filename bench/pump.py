"""
The pump: effects per second with a platform that answers at once, and without limits.

Clicks on as many cards are decided first. Then a whole worker is started, its relay included, and the clock runs until
the last effect's outcome is stored.
"""

import asyncio
import random
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from bench.decide import PATIENCE_S, decide
from bench.figures import Round, Spent, spread
from bench.stacks import Stack
from bench.work import APP_ID, app, fill, inputs, make
from shared.core.ids import AppId, TenantKey
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import PARTITIONS, EventLog, Topics
from shared.feishu.openapi import ApiReply, ApiRequest
from worker.app import serve
from worker.ledger.engine import Database
from worker.ledger.leased import Settled, Settlement
from worker.ledger.sql_ledger import SqlLedger
from worker.settings import WorkerSettings

HEAD: Final = (
    "pump", "effects/s (min / median / max)", "CPU µs/effect, own + database + broker", "effects per settlement",
)  # fmt: skip


class NullPlatform:
    """Says yes at once."""

    calls = 0

    async def call(self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest) -> ApiReply:  # noqa: ARG002
        self.calls += 1
        return ApiReply(status=200, headers={}, body=b'{"code":0,"msg":"success","data":{}}')


class _Counting(SqlLedger):
    """A ledger that says when so many effects are at their end."""

    def expect(self, effects: int) -> None:
        """Count from here."""
        self.left, self.settlements, self.done = effects, 0, asyncio.Event()

    async def settle(self, owner: str, settlements: Sequence[Settlement]) -> Settled:
        settled = await super().settle(owner, settlements)
        self.left -= sum(change.status != "pending" for each in settlements for change in each.changes)
        self.settlements += 1
        if self.left <= 0:
            self.done.set()
        return settled


@dataclass(slots=True)
class Rounds:
    """What the rounds took, and how many effects were stored together."""

    rounds: list[Round] = field(default_factory=list)
    together: list[float] = field(default_factory=list)


async def measure(stack: Stack, *, effects: int, rounds: int) -> Rounds:
    """Return rounds of so many effects on as many cards. A first one warms up and is not counted."""
    async with AsyncExitStack() as closing:
        url, prefix = stack.new_log()
        topics = Topics.prefixed(prefix)
        log = open_log(url, topics=topics)
        closing.push_async_callback(log.close)
        await make(log, topics)
        ledger_url = stack.new_ledger()
        ledger = _Counting(Database(ledger_url, None))
        closing.push_async_callback(ledger.close)
        await ledger.upgrade()
        await ledger.begin(PARTITIONS)
        settings = WorkerSettings.load(environment(url, prefix, ledger_url))
        measured = Rounds()
        for number in range(rounds + 1):
            records = inputs(2 * effects, topic=topics.interactions, cards=effects, first=number * effects)
            await decide(stack, log, topics, ledger, await fill(log, topics.interactions, records), settle_ms=0)
            await _tell(log, ledger)
            one = await _perform(stack, settings, log, ledger, effects)
            if number:
                measured.rounds.append(one)
                measured.together.append(effects / ledger.settlements)
        return measured


async def _tell(log: EventLog, ledger: SqlLedger) -> None:
    """Relay what deciding left in the outbox, beforehand."""
    while rows := await ledger.outbox(limit=500):
        await log.append([record for _, record in rows])
        await ledger.relayed([number for number, _ in rows])


async def _perform(stack: Stack, settings: WorkerSettings, log: OpenedLog, ledger: _Counting, effects: int) -> Round:
    ledger.expect(effects)
    platform = NullPlatform()
    measured = Spent([*stack.database_pids, *stack.broker_pids])
    async with (
        asyncio.timeout(PATIENCE_S),
        serve(settings, app, event_log=log, ledger=ledger, platform=platform, rng=random.Random(1)),
    ):
        measured.begin()
        await ledger.done.wait()
        measured.end()
    assert platform.calls == effects
    return Round(count=effects, spent=measured)


def environment(log: str, prefix: str, ledger: str) -> Mapping[str, str]:
    """Return the settings of a worker without limits and without a settle gap."""
    return {
        "LARK_APP_ID": APP_ID,
        "LARK_APP_SECRET": "not-a-secret",
        "CARDWIRE_APP": "bench.work:app",
        "CARDWIRE_LOG": log,
        "CARDWIRE_TOPIC_PREFIX": prefix,
        "CARDWIRE_LEDGER": ledger,
        "CARDWIRE_LIMITS": "none",
        "CARDWIRE_SETTLE_MS": "0",
        "CARDWIRE_ADMIN_PORT": "0",
    }


def line(what: str, measured: Rounds) -> list[str]:
    """Return the row of a table about these rounds; see `HEAD`."""
    own = statistics.median(each.own_us for each in measured.rounds)
    services = statistics.median(each.services_us for each in measured.rounds)
    return [
        what,
        spread([each.rate for each in measured.rounds]),
        f"{own:.0f} + {services:.0f}",
        f"{statistics.median(measured.together):.0f}",
    ]
