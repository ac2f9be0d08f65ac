"""User code in a thread, under deadlines: real threads, short deadlines."""

import asyncio
import threading

import pytest

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import Effect, SendText
from tests.support.facts import NOW, TOPICS, click, mark, records
from worker.batch import Batch, take
from worker.decide import Call, decide
from worker.draft import Draft
from worker.handlers import STUCK, HandlerThreads, TooManyStuck
from worker.ledger.port import Known

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
        return decide(batch, Known(now=NOW), self.app.handler_for, call)


def results(draft: Draft) -> list[tuple[str, str]]:
    """Return event ids and results, in order."""
    return [(claim.event_id, claim.result) for claim in draft.write({0: 0}, TOPICS).claims]


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
    draft = await threads.run(lambda call: decide(batch, Known(now=NOW), app.handler_for, call))
    threads.close()
    assert 1 == draft.taken


async def test_an_error_of_ours_in_deciding_reaches_the_loop() -> None:
    """A bug is not swallowed in a thread."""
    threads = HandlerThreads()

    def broken(_call: Call) -> Draft:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await threads.run(broken)
    threads.close()
