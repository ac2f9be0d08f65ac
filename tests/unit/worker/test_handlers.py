"""User code in a thread, under deadlines: real threads, short deadlines."""

import asyncio
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import Effect, SendText
from shared.core.events import Action, InteractionReceived
from shared.core.folded import ROUTING
from shared.core.ids import AppId
from tests.support.facts import APP, NOW, TOPICS, click, mark, records
from worker.deciding.batch import Batch, take
from worker.deciding.decide import decide
from worker.deciding.draft import Draft
from worker.deciding.grant import UNKNOWN_APP
from worker.deciding.handlers import STUCK, HandlerThreads, TooManyStuck, Undecided
from worker.deciding.judge import Call
from worker.deciding.suspension import FIRST_PAUSE_MS, MISSES
from worker.ledger.decided import EVERY_APP, HandlerKey, Known, Suspension

DEADLINE_S = 0.05


class Hanging:
    """An app whose handler hangs for events whose id begins with ``hang`` until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.called: list[str] = []
        self.app = App()

        @self.app.on_action("follow_up", handler_name="slow")
        def slow(given: Interaction, card: Card | None) -> Decision | list[Effect]:
            self.called.append(given.event_id)
            if given.event_id.startswith("hang"):
                self.go_on.wait(30)
            return Decision(state=(card.state if card else 0) + 1, effects=[SendText("seen")])

    def deciding(self, batch: Batch, call: Call) -> Draft:
        """Decide the batch."""
        return decide(batch, Known(now=NOW), {APP: self.app}, call)


def results(draft: Draft) -> list[tuple[str, str]]:
    """Return event ids and results, in order."""
    return [(claim.event_id, claim.result) for claim in draft.write({0: 0}, TOPICS, settle_ms=300).claims]


async def test_a_hanging_handler_costs_its_own_event_and_nothing_else() -> None:
    """What was decided before it is kept, nobody is called twice, the rest follows in the next batch."""
    world = Hanging()
    threads = HandlerThreads(handler_s=DEADLINE_S, batch_s=10)
    batch = take({0: records([click("e1"), click("hang"), click("e3")])})
    try:
        first = await threads.run(lambda call: world.deciding(batch, call))
        assert [("e1", "decided"), ("hang", "failed")] == results(first)
        rest = Batch(taken=batch.taken[first.taken :])
        second = await threads.run(lambda call: world.deciding(rest, call))
        assert [("e3", "decided")] == results(second)
        assert ["e1", "hang", "e3"] == world.called
        threads.check()
        assert 1 == threads.stuck
    finally:
        world.go_on.set()
        threads.close()


async def test_what_a_left_behind_handler_returns_later_changes_nothing() -> None:
    """The abandoned thread ends without a trace."""
    world = Hanging()
    threads = HandlerThreads(handler_s=DEADLINE_S, batch_s=10)
    draft = await threads.run(lambda call: world.deciding(take({0: records([click("hang")])}), call))
    before = results(draft)
    world.go_on.set()
    while threads.stuck or threading.active_count() > 2:
        await asyncio.sleep(0.001)
        threads.check()
        threads.close()
        if all(not thread.name.startswith("cardwire-handlers") for thread in threading.enumerate()):
            break
    assert before == results(draft) == [("hang", "failed")]


async def test_more_than_eight_hanging_threads_end_the_process_after_the_commit() -> None:
    """The check is made when nothing is at stake."""
    world = Hanging()
    threads = HandlerThreads(handler_s=0.01, batch_s=10)
    try:
        for at in range(STUCK + 1):
            batch = take({0: records([click(f"hang{at}")])})
            await threads.run(lambda call, batch=batch: world.deciding(batch, call))  # type: ignore[misc]
        with pytest.raises(TooManyStuck):
            threads.check()
    finally:
        world.go_on.set()
        threads.close()


class HangingRule:
    """An app with a predicate for inputs that hangs for events whose id begins with ``hang``; buttons go by a rule."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked: list[str] = []
        self.threads = HandlerThreads(handler_s=DEADLINE_S, batch_s=10)
        self.known = Known(now=NOW)
        self.app = App()
        self.app.on_action(self._is_meant, tag="input", handler_name="typed")(lambda click, card: [])
        self.app.on_action("follow_up", handler_name="follow_up")(lambda click, card: [])

    def _is_meant(self, given: Interaction) -> bool:
        self.asked.append(given.event_id)
        if given.event_id.startswith("hang"):
            self.go_on.wait(30)
        return True

    async def decide(self, *events: InteractionReceived, at: int = NOW) -> list[tuple[str, str | None]]:
        """Decide events, in as many batches as it takes, and return what became of each and why."""
        became, self.known = await decided(self.threads, replace(self.known, now=at), {APP: self.app}, *events)
        return became


