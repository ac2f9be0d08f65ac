"""
Every effect, and a process that ends at every step of performing it.

Whatever the step, people see in the end what they would have seen without it, once: a card, a name, one message. An
ephemeral card is the exception, for the platform has no key to tell a second call by: it is there at least once.
"""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.app.subject import CallResult
from shared.clock import ManualClock
from shared.core.answers import Preview
from shared.core.decision import Card, Decision
from shared.core.effects import (
    DeleteEphemeral,
    Effect,
    RefreshPreview,
    SendEphemeral,
    SendText,
)
from shared.core.errors import LedgerUnavailable
from shared.core.ids import AppId, MessageId, OpenId, TenantKey
from shared.feishu.openapi import ApiReply, ApiRequest
from simulator.callbacks import Person
from tests.scenario.kinds import BROUGHT, KINDS, SHARED, Kind
from tests.support.world import World, clock_of_now, files, world
from worker.performing.lease import LEASE_MS
from worker.platform.client import HttpPlatform, Platform, Unreachable
from worker.settings import WorkerSettings

pytestmark = pytest.mark.slow

LEASE_S: Final = LEASE_MS / 1000
PUMPS: Final = frozenset({"lease", "payloads", "tokens", "reserve", "begun", "settle"})
"""The steps that a pump takes with the ledger."""

When = Literal["before", "after"]


def points() -> Iterator[Any]:
    """Return each kind with each step at which its process may end, before it or right after it."""
    for known_as, kind in KINDS.items():
        for step in ("lease", "payloads", "reserve", *kind.steps, "call", "settle"):
            # What only reads or takes a lease leaves the same behind, however far it came.
            whens: tuple[When, ...] = ("before", "after") if step in {"begun", "call", "settle"} else ("after",)
            for when in whens:
                yield pytest.param(kind, step, when, id=f"{known_as}, {when} {step}")


class Mortal(Platform):
    """A worker's ledger and platform, of which one step is its last."""

    def __init__(self, ledger: Any, platform: Platform, step: str, when: When) -> None:
        self._ledger, self._platform, self._step, self._when = ledger, platform, step, when
        self.is_gone = False

    def __getattr__(self, step: str) -> Any:
        found = getattr(self._ledger, step)
        if step not in PUMPS:
            return found  # What others of its process do is theirs.

        async def take(*args: Any, **named: Any) -> Any:
            if self.is_gone:
                raise LedgerUnavailable("the process is gone")
            if step == self._step and self._when == "before":
                raise self._end()
            answer = await found(*args, **named)
            if step == self._step and (step != "lease" or answer.targets):
                raise self._end()
            return answer

        return take

    async def call(self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest) -> ApiReply:
        """Call the platform, if the process comes that far."""
        if self._step == "call" and self._when == "before" and not self.is_gone:
            raise self._end()
        reply = await self._platform.call(app_id, tenant_key, request)
        if self._step == "call" and not self.is_gone:
            raise self._end()
        return reply

    def _end(self) -> RuntimeError:
        self.is_gone = True
        return RuntimeError("the process is gone")


def app_wanting(kind: Kind) -> App:
    """Return handlers that want the effect, and what was to be before."""
    app = App()

    @app.on_action("first")
    def first(click: Interaction, card: Card | None) -> list[Effect]:
        return list(kind.first)

    @app.on_action("ephemeral")
    def ephemeral(click: Interaction, card: Card | None) -> list[Effect]:
        return [SendEphemeral(SHARED)]

    @app.on_action("wanted")
    def wanted(click: Interaction, card: Card | None) -> list[Effect]:
        return [kind.effect]

    @app.call(BROUGHT)
    async def bring(args: Any, *, idempotency_key: str) -> str:
        return idempotency_key

    @app.on_result(BROUGHT)
    def brought(result: CallResult, card: Card | None) -> list[Effect]:
        return [SendText("came")]

    return app


async def clicked_card(running: World, kind: Kind) -> str:
    """Return the card to click, with everything done in peace that has to be before."""
    message_id = running.simulator.put_card(await running.chat(), kind.card)
    if not kind.first and not isinstance(kind.effect, DeleteEphemeral):
        return message_id
    action = "first" if kind.first else "ephemeral"
    async with running.worker():
        await running.simulator.click(message_id, {"action": action})
        await running.quiet()
    if kind.first:
        return message_id
    (outcome,) = await running.outcomes()
    return MessageId(outcome.sent_message_id or "")


