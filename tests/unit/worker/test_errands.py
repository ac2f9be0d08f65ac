"""Calls of users' functions, as the pump makes them: leases, room, what is tried again and what is told."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
import pytest

from shared.app.app import App
from shared.clock import ManualClock
from shared.core.effects import Call, Origin
from shared.core.errors import LedgerUnavailable
from shared.core.events import CallReturned
from shared.core.ids import EventId, Target
from shared.core.json_text import EpochMs, JsonText
from shared.eventlog.port import EventLog, Topics
from shared.feishu.limits import DAY_MS, Limits
from shared.observability.metrics import CALLS_UNDER_WAY, PUT_OFF, STUCK_CALLS
from tests.unit.worker.test_answered import APP, CARD, NOW, head
from worker.alarm import Alarm
from worker.calling.came import Broke, Came
from worker.calling.runner import Runner, TooManyHang
from worker.ledger.leased import EffectKey, Lease, Leased, TargetKey
from worker.ledger.port import PerformingLedger, RelayingLedger, SettlingLedger
from worker.meter import Meter
from worker.performing.choose import choose
from worker.performing.errands import CALLS, Errands
from worker.performing.job import Errand
from worker.performing.lease import LEASE_MS
from worker.performing.ports import Performing
from worker.performing.pump import Pump
from worker.performing.reporting import Reporting
from worker.performing.settle import Settler
from worker.performing.throttle import Throttle
from worker.performing.turn import Result, Turn
from worker.platform.client import Platform
from worker.relay import Relay

TARGET = Target("call:e1/1")


class Leases:
    """A ledger that prolongs leases until it is away, or the lease is lost."""

    def __init__(self) -> None:
        self.prolonged: list[tuple[str, TargetKey, EpochMs, int]] = []
        self.is_away = False
        self.is_ours = True
        self.asked = 0
        self.resumed: list[TargetKey] = []
        self.asked_to_resume = 0

    async def lease(self, owner: str, *, limit: int, ttl_ms: int) -> Lease:
        """Lease nothing."""
        self.asked += 1
        return Lease(now=NOW, targets=[], next_due=None)

    async def resume(self, keys: Sequence[TargetKey]) -> None:
        """Note them."""
        self.asked_to_resume += 1
        if self.is_away:
            raise LedgerUnavailable("away")
        self.resumed += keys

    async def payloads(self, keys: Sequence[EffectKey]) -> Mapping[EffectKey, bytes]:
        """Return none: nothing is leased."""
        return {}

    async def prolong(self, owner: str, key: TargetKey, leased_at: EpochMs, *, ttl_ms: int) -> bool:
        """Note it."""
        if self.is_away:
            raise LedgerUnavailable("away")
        self.prolonged.append((owner, key, leased_at, ttl_ms))
        return self.is_ours


class Scripted:
    """A runner whose calls come to what the test says, when it says so."""

    def __init__(self) -> None:
        self.came: asyncio.Future[Came | Broke] = asyncio.get_running_loop().create_future()
        self.calls: list[tuple[str, str]] = []
        self.stuck = 0
        self.hang: TooManyHang | None = None

    def too_many(self) -> TooManyHang | None:
        """Return what the test says."""
        return self.hang

    async def call(self, call: Any, args: JsonText, key: str) -> Came | Broke:
        """Wait for what the test says."""
        self.calls.append((call.name, key))
        return await asyncio.shield(self.came)

    def close(self) -> None:
        """Nothing to end."""


class Desk:
    """Errands with everything around them faked."""

    def __init__(self, *, attempts: int = 2) -> None:
        app = App()

        @app.call("publish", attempts=attempts)
        async def publish(args: Any, *, idempotency_key: str) -> None: ...

        self.clock, self.leases, self.runner = ManualClock(NOW), Leases(), Scripted()
        self.put: list[Result] = []
        self.meter = Meter()
        self.performing = Performing(
            ledger=cast("PerformingLedger", self.leases),
            owner="pump",
            clock=self.clock,
            alarm=Alarm(self.clock),
            meter=self.meter,
            chance=lambda: 0.5,
        )
        self.errands = Errands(
            self.performing, runner=cast("Runner", self.runner), apps={APP: app}, put=self.put.append, finish_s=0.01
        )

    async def result(self) -> Result:
        """Return what the only errand came to."""
        await soon(lambda: bool(self.put))
        (result,) = self.put
        return result


async def soon(condition: Callable[[], bool]) -> None:
    """Let others run until something holds."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come about")