async def decided(
    threads: HandlerThreads, known: Known, apps: Mapping[AppId, App], *events: InteractionReceived
) -> tuple[list[tuple[str, str | None]], Known]:
    """Decide events, in as many batches as it takes; return what became of each and why, and what is known then."""
    batch, became = take({0: records(events)}), list[tuple[str, str | None]]()
    while batch.taken:
        draft = await threads.run(partial(decide, batch, known, apps))
        write = draft.write({0: 0}, TOPICS, settle_ms=300)
        suspensions = {standing.key: standing for standing in write.suspensions}
        known = replace(known, suspensions={**known.suspensions, **suspensions})
        became += [(claim.result, claim.reason) for claim in write.claims]
        batch = Batch(taken=batch.taken[draft.taken :])
    threads.check()
    return became, known


def typed(event_id: str) -> InteractionReceived:
    """Return a click that is for the predicate to judge."""
    return click(event_id, action=Action(tag="input"))


async def test_hanging_predicates_are_suspended_and_only_clicks_that_need_them_fail() -> None:
    """More hanging clicks than threads may hang do not end the process, and plain rules go on all the while."""
    world = HangingRule()
    try:
        hanging = [typed(f"hang{n}") for n in range(STUCK + 2)]
        deadlines, suspended = [("failed", "deadline")] * MISSES, [("failed", "suspended")] * (STUCK + 2 - MISSES)
        assert [*deadlines, *suspended] == await world.decide(*hanging)
        assert [("failed", "suspended"), ("decided", None)] == await world.decide(typed("e1"), click("e2"))
        assert [f"hang{n}" for n in range(MISSES)] == world.asked
        assert MISSES == world.threads.stuck
        standing = Suspension(
            app_id=EVERY_APP, handler=ROUTING, misses=MISSES, until=NOW + FIRST_PAUSE_MS, pause_ms=FIRST_PAUSE_MS
        )
        assert {standing.key: standing} == world.known.suspensions

        later = NOW + FIRST_PAUSE_MS
        assert [("failed", "deadline"), ("failed", "suspended")] == await world.decide(
            typed("hang"), typed("e3"), at=later
        )
        assert [("decided", None)] == await world.decide(typed("e4"), at=later + 2 * FIRST_PAUSE_MS)
        assert [Suspension(app_id=EVERY_APP, handler=ROUTING)] == list(world.known.suspensions.values())
    finally:
        world.go_on.set()
        world.threads.close()


async def test_handlers_of_one_app_that_hang_suspend_nothing_of_another() -> None:
    """Where each app has its own; where they share them, what hangs for one hangs for all."""
    world, calm, other = Hanging(), App(), AppId("cli_other")
    calm.on_action("follow_up", handler_name="slow")(lambda click, card: [])
    threads = HandlerThreads(handler_s=DEADLINE_S, batch_s=10)
    hanging = [click(f"hang{n}") for n in range(MISSES)]
    both = click("e1"), click("e2", app_id=other)
    try:
        apart = {APP: world.app, other: calm}
        became, known = await decided(threads, Known(now=NOW), apart, *hanging)
        assert ([("failed", "deadline")] * MISSES, {HandlerKey(APP, "slow")}) == (became, set(known.suspensions))
        became, _ = await decided(threads, known, apart, *both)
        assert [("failed", "suspended"), ("decided", None)] == became

        shared = {APP: world.app, other: world.app}
        _, known = await decided(threads, Known(now=NOW), shared, *hanging)
        assert {HandlerKey(EVERY_APP, "slow")} == set(known.suspensions)
        became, _ = await decided(threads, known, shared, *both)
        assert [("failed", "suspended")] * 2 == became
    finally:
        world.go_on.set()
        threads.close()


