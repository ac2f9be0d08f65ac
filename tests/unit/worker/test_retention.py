"""One worker of the fleet sweeps, once an hour, and another one goes on where it was killed (worker/retention.py)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

from structlog.testing import capture_logs

from shared.clock import ManualClock
from shared.core.errors import LedgerUnavailable, LogUnavailable
from shared.eventlog.open import OpenedLog
from shared.eventlog.port import TOPICS
from worker.keeping import ORDER, Keeping
from worker.ledger.kept import Aged, Sweep, Swept
from worker.meter import Meter
from worker.retention import HOUR_S, LOOK_S, ROLE_MS, Retention


class OldLedger:
    """A ledger with so many old claims, one of which goes with each transaction, and with a role."""

    def __init__(self, clock: ManualClock, *, old: int = 3) -> None:
        self.clock, self.old = clock, old
        self.away = False
        self.slow_s = 0.0
        self.swept: list[str] = []
        self.owner, self.until = "", 0

    async def hold(self, name: str, owner: str, *, ttl_ms: int) -> bool:
        """Give the role, if it is free."""
        if self.away:
            raise LedgerUnavailable("the ledger at db/cards does not take part")
        if self.owner not in {"", owner} and self.clock.now() < self.until:
            return False
        self.owner, self.until = owner if name else "", self.clock.now() + ttl_ms
        return True

    async def sweep(self, sweep: Sweep) -> Swept:
        """Delete one claim; other stores have nothing."""
        if self.away:
            raise LedgerUnavailable("the ledger at db/cards does not take part")
        await self.clock.sleep(self.slow_s)
        self.swept.append(self.owner)
        if sweep.store != "events" or not self.old:
            return Swept()
        self.old -= 1
        return Swept(rows={"claims": 1, "cards": 0}, last=(1, "a", "e"))

    async def aged(self) -> Aged:
        """Return that a claim of an hour is the oldest."""
        return Aged(now=self.clock.now(), oldest={"claims": self.clock.now() - 3_600_000})


class OldLog:
    """A log with so many old records, two of which go with each transaction."""

    def __init__(self, ledger: OldLedger, **old: int) -> None:
        self.ledger, self.old = ledger, Counter(old)
        self.away = False
        self.pruned: list[str] = []

    async def prune(self, topic: str, *, dry: bool = False) -> int:
        """Delete two records."""
        if self.away:
            raise LogUnavailable("the SQLite log of t: database is locked")
        self.pruned.append(self.ledger.owner)
        gone = min(2, self.old[topic])
        self.old[topic] -= gone
        return gone


class Fleet:
    """Workers that look after one ledger and one log."""

    def __init__(self, *, old: int = 3) -> None:
        self.clock = ManualClock()
        self.ledger = OldLedger(self.clock, old=old)
        self.log = OldLog(self.ledger)
        self.meter = Meter()
        self.running: list[tuple[Retention, asyncio.Task[None]]] = []

    def start(self, owner: str) -> Retention:
        """Start a worker."""
        given: Any = {"keeping": Keeping(), "clock": self.clock, "meter": self.meter, "topics": TOPICS}
        retention = Retention(ledger=self.ledger, event_log=cast("OpenedLog", self.log), owner=owner, **given)
        self.running.append((retention, asyncio.create_task(retention.run())))
        return retention

    async def passes(self, seconds: float, *, step_s: float = 5.0) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step_s)):
            await _settled()
            self.clock.advance(step_s)
        await _settled()

    async def end(self) -> None:
        """Stop all."""
        for retention, _ in self.running:
            retention.stop()
        await asyncio.gather(*(task for _, task in self.running), return_exceptions=True)


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def told(do: Callable[[Fleet], Awaitable[None]], **given: int) -> tuple[Fleet, list[Any]]:
    """Run a fleet, and return it with the lines that it said."""
    fleet = Fleet(**given)
    with capture_logs() as lines:
        await do(fleet)
        await fleet.end()
    return fleet, [line for line in lines if line["event"].startswith("retention")]


async def test_it_runs_once_an_hour_and_says_so_in_one_line() -> None:
    """With what went, by table; the numbers tell the same."""

    async def three_hours(fleet: Fleet) -> None:
        fleet.start("one")
        await fleet.passes(LOOK_S + 2 * HOUR_S + 2 * LOOK_S)

    fleet, lines = await told(three_hours)
    assert [3, 0, 0] == [line["rows"] for line in lines]
    assert {"event": "retention_ran", "claims": 3} == {name: lines[0][name] for name in ("event", "claims")}
    shown = fleet.meter.metrics.exposition().decode()
    for line in (
        'cardwire_retention_rows_total{table="claims"} 3.0',
        'cardwire_retention_oldest_seconds{table="claims"} 3600.0',
        "cardwire_retention_last_run_timestamp_seconds 1.75000",
    ):
        assert line in shown


async def test_of_two_workers_one_sweeps_and_keeps_the_hour() -> None:
    """The other one does not begin anew behind it."""

    async def an_hour(fleet: Fleet) -> None:
        fleet.start("one")
        fleet.start("two")
        await fleet.passes(HOUR_S)

    fleet, lines = await told(an_hour)
    assert (1, 1) == (len(lines), len(set(fleet.ledger.swept)))


async def test_what_a_killed_worker_left_another_one_takes_within_two_minutes() -> None:
    """It had the role, and no longer says so."""

    async def killed(fleet: Fleet) -> None:
        fleet.ledger.slow_s = 10
        fleet.start("one")
        await fleet.passes(LOOK_S + 60)
        fleet.start("two")
        _, task = fleet.running[0]
        task.cancel()
        fleet.ledger.slow_s = 0
        assert fleet.ledger.old > 0
        await fleet.passes(ROLE_MS / 1000 + 2 * LOOK_S)
        assert (0, "two") == (fleet.ledger.old, fleet.ledger.owner)

    fleet, lines = await told(killed, old=20)
    assert {"one", "two"} == set(fleet.ledger.swept)
    assert 1 == len(lines)


async def test_a_worker_that_is_stopped_in_the_middle_leaves_the_role_to_others() -> None:
    """It finishes the transaction under way, and the next one begins at once."""

    async def stopped(fleet: Fleet) -> None:
        fleet.ledger.slow_s = 10
        one = fleet.start("one")
        await fleet.passes(LOOK_S + 45)
        one.stop()
        await fleet.passes(20)
        assert fleet.running[0][1].done()
        assert fleet.ledger.until <= fleet.clock.now()

    fleet, lines = await told(stopped, old=20)
    assert [] == lines
    assert 0 < fleet.ledger.old < 20


async def test_a_long_sweep_keeps_the_role() -> None:
    """It says so again before its time is over."""

    async def long(fleet: Fleet) -> None:
        fleet.ledger.slow_s = 15
        fleet.start("one")
        fleet.start("two")
        await fleet.passes(10 * 60)

    fleet, lines = await told(long, old=20)
    assert (1, 20 + len(ORDER)) == (len(set(fleet.ledger.swept)), len(fleet.ledger.swept))
    assert 1 == len(lines)


async def test_an_absent_ledger_is_told_of_once() -> None:
    """And swept when it is back."""

    async def away(fleet: Fleet) -> None:
        fleet.ledger.away = True
        fleet.start("one")
        await fleet.passes(10 * LOOK_S)
        fleet.ledger.away = False
        await fleet.passes(2 * LOOK_S)

    _, lines = await told(away)
    assert ["retention_waiting", "retention_ran"] == [line["event"] for line in lines]


async def test_what_is_old_in_the_log_goes_though_nobody_writes_to_it() -> None:
    """Of all three topics, until nothing goes, by the one that has the role; line and number tell how much."""

    async def an_hour(fleet: Fleet) -> None:
        fleet.log.old.update({TOPICS.interactions: 1, TOPICS.outcomes: 4, TOPICS.dead: 5})
        fleet.start("one")
        fleet.start("two")
        await fleet.passes(HOUR_S)

    fleet, (line,) = await told(an_hour, old=0)
    assert {TOPICS.interactions: 0, TOPICS.outcomes: 0, TOPICS.dead: 0} == fleet.log.old
    assert (1, 10, 1, 4, 5) == (
        len(set(fleet.log.pruned)),
        *(line[name] for name in ("rows", "log_interactions", "log_outcomes", "log_dead")),
    )
    assert b'cardwire_retention_rows_total{table="log_dead"} 5.0' in fleet.meter.metrics.exposition()


async def test_an_absent_log_is_told_of_once() -> None:
    """The ledger is swept all the same, and the log when it is back."""

    async def away(fleet: Fleet) -> None:
        fleet.log.away = True
        fleet.log.old[TOPICS.dead] = 1
        fleet.start("one")
        await fleet.passes(10 * LOOK_S)
        assert 0 == fleet.ledger.old
        fleet.log.away = False
        await fleet.passes(2 * LOOK_S)

    fleet, lines = await told(away)
    assert ["retention_waiting", "retention_ran"] == [line["event"] for line in lines]
    assert 0 == fleet.log.old[TOPICS.dead]