def errand(name: str = "publish", **changes: Any) -> Errand:
    """Return a call that is leased."""
    given: dict[str, Any] = {"index": 1, "kind": "Call", "target": TARGET, "coalesce": None, **changes}
    leased = Leased(key=TargetKey(APP, given["target"]), leased_at=NOW, heads=[head(**given)])
    turn = Turn(leased=leased, choice=choose(leased, NOW), topics=Topics())
    effect = Call(name, "[1]", origin=Origin(event_id=EventId("e0")))
    return Errand(turn=turn, head=leased.heads[0], effect=effect)


def told(result: Result) -> list[CallReturned]:
    """Return what comes back of a result."""
    records = [record for record in result.settlement.outbox if record.topic == Topics().interactions]
    return [msgspec.json.decode(record.value, type=CallReturned) for record in records]


async def test_a_long_call_keeps_its_lease_and_its_result_is_told_with_its_end() -> None:
    """Prolonged three times within each lease, also when the ledger was away in between; then no more."""
    desk = Desk()
    assert desk.errands.start(errand(), NOW) is None
    for number in range(1, 4):
        desk.leases.is_away = number == 2
        await soon(lambda: desk.clock.next_wake() is not None)
        desk.clock.advance(LEASE_MS / 3000)
        await soon(lambda: desk.clock.next_wake() is not None)
    assert [("pump", TargetKey(APP, TARGET), NOW, LEASE_MS)] * 2 == desk.leases.prolonged
    desk.runner.came.set_result(Came(value=JsonText("7")))
    result = await desk.result()
    (fact,) = told(result)
    assert ("e1/1/returned", "e0", CARD, "7", None) == (
        fact.event_id, fact.origin, fact.message_id, fact.value, fact.error,
    )  # fmt: skip
    assert [("succeeded", 1)] == [(change.status, change.attempts) for change in result.settlement.changes]
    await soon(lambda: desk.clock.next_wake() is None)


async def test_a_lease_that_was_lost_is_not_asked_for_again() -> None:
    """What the call brings is dropped when it is settled: somebody else calls, with the same key."""
    desk = Desk()
    desk.leases.is_ours = False
    desk.errands.start(errand(), NOW)
    await soon(lambda: desk.clock.next_wake() is not None)
    desk.clock.advance(LEASE_MS / 3000)
    await soon(lambda: bool(desk.leases.prolonged))
    for _ in range(10):
        await asyncio.sleep(0)
    assert desk.clock.next_wake() is None
    desk.runner.came.set_result(Came(value=JsonText("7")))
    assert NOW == (await desk.result()).settlement.leased_at


@pytest.mark.parametrize(
    ("broke", "attempts", "status", "comes_back"),
    [
        (Broke(reason="raised", text="ValueError in publish"), 0, "pending", None),
        (Broke(reason="raised", text="ValueError in publish"), 1, "failed", "ValueError in publish"),
        (Broke(reason="refused", text="no", is_final=True), 0, "failed", "no"),
    ],
    ids=["tried again", "for the last time", "given up by itself"],
)
async def test_a_failure_is_tried_again_and_then_told(
    broke: Broke, attempts: int, status: str, comes_back: str | None
) -> None:
    """As often as the function's author says; the wait is drawn from the usual formula."""
    desk = Desk(attempts=2)
    desk.errands.start(errand(attempts=attempts, k=attempts), NOW)
    desk.runner.came.set_result(broke)
    result = await desk.result()
    (change,) = result.settlement.changes
    assert (status, attempts + 1) == (change.status, change.attempts)
    assert (250 if status == "pending" else None) == change.retry_in_ms
    assert ([] if comes_back is None else [comes_back]) == [fact.error for fact in told(result)]


@pytest.mark.parametrize(
    ("decided_at", "redriven_at", "status"),
    [(NOW, None, "pending"), (NOW - DAY_MS, None, "failed"), (NOW - DAY_MS, NOW - 1_000, "pending")],
)
async def test_a_function_of_another_version_is_waited_for_a_day(
    decided_at: EpochMs, redriven_at: EpochMs | None, status: str
) -> None:
    """A worker that is not upgraded yet uses up no attempt."""
    desk = Desk()
    desk.errands.start(errand("unknown", decided_at=decided_at, redriven_at=redriven_at), NOW)
    result = await desk.result()
    assert [(status, 0)] == [(change.status, change.attempts) for change in result.settlement.changes]
    assert [] == desk.runner.calls
    assert int(status == "failed") == len(told(result))


async def test_without_room_a_call_is_put_off_and_called_up_when_there_is_some() -> None:
    """Calls take no room from the platform's, and have a bound of their own."""
    desk = Desk()
    for _ in range(CALLS):
        assert desk.errands.start(errand(), NOW) is None
    put_off = desk.errands.start(errand(target=Target("call:late/1")), NOW)
    assert put_off is not None
    assert (500, []) == (put_off.settlement.pace_ms, list(put_off.settlement.changes))
    assert [] == desk.leases.resumed
    metrics = desk.meter.metrics
    assert (1, CALLS) == (metrics.value(PUT_OFF, "calls_full"), metrics.value(CALLS_UNDER_WAY, "own"))
    desk.runner.came.set_result(Came(value=JsonText("null")))
    await soon(lambda: len(desk.put) == CALLS)
    await soon(lambda: metrics.value(CALLS_UNDER_WAY, "own") == 0)
    await soon(lambda: desk.leases.asked_to_resume == 1)
    assert [TargetKey(APP, Target("call:late/1"))] == desk.leases.resumed


