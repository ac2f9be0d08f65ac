"""
Calls that may or may not have happened: lost replies, dead processes, frozen ones.

Whatever happened to a call, the simulator holds exactly one message for each effect that sends one, and in the end
every card and chat shows the newest state.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from shared.clock import ManualClock
from shared.core.errors import LedgerUnavailable
from shared.core.events import EffectOutcome
from shared.core.ids import AppId, TenantKey
from shared.feishu.openapi import ApiReply, ApiRequest
from simulator.faults import FaultKind, FaultRule
from tests.scenario.handlers import BLANK, COUNT, PATCH, RENAME, SEND, app_of_stories
from tests.support.world import Stack, World, clock_of_now, world
from worker.app import RunningWorker
from worker.ledger.leased import Lease
from worker.performing.lease import LEASE_MS
from worker.platform.client import HttpPlatform, Platform
from worker.settings import WorkerSettings

LEASE_S = LEASE_MS / 1000
HOUR_S = 3_600

TEXT = {"action": "text", "text": "hello"}
CARD = {"action": "card", "card": BLANK}
NAME = {"action": "rename", "name": "跟进中"}

EVERY_EFFECT = pytest.mark.parametrize(
    ("value", "api"),
    [
        pytest.param(COUNT, PATCH, id="UpdateCard"),
        pytest.param(NAME, RENAME, id="RenameChat"),
        pytest.param(TEXT, SEND, id="SendText"),
        pytest.param(CARD, SEND, id="SendCard"),
    ],
)
EVERY_SEND = pytest.mark.parametrize("value", [pytest.param(TEXT, id="SendText"), pytest.param(CARD, id="SendCard")])


class NeverSettles:
    """A ledger's stand-in whose process ends right before it stores what became of its first call."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind
        self._is_gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    async def settle(self, *_: Any) -> None:
        self._is_gone = True
        raise RuntimeError("the process is gone")

    async def lease(self, owner: str, *, limit: int, ttl_ms: int) -> Lease:
        if self._is_gone:
            raise LedgerUnavailable("the process is gone")
        lease: Lease = await self._behind.lease(owner, limit=limit, ttl_ms=ttl_ms)
        return lease


class Frozen(Platform):
    """
    A process that freezes in its first call and goes on when it is told to: its platform, and its ledger's stand-in.

    Attributes:
        since: Set once it is frozen.
        until: Set it, and the process goes on.
    """

    def __init__(self, platform: Platform, ledger: Any) -> None:
        self._platform, self._ledger = platform, ledger
        self.since = asyncio.Event()
        self.until = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def call(self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest) -> ApiReply:
        """Freeze, then make the call."""
        self.since.set()
        await self.until.wait()
        return await self._platform.call(app_id, tenant_key, request)

    async def lease(self, owner: str, *, limit: int, ttl_ms: int) -> Lease:
        """Take no more targets while frozen."""
        if self.since.is_set():
            await self.until.wait()
        lease: Lease = await self._ledger.lease(owner, limit=limit, ttl_ms=ttl_ms)
        return lease


@asynccontextmanager
async def story(stack: Stack, *, workers: int = 1) -> AsyncIterator[tuple[World, str]]:
    """Run a world on one manual clock with one card in it."""
    async with world(stack, app_of_stories(), clock=clock_of_now(), workers=workers) as running:
        yield running, running.simulator.put_card(await running.chat(), BLANK)


def clock_of(running: World) -> ManualClock:
    """Return the world's clock."""
    assert isinstance(running.clock, ManualClock)
    return running.clock


async def one_fault(running: World, api: str, kind: FaultKind) -> None:
    """Let a fault befall calls of one API until the first of them was hit."""
    paths = {
        PATCH: "/open-apis/im/v1/messages/*",
        SEND: "/open-apis/im/v1/messages",
        RENAME: "/open-apis/im/v1/chats/*",
    }
    running.simulator.faults.set(1, [FaultRule(path=paths[api], kind=kind, p=1.0)])
    await running.until(lambda: any(call.fault == kind for call in running.calls(api)))
    running.simulator.faults.set(1, [])


def seen(running: World, message_id: str) -> dict[str, Any]:
    """Return what people have before their eyes: number on the card, name of its chat, other messages in it."""
    platform = running.simulator.platform
    message = platform.message(message_id)
    chat = platform.chat(message.chat_id)
    return {
        "count": count_on(message.card.text) if message.card else 0,
        "name": chat.name,
        "others": len(chat.message_ids) - 1,
    }


def count_on(card: str) -> int:
    """Return the number that a card shows; 0 on a blank one."""
    return int(card.partition('"n":')[2].partition(",")[0] or 0)


def wanted(value: object) -> dict[str, Any]:
    """Return what people should see after one click with this value."""
    return {
        "count": 1 if value == COUNT else 0,
        "name": "跟进中" if value == NAME else "支付告警",
        "others": 1 if value in (TEXT, CARD) else 0,
    }


async def last_of(running: World) -> EffectOutcome:
    """Return the last outcome of the only effect."""
    return max(await running.outcomes(), key=lambda outcome: outcome.k)


@EVERY_EFFECT
async def test_a_reply_that_is_lost_after_the_deed_does_not_double_it(
    either_ledger: Stack, value: object, api: str
) -> None:
    """The call is repeated: a card and a name show the same again, a send is one message by its uuid."""
    async with story(either_ledger) as (running, message_id):
        await running.simulator.click(message_id, value)
        await one_fault(running, api, "drop_after")
        await running.quiet()
        assert wanted(value) == seen(running, message_id)
        assert len(running.calls(api)) >= 2
        last = await last_of(running)
        assert ("succeeded", True) == (last.status, last.final)
        await running.check()