async def test_clicks_of_an_app_that_nobody_told_of_are_kept_as_dead_letters() -> None:
    """Whole, so that they can be decided later; no handler is asked, no other's is blamed."""
    world = Hanging()
    draft = decide(
        take({0: records([click("e1", app_id=AppId("cli_other"))])}), Known(now=NOW), {APP: world.app}, _never
    )
    write = draft.write({0: 0}, TOPICS, settle_ms=300)
    (letter,) = write.dead_letters
    assert ("cli_other", "e1", UNKNOWN_APP) == (letter.app_id, letter.event_id, letter.reason)
    assert [("failed", UNKNOWN_APP)] == [(claim.result, claim.reason) for claim in write.claims]
    assert [] == world.called


class _Never:
    """Nothing is to be called."""

    spent = False

    def __call__(self, step: object, /) -> Any:
        raise AssertionError("user code was called")


_never = _Never()


async def test_a_click_that_hung_in_a_predicate_is_a_dead_letter_of_the_routing() -> None:
    """No handler was found, so none is blamed."""
    world = HangingRule()
    try:
        batch = take({0: records([typed("hang")])})
        draft = await world.threads.run(lambda call: decide(batch, world.known, {APP: world.app}, call))
        (letter,) = draft.write({0: 0}, TOPICS, settle_ms=300).dead_letters
        assert ("hang", ROUTING, "deadline") == (letter.event_id, letter.handler, letter.reason)
    finally:
        world.go_on.set()
        world.threads.close()


async def test_a_batch_stops_when_its_time_is_used_up() -> None:
    """The handler running then finishes; its batch ends behind it."""
    app = App()
    pause = threading.Event()

    @app.on_action("follow_up")
    def slow(_click: Interaction, card: Card | None) -> list[Effect]:
        pause.wait(0.03)
        return []

    threads = HandlerThreads(handler_s=5, batch_s=0.02)
    first = click("e1")
    batch = take({0: records([first, click("e2"), mark(first)])})
    draft = await threads.run(lambda call: decide(batch, Known(now=NOW), {APP: app}, call))
    threads.close()
    assert 1 == draft.taken


@pytest.mark.parametrize("error", [RuntimeError("a secret"), StopIteration(), SystemExit(3)])
async def test_an_error_of_ours_in_deciding_reaches_the_loop(error: BaseException) -> None:
    """A bug is not swallowed in a thread: it is told by its type and its place, and by nothing that it said."""
    threads = HandlerThreads()

    def broken(_call: Call) -> Draft:
        raise error

    with pytest.raises(Undecided) as told:
        await threads.run(broken)
    assert re.fullmatch(rf"could not be decided: {type(error).__name__} \(test_handlers\.py:\d+\)", str(told.value))
    assert error is told.value.__cause__
    threads.close()


async def test_nobodys_interrupt_ends_the_thread_of_handlers() -> None:
    """Ctrl-C goes to another thread: here it is a handler's own failure, and the next click is decided."""
    app = App()

    @app.on_action("follow_up", handler_name="follow")
    def follow(given: Interaction, card: Card | None) -> None:
        if given.event_id == "e1":
            raise KeyboardInterrupt

    threads = HandlerThreads()
    try:
        became, _ = await decided(threads, Known(now=NOW), {APP: app}, click("e1"), click("e2"))
    finally:
        threads.close()
    (failed, reason), healthy = became
    assert ("failed", ("decided", None)) == (failed, healthy)
    assert re.fullmatch(r"KeyboardInterrupt in a handler \(test_handlers\.py:\d+\)", reason or "")