async def test_calls_that_were_called_up_while_the_ledger_is_away_come_by_themselves() -> None:
    """They were put off for a time, which ends; nothing breaks."""
    desk = Desk()
    for number in range(CALLS + 1):
        desk.errands.start(errand(target=Target(f"call:e{number}/1")), NOW)
    desk.leases.is_away = True
    desk.runner.came.set_result(Came(value=JsonText("null")))
    await soon(lambda: len(desk.put) == CALLS)
    await soon(lambda: desk.leases.asked_to_resume == 1)
    assert [] == desk.leases.resumed
    desk.leases.is_away = False
    assert desk.errands.start(errand(target=Target(f"call:e{CALLS}/1")), NOW) is None
    await desk.errands.finish()


@pytest.mark.parametrize(("attempts", "status"), [(0, "pending"), (1, "failed")])
async def test_what_nobody_foresaw_of_a_call_counts_as_an_attempt(attempts: int, status: str) -> None:
    """A call that always ends so is not made for ever, and nothing of the exception's words is told."""
    desk = Desk(attempts=2)
    desk.errands.start(errand(attempts=attempts, k=attempts), NOW)
    desk.runner.came.set_exception(RuntimeError("words"))
    result = await desk.result()
    (change,) = result.settlement.changes
    assert (status, attempts + 1) == (change.status, change.attempts)
    assert ([] if status == "pending" else ["RuntimeError around publish"]) == [fact.error for fact in told(result)]


async def test_where_too_many_hang_a_call_waits_and_nothing_counts() -> None:
    """Neither as an attempt nor as a failure: the process is about to start afresh, and this function did nothing."""
    desk = Desk(attempts=1)
    desk.runner.hang = TooManyHang("9 threads hang")
    put_off = desk.errands.start(errand(decided_at=NOW - 2 * DAY_MS), NOW)
    assert put_off is not None
    assert (500, [], []) == (put_off.settlement.pace_ms, list(put_off.settlement.changes), put_off.settlement.outbox)
    assert [] == desk.runner.calls
    desk.runner.hang = None
    assert desk.errands.start(errand(), NOW) is None
    desk.runner.came.set_result(Came(value=JsonText("null")))
    await desk.result()


async def test_a_pump_ends_when_too_many_functions_hang() -> None:
    """It leases nothing more, lets end what is under way, and says why: whoever runs the process starts it afresh."""
    desk = Desk()
    settler = Settler(
        ledger=cast("SettlingLedger", desk.leases), owner="pump", clock=desk.clock, settled=lambda _: None
    )
    relay = Relay(
        event_log=cast("EventLog", None),
        ledger=cast("RelayingLedger", desk.leases),
        inputs=Topics().interactions,
        owner="pump",
        clock=desk.clock,
        meter=desk.meter,
    )
    pump = Pump(
        desk.performing,
        platform=cast("Platform", None),
        throttle=Throttle(Limits()),
        errands=desk.errands,
        reporting=Reporting(settler, desk.meter),
        relay=relay,
        topics=Topics(),
        concurrency=4,
        settle_ms=0,
    )
    running = asyncio.ensure_future(pump.run())
    await soon(lambda: desk.leases.asked == 1)
    assert not running.done()
    desk.runner.hang = TooManyHang("9 threads hang")
    await soon(lambda: desk.clock.next_wake() is not None)
    desk.clock.advance(1)
    await soon(running.done)
    assert desk.runner.hang is running.exception()
    assert desk.leases.asked <= 2


async def test_an_operator_sees_how_many_functions_hang() -> None:
    """Before there are so many that no call is made."""
    desk = Desk()
    assert 0 == desk.meter.metrics.value(STUCK_CALLS)
    desk.runner.stuck = 3
    assert 3 == desk.meter.metrics.value(STUCK_CALLS)


async def test_a_worker_that_stops_gives_back_what_does_not_end() -> None:
    """At once, and unchanged: the next worker calls again, with the same key."""
    desk = Desk()
    desk.errands.start(errand(), NOW)
    await soon(lambda: bool(desk.runner.calls))
    await desk.errands.finish()
    result = await desk.result()
    assert ([], 0) == (list(result.settlement.changes), result.settlement.pace_ms)
    desk.runner.came.cancel()