@EVERY_EFFECT
async def test_a_process_that_ends_between_call_and_settlement_leaves_one_deed(
    either_ledger: Stack, value: object, api: str
) -> None:
    """Its lease ends, another worker performs the effect again under the same key."""
    async with story(either_ledger, workers=0) as (running, message_id):
        async with running.worker(ledger=NeverSettles(running.ledger)) as dying:
            await running.simulator.click(message_id, value)
            await running.until(lambda: len(running.calls(api)) == 1)
            assert isinstance(await dying.failed(), RuntimeError)
        clock_of(running).advance(LEASE_S)
        async with running.worker():
            await running.quiet()
        assert wanted(value) == seen(running, message_id)
        assert len(running.calls(api)) >= 2
        last = await last_of(running)
        assert ("succeeded", True) == (last.status, last.final)
        await running.check()


@EVERY_SEND
async def test_a_send_begun_more_than_an_hour_ago_is_not_repeated(either_ledger: Stack, value: object) -> None:
    """The platform would take a repetition for a second message: what became of the first stays unknown."""
    async with story(either_ledger, workers=0) as (running, message_id):
        async with running.worker(ledger=NeverSettles(running.ledger)) as dying:
            await running.simulator.click(message_id, value)
            await running.until(lambda: len(running.calls(SEND)) == 1)
            await dying.failed()
        clock_of(running).advance(HOUR_S)
        async with running.worker():
            await running.quiet()
        assert 1 == len(running.calls(SEND))
        assert wanted(value) == seen(running, message_id)
        last = await last_of(running)
        assert ("unknown", True, "too_late_to_repeat") == (last.status, last.final, last.reason)
        await running.check()


async def test_a_send_refused_for_an_hour_is_not_repeated_after_it(either_ledger: Stack) -> None:
    """Internal errors may hide a deed: within the hour it is tried again and again, then no more."""
    async with story(either_ledger) as (running, message_id):
        running.simulator.faults.set(1, [FaultRule(path="/open-apis/im/v1/messages", kind="500", p=1.0)])
        await running.simulator.click(message_id, TEXT)
        await running.until(lambda: len(running.calls(SEND)) >= 2)
        clock_of(running).advance(HOUR_S)
        tried = len(running.calls(SEND))
        running.simulator.faults.set(1, [])
        await running.quiet()
        assert tried == len(running.calls(SEND))
        assert "unknown" == (await last_of(running)).status
        assert 0 == seen(running, message_id)["others"]
        await running.check()


@pytest.mark.parametrize(
    ("value", "api"), [pytest.param(COUNT, PATCH, id="UpdateCard"), pytest.param(NAME, RENAME, id="RenameChat")]
)
async def test_after_an_ambiguous_update_the_newest_state_is_sent_once_more(
    either_ledger: Stack, value: object, api: str
) -> None:
    """The lost call may still arrive behind a newer one, so the newest is repeated when it no longer can."""
    async with story(either_ledger) as (running, message_id):
        await running.simulator.click(message_id, value)
        await one_fault(running, api, "drop_before")
        await running.quiet()
        calls = running.calls(api)
        assert ["drop_before", None, None] == [call.fault for call in calls]
        assert calls[-1].at_ms - calls[0].at_ms >= 5_000
        assert wanted(value) == seen(running, message_id)
        await running.check()


async def test_a_frozen_pumps_stale_update_is_painted_over(either_ledger: Stack) -> None:
    """It held a call for longer than its lease; meanwhile the card moved on. Its call lands last, and is overtaken."""
    async with story(either_ledger, workers=0) as (running, message_id), frozen(running) as process:
        await running.simulator.click(message_id, COUNT)
        await running.until(process.since.is_set)
        async with awake(running):
            clock_of(running).advance(LEASE_S)
            await running.until(lambda: counts(running, message_id) == [0, 1])
            await running.simulator.click(message_id, COUNT)
            await running.until(lambda: counts(running, message_id) == [0, 1, 2])
            process.until.set()
            await running.until(lambda: counts(running, message_id) == [0, 1, 2, 1, 2])
            await running.quiet()
            assert [0, 1, 2, 1, 2] == counts(running, message_id)
            await running.check()


@EVERY_SEND
async def test_a_frozen_pumps_stale_send_makes_no_second_message(either_ledger: Stack, value: object) -> None:
    """The other pump has sent it under the same key."""
    async with story(either_ledger, workers=0) as (running, message_id), frozen(running) as process:
        await running.simulator.click(message_id, value)
        await running.until(process.since.is_set)
        async with awake(running):
            clock_of(running).advance(LEASE_S)
            await running.until(lambda: seen(running, message_id)["others"] == 1)
            process.until.set()
            await running.until(lambda: len(running.calls(SEND)) == 2)
            await running.quiet()
            assert wanted(value) == seen(running, message_id)
            await running.check()


def counts(running: World, message_id: str) -> list[int]:
    """Return every number that the card has shown."""
    return [count_on(version.card) for version in running.simulator.platform.message(message_id).versions]


@asynccontextmanager
async def frozen(running: World) -> AsyncIterator[Frozen]:
    """Run a worker that freezes in its first call; it goes on at the end at the latest."""
    settings = WorkerSettings.load({**running.env, "LARK_DOMAIN": running.simulator.url})
    async with HttpPlatform.of(settings, clock_of(running)) as platform:
        process = Frozen(platform, running.ledger)
        async with running.worker(platform=process, ledger=process):
            try:
                yield process
            finally:
                process.until.set()


def awake(running: World) -> AbstractAsyncContextManager[RunningWorker]:
    """Run another worker beside it, in a group of its own: it need not wait for partitions."""
    return running.worker({"CARDWIRE_GROUP": "awake"})