@pytest.mark.parametrize(("kind", "step", "when"), list(points()))
async def test_a_process_that_ends_at_any_step_leaves_one_deed(
    tmp_path: Path, kind: Kind, step: str, when: When
) -> None:
    """Its lease ends, and another worker performs the effect, or finds it performed."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_wanting(kind), clock=clock, workers=0) as running:
        message_id = await clicked_card(running, kind)
        await dies(running, clock, step, when, lambda: running.simulator.click(message_id, {"action": "wanted"}))
        clock.advance(LEASE_S)
        async with running.worker():
            await running.quiet()
        seen: Any = kind.seen(running, message_id)
        assert seen >= kind.expected if kind.at_least else kind.expected == seen
        last = max((await running.outcomes()), key=lambda outcome: (outcome.finished_at, outcome.k))
        assert ("succeeded", True) == (last.status, last.final)
        await running.check()


async def dies(
    running: World, clock: ManualClock, step: str, when: When, wanted: Callable[[], Awaitable[object]]
) -> None:
    """Run a worker until it ends at this step of performing what somebody's click, or look at a link, wants."""
    settings = WorkerSettings.load({**running.env, "LARK_DOMAIN": running.simulator.url})
    async with HttpPlatform.of(settings, clock) as platform:
        mortal = Mortal(running.ledger, platform, step, when)
        async with running.worker(ledger=mortal, platform=mortal):
            await wanted()
            await running.until(lambda: mortal.is_gone)


class Lossy(Platform):
    """A way to the platform on which the first call is lost, or its reply."""

    def __init__(self, platform: Platform, when: When) -> None:
        self._platform, self._when = platform, when
        self.lost = 0

    async def call(self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest) -> ApiReply:
        """Make the call, unless it is lost."""
        is_first, self.lost = self.lost == 0, 1
        if is_first and self._when == "before":
            raise Unreachable("lost", sent=True)
        reply = await self._platform.call(app_id, tenant_key, request)
        if is_first:
            raise Unreachable("lost", sent=True)
        return reply


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))
async def test_a_call_that_is_lost_or_whose_reply_is_leaves_one_deed(tmp_path: Path, kind: Kind, when: When) -> None:
    """Nobody can tell them apart, so it is made again: under the key, the right or the sequence that makes it one."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_wanting(kind), clock=clock, workers=0) as running:
        message_id = await clicked_card(running, kind)
        settings = WorkerSettings.load({**running.env, "LARK_DOMAIN": running.simulator.url})
        async with HttpPlatform.of(settings, clock) as platform:
            lossy = Lossy(platform, when)
            async with running.worker(platform=running.busy.watch(lossy)):
                await running.simulator.click(message_id, {"action": "wanted"})
                await running.until(lambda: lossy.lost > 0)
                await running.quiet()
        seen: Any = kind.seen(running, message_id)
        assert seen >= kind.expected if kind.at_least else kind.expected == seen
        last = max((await running.outcomes()), key=lambda outcome: (outcome.finished_at, outcome.k))
        assert ("succeeded", True) == (last.status, last.final)
        await running.check()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_refresh_whose_call_or_reply_is_lost_is_made_again(tmp_path: Path, when: When) -> None:
    """Not before its preview may be refreshed again."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_of_a_link(), clock=clock, workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), SHARED)
        settings = WorkerSettings.load({**running.env, "LARK_DOMAIN": running.simulator.url})
        async with HttpPlatform.of(settings, clock) as platform:
            lossy = Lossy(platform, when)
            async with running.worker(platform=running.busy.watch(lossy)):
                person = Person(open_id=OpenId("ou_ada"))
                await running.simulator.deliverer.preview("https://a.example/1", operator=person, message_id=message_id)
                await running.until(lambda: lossy.lost > 0)
                await running.quiet()
        assert {0} == {call.code for call in running.calls("im.v2.url_preview.batch_update")}
        last = max((await running.outcomes()), key=lambda outcome: (outcome.finished_at, outcome.k))
        assert ("succeeded", True) == (last.status, last.final)
        await running.check()


@pytest.mark.parametrize(
    ("step", "when"),
    [
        ("lease", "after"), ("payloads", "after"), ("tokens", "after"), ("reserve", "after"), ("call", "before"),
        ("call", "after"), ("settle", "before"), ("settle", "after"),
    ],
)  # fmt: skip
async def test_a_process_that_ends_at_any_step_of_a_refresh_leaves_a_refreshed_link(
    tmp_path: Path, step: str, when: When
) -> None:
    """Made again, if nobody knows that it was made: clients only ask once more, and not too soon."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_of_a_link(), clock=clock, workers=0) as running:
        message_id = running.simulator.put_card(await running.chat(), SHARED)
        person = Person(open_id=OpenId("ou_ada"))
        look = partial(running.simulator.deliverer.preview, "https://a.example/1", operator=person)
        await dies(running, clock, step, when, lambda: look(message_id=message_id))
        clock.advance(LEASE_S)
        async with running.worker():
            await running.quiet()
        assert {0} == {call.code for call in running.calls("im.v2.url_preview.batch_update")}
        assert "RefreshPreview succeeded" in [f"{one.kind} {one.status}" for one in await running.outcomes()]
        await running.check()


def app_of_a_link() -> App:
    """Return a handler that has a link's preview refreshed, once."""
    app = App()

    @app.on_link_preview("https://a.example/", answer=Preview("告警"))
    def previewed(link: Interaction, card: Card | None) -> Decision:
        return Decision(effects=[] if card and card.state else [RefreshPreview()], state="refreshed")

    return app
